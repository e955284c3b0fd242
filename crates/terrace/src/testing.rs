//! Test doubles for users of terrace. Feature `testing`, for dev-dependencies.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    clock::{Clock, Moment},
    envelope::Token,
    error::Error,
    key::Slot,
    store::{Fill, FillOutcome, Lease, LeaseRequest, Store, StoreFuture, Stored},
};

/// A clock that stands still until it is told to move.
///
/// ```
/// # use terrace::{Cache, EntryOptions, testing::ManualClock};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// let time = ManualClock::new();
/// let cache: Cache<u8> = Cache::builder("numbers")
///     .defaults(EntryOptions::ttl(Duration::from_secs(10)))
///     .clock(time.clock())
///     .build()?;
/// cache.set("one", 1).await?;
/// time.advance(Duration::from_secs(10));
/// assert!(cache.peek("one").is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock at its zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time source to build a cache or a store with.
    pub fn clock(&self) -> Clock {
        Clock::manual(Arc::clone(&self.0))
    }

    /// Moves time on, in whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::AcqRel);
    }
}

/// A store in this process: as fenced as the real ones, and gone with it.
///
/// A clone is the same store, so two caches that play two processes can share
/// it through [`sibling`](Self::sibling).
#[derive(Clone, Debug)]
pub struct MemoryStore {
    places: Arc<Mutex<HashMap<String, Place>>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Place {
    value: Option<(bytes::Bytes, Moment)>,
    lease: Option<(Token, Moment)>,
}

impl MemoryStore {
    /// An empty store on the system's clock.
    pub fn new() -> Self {
        Self::with_clock(Clock::default())
    }

    /// An empty store whose lives run on `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            places: Arc::default(),
            clock,
        }
    }

    /// The same contents, for another "process".
    pub fn sibling(&self) -> Self {
        self.clone()
    }

    /// How many values it holds, dead ones not counted.
    pub fn len(&self) -> usize {
        let now = self.clock.now();
        let places = self.places.lock();
        let alive = |place: &&Place| place.value.as_ref().is_some_and(|(_, end)| *end > now);
        places.values().filter(alive).count()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn at<T>(&self, slot: &Slot, act: impl FnOnce(&mut Place, Moment) -> T) -> T {
        // The time under the lock: a value of the future would have too long a life.
        let mut places = self.places.lock();
        let now = self.clock.now();
        let place = places.entry(slot.full_key().to_owned()).or_default();
        place.value.take_if(|(_, end)| *end <= now);
        place.lease.take_if(|(_, end)| *end <= now);
        act(place, now)
    }
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
}

fn ready<'a, T: Send + 'a>(value: T) -> StoreFuture<'a, T> {
    Box::pin(async move { Ok::<T, Error>(value) })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        ready(self.at(slot, |place, now| place.stored(now, limit)))
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        ready(self.at(slot, |place, now| {
            let refused = place.token().is_some() && place.token() == request.refuse;
            if let Some(stored) = place.stored(now, request.limit).filter(|_| !refused) {
                return Lease::Value(stored);
            }
            if let Some((_, end)) = place.lease {
                return Lease::Held(end.since(now));
            }
            let end = now.plus_millis(millis(request.hold));
            place.lease = Some((request.token, end));
            Lease::Yours
        }))
    }

    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>> {
        ready(self.at(slot, |place, now| {
            place.lease = Some((token, now.plus_millis(millis(hold))));
            place.token()
        }))
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        ready(self.at(slot, |place, now| {
            if place.lease.is_some_and(|(token, _)| token == fill.token) {
                place.value = Some((fill.bytes, now.plus_millis(millis(fill.life))));
                place.lease = None;
                return FillOutcome::Stored;
            }
            if fill.replaces.is_some() && place.token() == fill.replaces {
                place.value = None;
            }
            FillOutcome::Refused
        }))
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        self.at(slot, |place, _| {
            place.lease.take_if(|(held, _)| *held == token);
        });
        ready(())
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        self.at(slot, |place, _| *place = Place::default());
        ready(())
    }

    fn clear<'a>(&'a self, cache: &'a str, _step: Duration) -> StoreFuture<'a, u64> {
        let ours = format!("{cache}:");
        let mut removed = 0;
        self.places.lock().retain(|key, place| {
            let goes = key.starts_with(&ours);
            removed += u64::from(goes && place.value.is_some());
            !goes
        });
        ready(removed)
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        ready(())
    }
}
