//! Writes whose outcome in the store is unknown, until they are settled. Bounded.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// More than this, and everything counts as unsettled: a clear settles it.
const MAX_KEYS: usize = 10_000;

/// While a key is listed, what the store holds for it must not be read.
///
/// An entry leaves the list only if nobody has listed it again in the meantime:
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
    keys: HashMap<Arc<str>, u64>,
    everything: Option<u64>,
}

/// What was listed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing(u64);

/// What there is to settle.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    pub(crate) everything: Option<Listing>,
    pub(crate) keys: Vec<(Arc<str>, Listing)>,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.len() > 0 && {
            let list = self.list.lock();
            list.everything.is_some() || list.keys.contains_key(key)
        }
    }

    pub(crate) fn add(&self, key: Arc<str>) {
        let mut list = self.list.lock();
        let listing = list.number();
        if list.keys.len() < MAX_KEYS || list.keys.contains_key(&key) {
            list.keys.insert(key, listing);
        } else {
            list.everything = Some(listing);
        }
        self.note_length(&list);
    }

    pub(crate) fn add_everything(&self) {
        let mut list = self.list.lock();
        list.everything = Some(list.number());
        self.note_length(&list);
    }

    /// The listing of a key, to be settled by a write that begins now.
    pub(crate) fn listing(&self, key: &str) -> Option<Listing> {
        self.list.lock().keys.get(key).copied().map(Listing)
    }

    pub(crate) fn settle(&self, key: &str, listing: Option<Listing>) {
        let Some(listing) = listing else { return };
        let mut list = self.list.lock();
        if list.keys.get(key) == Some(&listing.0) {
            list.keys.remove(key);
        }
        self.note_length(&list);
    }

    /// A clear settles what was listed before it began.
    pub(crate) fn settle_everything(&self, before: &Unsettled) {
        let mut list = self.list.lock();
        if list.everything == before.everything.map(|listing| listing.0) {
            list.everything = None;
        }
        for (key, listing) in &before.keys {
            if list.keys.get(key) == Some(&listing.0) {
                list.keys.remove(key);
            }
        }
        self.note_length(&list);
    }

    pub(crate) fn unsettled(&self) -> Unsettled {
        let list = self.list.lock();
        Unsettled {
            everything: list.everything.map(Listing),
            keys: list
                .keys
                .iter()
                .map(|(key, listing)| (Arc::clone(key), Listing(*listing)))
                .collect(),
        }
    }

    fn note_length(&self, list: &List) {
        let length = list.keys.len() + usize::from(list.everything.is_some());
        self.length.store(length, Ordering::Release);
    }
}

impl List {
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

    pub(crate) fn take(&self) -> VecDeque<(Arc<str>, T)> {
        std::mem::take(&mut self.0.lock())
    }
}
