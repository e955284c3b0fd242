//! A store in this process, with the same fences as the real ones.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::{
    clock::{Clock, Moment},
    envelope::Token,
    error::Error,
    key::Slot,
    pattern::Pattern,
    store::{
        Changed, Fill, FillOutcome, Gap, Health, Hearing, Heartbeat, Lease, LeaseRequest, Listener,
        Store, StoreFuture, Stored,
    },
    tag::{Epoch, Mark},
    testing::own_mark::OwnMark,
};

/// A store in this process: as fenced as the real ones, and gone with it.
///
/// A clone is the same store over the same link. [`sibling`](Self::sibling) is the
/// same store over a link of its own, as another process would have it: caches
/// over siblings tell each other of changes. A link can be cut, frozen and deafened.
///
/// ```
/// # use terrace::{Cache, testing::MemoryStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// let store = MemoryStore::new();
/// let here: Cache<u8> = Cache::builder("numbers").store(store.clone()).build()?;
/// let there: Cache<u8> = Cache::builder("numbers").store(store.sibling()).build()?;
/// here.set("one", 1).await?;
/// assert_eq!(*there.get("one").await?.expect("it is stored"), 1);
/// here.remove("one").await?;
/// assert!(there.peek("one").is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    world: Arc<Mutex<World>>,
    link: Arc<Link>,
    clock: Clock,
}

/// What all siblings share.
#[derive(Debug, Default)]
struct World {
    places: HashMap<String, Place>,
    epochs: HashMap<(String, OwnMark), Epoch>,
    links: Vec<Weak<Link>>,
}

#[derive(Debug, Default)]
struct Place {
    value: Option<(Bytes, Moment)>,
    lease: Option<(Token, Moment)>,
}

/// One process's way to the store.
#[derive(Default)]
struct Link {
    condition: Mutex<Condition>,
    listeners: Mutex<HashMap<String, Weak<dyn Listener>>>,
    health: Arc<Health>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Sound,
    /// What others change is not told, and heartbeats say so.
    Deaf,
    /// Calls fail at once.
    Cut,
    /// Calls are never answered, and nothing is told.
    Frozen,
}

impl Link {
    fn condition(&self) -> Condition {
        *self.condition.lock()
    }

    fn tell(&self, cache: &str, tell: impl Fn(&dyn Listener)) {
        let listener = self.listeners.lock().get(cache).and_then(Weak::upgrade);
        if let Some(listener) = listener.filter(|_| self.condition() == Condition::Sound) {
            tell(&*listener);
        }
    }

    fn gap(&self, gap: Gap) {
        let listeners: Vec<_> = self.listeners.lock().values().cloned().collect();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            listener.gap(gap);
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.condition()).finish()
    }
}

