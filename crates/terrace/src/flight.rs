//! At most one piece of work in progress for a key and generation. Knows nothing of caches.
//!
//! A flight is keyed by a key and the generation in which it began. Whoever comes
//! with the same generation joins it; whoever comes with a newer one starts afresh
//! and detaches it: its passengers still get its outcome, nobody boards any more.

use std::{
    collections::{HashMap, hash_map},
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::sync::watch;

const SHARDS: usize = 16;

/// The table of flights. `G` is a generation, newer ones greater; `T` an outcome.
#[derive(Debug)]
pub(crate) struct Flights<G, T> {
    shards: [Shard<G, T>; SHARDS],
    hasher: RandomState,
    next_id: AtomicU64,
}

type Shard<G, T> = Mutex<HashMap<Arc<str>, InFlight<G, T>, RandomState>>;

#[derive(Debug)]
struct InFlight<G, T> {
    id: u64,
    generation: G,
    outcome: watch::Receiver<Option<T>>,
}

/// What [`Flights::board`] found.
#[derive(Debug)]
pub(crate) enum Boarding<G: Copy + Ord, T: Clone> {
    /// Nobody is at it: the caller is to do the work.
    Lead(Flight<G, T>),
    /// Somebody is at it in this generation.
    Join(Passenger<T>),
    /// A flight of a newer generation is under way: the caller's has passed.
    Outdated,
}

impl<G, T> Default for Flights<G, T> {
    fn default() -> Self {
        let hasher = RandomState::default();
        Self {
            shards: std::array::from_fn(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))),
            hasher,
            next_id: AtomicU64::new(0),
        }
    }
}

impl<G: Copy + Ord, T: Clone> Flights<G, T> {
    pub(crate) fn board(self: &Arc<Self>, key: &Arc<str>, generation: G) -> Boarding<G, T> {
        let mut shard = self.shard(key).lock();
        match shard.get(key) {
            Some(other) if other.generation == generation => {
                return Boarding::Join(Passenger(other.outcome.clone()));
            }
            Some(other) if other.generation > generation => return Boarding::Outdated,
            _ => {}
        }
        let (sender, outcome) = watch::channel(None);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = InFlight {
            id,
            generation,
            outcome,
        };
        shard.insert(Arc::clone(key), entry);
        Boarding::Lead(Flight {
            table: Arc::clone(self),
            key: Arc::clone(key),
            id,
            outcome: sender,
        })
    }

    /// A flight that nobody boards.
    pub(crate) fn solo(self: &Arc<Self>, key: &Arc<str>) -> Flight<G, T> {
        Flight {
            table: Arc::clone(self),
            key: Arc::clone(key),
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            outcome: watch::Sender::new(None),
        }
    }

    fn shard(&self, key: &str) -> &Shard<G, T> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % SHARDS as u64).expect("less than the number of shards");
        &self.shards[index]
    }
}

/// The leader's end of a flight. Dropping it ends the flight; if it never landed,
/// everybody on board is told so.
#[derive(Debug)]
pub(crate) struct Flight<G: Copy + Ord, T: Clone> {
    table: Arc<Flights<G, T>>,
    key: Arc<str>,
    id: u64,
    outcome: watch::Sender<Option<T>>,
}

impl<G: Copy + Ord, T: Clone> Flight<G, T> {
    /// A seat on the leader's own flight.
    pub(crate) fn passenger(&self) -> Passenger<T> {
        Passenger(self.outcome.subscribe())
    }

    /// Answers everybody on board, and whoever boards from now on. A later
    /// landing replaces the outcome for those who board after it.
    pub(crate) fn land(&self, outcome: T) {
        self.outcome.send_replace(Some(outcome));
    }

    /// The work goes on in a new generation. Does nothing once detached.
    pub(crate) fn renew(&self, generation: G) {
        if let Some(entry) = self.table.shard(&self.key).lock().get_mut(&self.key)
            && entry.id == self.id
        {
            entry.generation = generation;
        }
    }

    /// The work has not begun yet and starts over in a new generation; or
    /// somebody else has, and this flight follows him.
    pub(crate) fn restart(&self, generation: G) -> Option<Passenger<T>> {
        let mut shard = self.table.shard(&self.key).lock();
        match shard.entry(Arc::clone(&self.key)) {
            hash_map::Entry::Occupied(entry)
                if entry.get().id != self.id && entry.get().generation >= generation =>
            {
                return Some(Passenger(entry.get().outcome.clone()));
            }
            entry => entry.insert_entry(InFlight {
                id: self.id,
                generation,
                outcome: self.outcome.subscribe(),
            }),
        };
        None
    }

    /// Nobody boards any more.
    pub(crate) fn detach(&self) {
        let mut shard = self.table.shard(&self.key).lock();
        if shard
            .get(&self.key)
            .is_some_and(|entry| entry.id == self.id)
        {
            shard.remove(&self.key);
        }
    }
}

impl<G: Copy + Ord, T: Clone> Drop for Flight<G, T> {
    fn drop(&mut self) {
        self.detach();
    }
}

/// A place on somebody else's flight. Dropping it harms nobody.
#[derive(Debug)]
pub(crate) struct Passenger<T>(watch::Receiver<Option<T>>);

impl<T: Clone> Passenger<T> {
    /// The first outcome; `None` if the leader vanished without one.
    pub(crate) async fn outcome(&mut self) -> Option<T> {
        let landed = self.0.wait_for(Option::is_some).await;
        landed.ok().and_then(|outcome| outcome.clone())
    }

    /// The last outcome, once the flight has ended.
    pub(crate) async fn last_outcome(&mut self) -> Option<T> {
        while self.0.changed().await.is_ok() {}
        self.0.borrow().clone()
    }
}
