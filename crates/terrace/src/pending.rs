//! Writes whose outcome in the store is unknown, until they are settled. Bounded.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

use crate::pattern::Pattern;

/// More than this, and everything counts as unsettled: a clear settles it.
const MAX_ITEMS: usize = 10_000;
/// Each of these is looked at by every miss, and walks the keyspace to be settled.
const MAX_PATTERNS: usize = 64;

/// What a write concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    Key(Arc<str>),
    Tag(Arc<str>),
    Matching(Arc<Pattern>),
    Everything,
}

/// While an item is listed, what the store holds for it must not be read.
///
/// An item leaves the list only if nobody has listed it again in the meantime:
/// each listing has a number.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    list: Mutex<List>,
    /// Kept beside the list so that a read pays one load when nothing is pending.
    length: AtomicUsize,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    /// Keys and tags: found at once, however many there are.
    exact: HashMap<Item, u64>,
    /// Patterns and everything: few.
    broad: HashMap<Item, u64>,
}

/// What was listed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing(u64);

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// Whether the store must not be read for this key.
    pub(crate) fn has(&self, key: &Arc<str>) -> bool {
        self.len() > 0 && {
            let list = self.list.lock();
            let covers = |item: &Item| match item {
                Item::Key(_) | Item::Tag(_) => false,
                Item::Matching(pattern) => pattern.matches(key),
                Item::Everything => true,
            };
            list.exact.contains_key(&Item::Key(Arc::clone(key))) || list.broad.keys().any(covers)
        }
    }

    /// Whether an entry of this tag must not be believed.
    pub(crate) fn has_tag(&self, tag: &Arc<str>) -> bool {
        self.len() > 0 && {
            let list = self.list.lock();
            list.exact.contains_key(&Item::Tag(Arc::clone(tag)))
        }
    }

    pub(crate) fn add(&self, item: Item) {
        let mut list = self.list.lock();
        let listing = list.number();
        let few = list.broad.len() < MAX_PATTERNS || !matches!(item, Item::Matching(_));
        let fits = (few && list.len() < MAX_ITEMS) || list.of(&item).contains_key(&item);
        let item = if fits { item } else { Item::Everything };
        list.of(&item).insert(item, listing);
        self.note_length(&list);
    }

    /// The listing of an item, to be settled by a write that begins now.
    pub(crate) fn listing(&self, item: &Item) -> Option<Listing> {
        self.list.lock().of(item).get(item).copied().map(Listing)
    }

    pub(crate) fn settle(&self, item: &Item, listing: Option<Listing>) {
        let Some(listing) = listing else { return };
        let mut list = self.list.lock();
        let items = list.of(item);
        if items.get(item) == Some(&listing.0) {
            items.remove(item);
        }
        self.note_length(&list);
    }

    /// What there is to settle.
    pub(crate) fn unsettled(&self) -> Vec<(Item, Listing)> {
        let list = self.list.lock();
        let listed = list.exact.iter().chain(&list.broad);
        listed
            .map(|(item, number)| (item.clone(), Listing(*number)))
            .collect()
    }

    fn note_length(&self, list: &List) {
        self.length.store(list.len(), Ordering::Release);
    }
}

impl List {
    fn of(&mut self, item: &Item) -> &mut HashMap<Item, u64> {
        match item {
            Item::Key(_) | Item::Tag(_) => &mut self.exact,
            Item::Matching(_) | Item::Everything => &mut self.broad,
        }
    }

    fn len(&self) -> usize {
        self.exact.len() + self.broad.len()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// More than this, and the oldest are left to end by themselves.
const MAX_GHOSTS: usize = 1_000;

/// What was taken in the store and could not be given back yet. Bounded.
#[derive(Debug)]
pub(crate) struct Ghosts<T>(Mutex<VecDeque<(Arc<str>, T)>>);

impl<T> Default for Ghosts<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Ghosts<T> {
    pub(crate) fn add(&self, key: Arc<str>, ghost: T) {
        let mut ghosts = self.0.lock();
        if ghosts.len() == MAX_GHOSTS {
            ghosts.pop_front();
        }
        ghosts.push_back((key, ghost));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(crate) fn take(&self) -> VecDeque<(Arc<str>, T)> {
        std::mem::take(&mut self.0.lock())
    }
}