impl MemoryStore {
    /// An empty store on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Clock::default())
    }

    /// An empty store whose lives run on `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self::over(Arc::default(), clock)
    }

    fn over(world: Arc<Mutex<World>>, clock: Clock) -> Self {
        let link = Arc::new(Link::default());
        {
            let links = &mut world.lock().links;
            links.retain(|link| link.strong_count() > 0);
            links.push(Arc::downgrade(&link));
        }
        Self { world, link, clock }
    }

    /// The same contents over a link of its own, for another "process".
    pub fn sibling(&self) -> Self {
        Self::over(Arc::clone(&self.world), self.clock.clone())
    }

    /// How many values it holds, dead ones not counted.
    pub fn len(&self) -> usize {
        let now = self.clock.now();
        let world = self.world.lock();
        let alive = |place: &&Place| place.value.as_ref().is_some_and(|(_, end)| *end > now);
        world.places.values().filter(alive).count()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loses this link, as a connection that is closed: calls fail, and changes that
    /// others make are missed.
    pub fn cut(&self) {
        *self.link.condition.lock() = Condition::Cut;
        self.link.gap(Gap::Lasting);
    }

    /// Nothing goes over this link any more, and nobody notices at once: calls run
    /// into their deadlines, changes that others make are missed.
    pub fn freeze(&self) {
        *self.link.condition.lock() = Condition::Frozen;
    }

    /// This link does not tell of changes any more, and its heartbeats say so.
    pub fn deafen(&self) {
        *self.link.condition.lock() = Condition::Deaf;
    }

    /// This link is sound again. What was missed stays missed.
    pub fn restore(&self) {
        *self.link.condition.lock() = Condition::Sound;
        self.link.gap(Gap::Over);
    }

    /// Loses all contents: values, leases and epochs. Everybody is told so.
    pub fn flush(&self) {
        let mut world = self.world.lock();
        world.places.clear();
        world.epochs.clear();
        for link in world.links.iter().filter_map(Weak::upgrade) {
            link.gap(Gap::Over);
        }
    }

    /// Removes a key behind the back of all caches, as another program would.
    pub fn remove_behind(&self, cache: &str, key: &str) {
        let mut world = self.world.lock();
        world.places.remove(&format!("{cache}:{key}"));
        let told = |listener: &dyn Listener| listener.changed(Changed::Key(key));
        for link in world.links.iter().filter_map(Weak::upgrade) {
            link.tell(cache, told);
        }
    }

    /// A call over this link.
    fn call<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut World, Moment) -> T + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            match self.link.condition() {
                Condition::Cut => return Err(Error::unavailable("calling", "the link is cut")),
                Condition::Frozen => std::future::pending().await,
                Condition::Sound | Condition::Deaf => {}
            }
            // The time under the lock: a value of the future would have too long a life.
            let mut world = self.world.lock();
            let now = self.clock.now();
            Ok(act(&mut world, now))
        })
    }

    /// A call that concerns one slot. Who changes something tells the others while
    /// the world stands still: nobody reads the new before he has heard of it.
    fn at<'a, T: Send + 'a>(
        &'a self,
        slot: &'a Slot,
        act: impl FnOnce(&mut Place, Moment) -> (T, Effect) + Send + 'a,
    ) -> StoreFuture<'a, T> {
        self.call(move |world, now| {
            let place = world.places.entry(slot.full_key().to_owned()).or_default();
            place.value.take_if(|(_, end)| *end <= now);
            place.lease.take_if(|(_, end)| *end <= now);
            let (answer, effect) = act(place, now);
            if effect == Effect::Changed {
                self.tell_others(world, slot.cache(), Changed::Key(slot.key()));
            }
            answer
        })
    }

    fn tell_others(&self, world: &World, cache: &str, changed: Changed<'_>) {
        for link in world.links.iter().filter_map(Weak::upgrade) {
            if !Arc::ptr_eq(&link, &self.link) {
                link.tell(cache, |listener| listener.changed(changed));
            }
        }
    }
}

/// Whether there is something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Read,
    Changed,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    fn token(&self) -> Option<Token> {
        let (bytes, _) = self.value.as_ref()?;
        Token::of_envelope(bytes)
    }

    fn stored(&self, now: Moment, limit: usize) -> Option<Stored> {
        let (bytes, end) = self.value.as_ref()?;
        Some(Stored {
            bytes: bytes.slice(..limit.min(bytes.len())),
            remaining: Some(end.since(now)),
        })
    }

    fn leased(&mut self, request: LeaseRequest, now: Moment) -> (Lease, Effect) {
        let refused = self.token().is_some() && self.token() == request.refuse;
        if let Some(stored) = self.stored(now, request.limit).filter(|_| !refused) {
            return (Lease::Value(stored), Effect::Read);
        }
        if let Some((_, end)) = self.lease {
            return (Lease::Held(end.since(now)), Effect::Read);
        }
        let end = now.plus_millis(millis(request.hold));
        self.lease = Some((request.token, end));
        (Lease::Yours, Effect::Changed)
    }

    fn filled(&mut self, fill: Fill, now: Moment) -> (FillOutcome, Effect) {
        if self.lease.is_some_and(|(token, _)| token == fill.token) {
            self.value = Some((fill.bytes, now.plus_millis(millis(fill.life))));
            self.lease = None;
            return (FillOutcome::Stored, Effect::Changed);
        }
        if fill.replaces.is_some() && self.token() == fill.replaces {
            self.value = None;
            return (FillOutcome::Refused, Effect::Changed);
        }
        (FillOutcome::Refused, Effect::Read)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn health(&self) -> &Arc<Health> {
        &self.link.health
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        self.at(slot, move |place, now| {
            (place.stored(now, limit), Effect::Read)
        })
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        self.at(slot, move |place, now| place.leased(request, now))
    }

    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>> {
        self.at(slot, move |place, now| {
            place.lease = Some((token, now.plus_millis(millis(hold))));
            (place.token(), Effect::Changed)
        })
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        self.at(slot, move |place, now| place.filled(fill, now))
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        self.at(slot, move |place, _| {
            let released = place.lease.take_if(|(held, _)| *held == token);
            let effect = released.map_or(Effect::Read, |_| Effect::Changed);
            ((), effect)
        })
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        self.at(slot, |place, _| {
            *place = Place::default();
            ((), Effect::Changed)
        })
    }

    fn remove_matching<'a>(
        &'a self,
        cache: &'a str,
        pattern: &'a Pattern,
        step: Duration,
    ) -> StoreFuture<'a, u64> {
        let walk = self.call(move |world, now| {
            let key_of = |full: &str| {
                let key = full.strip_prefix(cache)?.strip_prefix(':')?;
                pattern.matches(key).then(|| key.to_owned())
            };
            let keys: Vec<_> = world
                .places
                .keys()
                .filter_map(|full| key_of(full))
                .collect();
            let mut removed = 0;
            for key in keys {
                let place = world.places.remove(&format!("{cache}:{key}"));
                let value = place.and_then(|place| place.value);
                removed += u64::from(value.is_some_and(|(_, end)| end > now));
                self.tell_others(world, cache, Changed::Key(&key));
            }
            removed
        });
        let late = move |_| Error::store_timeout("removing keys", step);
        Box::pin(async move { timeout(step, walk).await.map_err(late)? })
    }

    fn epochs<'a>(&'a self, cache: &'a str, marks: &'a [Mark<'a>]) -> StoreFuture<'a, Vec<Epoch>> {
        self.call(move |world, _| {
            let mut epoch = |mark: &Mark<'_>| {
                let place = world.epochs.entry((cache.to_owned(), (*mark).into()));
                *place.or_insert_with(Epoch::random)
            };
            marks.iter().map(&mut epoch).collect()
        })
    }

    fn renew<'a>(&'a self, cache: &'a str, epochs: &'a [(Mark<'a>, Epoch)]) -> StoreFuture<'a, ()> {
        self.call(move |world, _| {
            for (mark, epoch) in epochs {
                let place = (cache.to_owned(), (*mark).into());
                world.epochs.insert(place, *epoch);
                self.tell_others(world, cache, Changed::Mark(*mark));
            }
        })
    }

    fn heartbeat<'a>(&'a self, cache: &'a str, _limit: Duration) -> StoreFuture<'a, Heartbeat> {
        self.call(move |_, _| {
            let is_told = self.link.listeners.lock().contains_key(cache);
            Heartbeat::new(match self.link.condition() {
                Condition::Sound if is_told => Hearing::Complete,
                _ => Hearing::Deaf,
            })
        })
    }

    fn listen(&self, cache: &str, listener: Weak<dyn Listener>) -> bool {
        let mut listeners = self.link.listeners.lock();
        let taken = listeners.get(cache).and_then(Weak::upgrade).is_some();
        if !taken {
            if let Some(listener) = listener.upgrade() {
                listener.gap(Gap::Over);
            }
            listeners.insert(cache.to_owned(), listener);
        }
        !taken
    }

    fn hush(&self, cache: &str, listener: &Weak<dyn Listener>) {
        let mut listeners = self.link.listeners.lock();
        listeners.retain(|name, own| name != cache || !Weak::ptr_eq(own, listener));
    }
}
