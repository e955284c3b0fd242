//! The far tier as the walks see it: deadline, breaker and seal around a [`Store`].
//!
//! Reads come back as what a walk can do next, never as an error; writes report.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    breaker::{Breaker, Change},
    clock::{Clock, Moment},
    entry::Record,
    envelope::{HEADER_BYTES, Token},
    error::Error,
    hit_rate::HitRate,
    key::Slot,
    options::Life,
    pattern::Pattern,
    seal::{Body, Opened, Received, Seal},
    stats::{Counters, StoreState, count},
    store::{
        Fill, FillOutcome, Hearing, Heartbeat, Lease, LeaseRequest, Listener, Store, StoreFuture,
        Stored, Writing,
    },
    tag::{Epoch, Epochs, Mark},
};

/// More reads than this in flight ask the loader instead: the store is behind.
const MAX_IN_FLIGHT: usize = 256;
/// A walk over a large keyspace takes a minute; one that takes this long hangs.
const LONGEST_WALK: Duration = Duration::from_secs(600);

/// What one cache brings to its store.
pub(crate) struct RemoteParts<V> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) seal: Seal<V>,
    pub(crate) cache: Arc<str>,
    pub(crate) deadline: Duration,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
}

pub(crate) struct Remote<V> {
    parts: RemoteParts<V>,
    in_flight: Semaphore,
    last_heartbeat: Mutex<Option<Heartbeat>>,
    /// Under which the store tells this cache, while it does.
    listener: Mutex<Option<Weak<dyn Listener>>>,
    hit_rate: HitRate,
}

/// What a look into L2 found.
pub(crate) enum Found<V> {
    Value(Received<V>),
    /// Nothing usable; what is there has this token and is to be replaced.
    Nothing(Option<Token>),
    /// A newer version of the program owns the slot: not to be written to.
    NotOurs,
    /// The store did not answer. It is not asked again for this read.
    Failed,
}

/// What asking for a lease gave.
pub(crate) enum Leased<V> {
    Found(Found<V>),
    Held(Duration),
    Yours,
    /// Nothing was sent.
    NotAsked,
    /// It may have been given all the same.
    NoAnswer,
}

/// The store did not answer a reader, or was not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    NotAsked,
    NoAnswer,
    /// It answered, and did not do it.
    Refused,
}

impl<V: Send + Sync + 'static> Remote<V> {
    pub(crate) fn new(parts: RemoteParts<V>) -> Self {
        Self {
            parts,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            last_heartbeat: Mutex::new(None),
            listener: Mutex::new(None),
            hit_rate: HitRate::default(),
        }
    }

    /// False if the store serves a cache of this name already.
    pub(crate) fn listen(&self, listener: Weak<dyn Listener>) -> bool {
        let store = &self.parts.store;
        let listening = store.listen(&self.parts.cache, Weak::clone(&listener));
        if listening {
            *self.listener.lock() = Some(listener);
        }
        listening
    }

    /// Gives the name up: the store may serve another cache of it from here on.
    pub(crate) fn hush(&self) {
        if let Some(listener) = self.listener.lock().take() {
            self.parts.store.hush(&self.parts.cache, &listener);
        }
    }

    /// The moment until which one read may wait for the store, all its calls together.
    pub(crate) fn patience(&self) -> Moment {
        let limit = u64::try_from(self.parts.deadline.as_millis()).unwrap_or(u64::MAX);
        self.parts.clock.now().plus_millis(limit)
    }

    /// Whether a read should ask for the lease at once: most find nothing here.
    pub(crate) fn expects_nothing(&self) -> bool {
        self.hit_rate.is_low()
    }

    pub(crate) async fn get(&self, key: &Arc<str>, until: Moment) -> Found<V> {
        let (slot, sent) = (self.slot(key), self.parts.clock.now());
        let call = self.parts.store.get(&slot, self.parts.seal.limit());
        match self.read("reading from the store", until, call).await {
            Ok(stored) => self.sort(&slot, stored.as_ref(), sent),
            Err(_) => Found::Failed,
        }
    }

    /// The token of what is stored, for a fraction of its bytes.
    pub(crate) async fn token(
        &self,
        key: &Arc<str>,
        until: Moment,
    ) -> Result<Option<Token>, Silence> {
        let slot = self.slot(key);
        let call = self.parts.store.get(&slot, HEADER_BYTES);
        let stored = self.read("looking at the store", until, call).await?;
        Ok(stored.and_then(|stored| Token::of_envelope(&stored.bytes)))
    }

    pub(crate) async fn lease(
        &self,
        key: &Arc<str>,
        lease: (Token, Duration),
        refuse: Option<Token>,
        until: Moment,
    ) -> Leased<V> {
        let (slot, sent) = (self.slot(key), self.parts.clock.now());
        let request = LeaseRequest {
            token: lease.0,
            hold: lease.1,
            refuse,
            limit: self.parts.seal.limit(),
        };
        // A lease is a write: a store that takes none is not asked for it.
        if self.parts.store.health().writes.is_open() {
            count(&self.parts.counters.store_skipped);
            return Leased::NotAsked;
        }
        let call = self.parts.store.lease(&slot, request);
        match self.read("asking the store for a lease", until, call).await {
            Ok(Lease::Value(stored)) => {
                let found = self.sort(&slot, Some(&stored), sent);
                Leased::Found(found)
            }
            Ok(Lease::Held(left)) => Leased::Held(left),
            Ok(Lease::Yours) => {
                self.hit_rate.saw(false);
                Leased::Yours
            }
            Err(Silence::NotAsked) => Leased::NotAsked,
            Err(Silence::NoAnswer) => Leased::NoAnswer,
            Err(Silence::Refused) => {
                self.refused_write();
                Leased::NotAsked
            }
        }
    }

    /// The epochs of these marks, for a reader.
    pub(crate) async fn epochs(
        &self,
        marks: &[Mark<'_>],
        until: Moment,
    ) -> Result<Vec<Epoch>, Silence> {
        let call = self.parts.store.epochs(&self.parts.cache, marks);
        let epochs = self.read("reading epochs", until, call).await?;
        // A store may be anybody's: one that answers less has not answered.
        (epochs.len() == marks.len())
            .then_some(epochs)
            .ok_or(Silence::NoAnswer)
    }

    /// The epochs of these marks, for a write.
    pub(crate) async fn epochs_to_write(&self, marks: &[Mark<'_>]) -> Result<Vec<Epoch>, Error> {
        let call = self.parts.store.epochs(&self.parts.cache, marks);
        let epochs = self.write("reading epochs", call).await?;
        if epochs.len() == marks.len() {
            return Ok(epochs);
        }
        let cause = "the store answers less than it was asked";
        Err(Error::unavailable("reading epochs", cause))
    }

    pub(crate) async fn force(
        &self,
        key: &Arc<str>,
        token: Token,
        hold: Duration,
    ) -> Result<Option<Token>, Error> {
        let slot = self.slot(key);
        let call = self.parts.store.force(&slot, token, hold);
        self.write("taking the lease of a key", call).await
    }

    pub(crate) async fn fill(&self, key: &Arc<str>, fill: Fill) -> Result<FillOutcome, Error> {
        let slot = self.slot(key);
        let call = self.parts.store.fill(&slot, fill);
        let outcome = self.write("storing a value", call).await?;
        count(match outcome {
            FillOutcome::Stored => &self.parts.counters.fills,
            FillOutcome::Refused => &self.parts.counters.refused,
        });
        Ok(outcome)
    }

    pub(crate) async fn release(&self, key: &Arc<str>, token: Token) -> Result<(), Error> {
        let slot = self.slot(key);
        let call = self.parts.store.release(&slot, token);
        self.change("giving a lease back", call).await
    }

    pub(crate) async fn remove(&self, key: &Arc<str>) -> Result<(), Error> {
        let slot = self.slot(key);
        let call = self.parts.store.remove(&slot);
        self.change("removing a key from the store", call).await
    }

    pub(crate) async fn renew(&self, epochs: &[(Mark<'_>, Epoch)]) -> Result<(), Error> {
        let call = self.parts.store.renew(&self.parts.cache, epochs);
        self.write("removing a group from the store", call).await
    }

    /// Each of its many calls has the deadline of one.
    pub(crate) async fn remove_matching(&self, pattern: &Pattern) -> Result<u64, Error> {
        let (store, cache) = (&self.parts.store, &self.parts.cache);
        self.refuse_if_open("removing keys from the store", &store.health().calls)?;
        let call = store.remove_matching(cache, pattern, self.parts.deadline);
        let answer = timeout(LONGEST_WALK, call).await;
        let late = || Err(Error::store_timeout("removing keys", LONGEST_WALK));
        self.settle(answer.unwrap_or_else(|_| late()))
    }

    /// Encodes a value, or says why that cannot be.
    pub(crate) fn encode(&self, key: &Arc<str>, record: &Record<V>) -> Result<Body, Error> {
        self.parts.seal.encode(&self.slot(key), record.value())
    }

    /// The envelope of a fill.
    pub(crate) fn wrap(
        &self,
        key: &Arc<str>,
        body: &Body,
        life: Life,
        birth: (Token, &Epochs),
    ) -> Bytes {
        self.parts.seal.wrap(&self.slot(key), body, life, birth)
    }

    /// The half-open state of the breakers, and what the store can vouch for. A
    /// store that does not answer within `limit` vouches for nothing; if that is the
    /// deadline of every call, it counts against it as every call does.
    pub(crate) async fn heartbeat(&self, limit: Duration) -> Option<Heartbeat> {
        let store = &self.parts.store;
        let limit = limit.min(self.parts.deadline);
        // Besides the answer, it may wait as long for news.
        // A store may be anybody's: a panic in it must not end the heartbeats.
        let asked = async { store.heartbeat(&self.parts.cache, limit).await };
        let asked = AssertUnwindSafe(asked).catch_unwind();
        let panicked = |_| Err(Error::unavailable("probing", "the store panicked"));
        let reply = timeout(limit * 2, asked).await;
        let reply = reply.map(|reply| reply.unwrap_or_else(panicked));
        let reply = reply.unwrap_or_else(|_| Err(Error::store_timeout("probing", limit)));
        if let Err(error) = &reply {
            if error.is_timeout() {
                store.overdue();
            }
            if error.counts_against_breaker() && limit == self.parts.deadline {
                let now = self.parts.clock.now().since_zero();
                self.announce("calls", store.health().calls.failed(now));
            }
        }
        let heartbeat = reply.ok();
        let before = std::mem::replace(&mut *self.last_heartbeat.lock(), heartbeat);
        if before.is_some() != heartbeat.is_some() {
            let healthy = heartbeat.is_some();
            tracing::info!(cache = %self.parts.cache, healthy, "store");
        }
        let takes_writes = heartbeat.is_some_and(|beat| beat.writing == Writing::Taken);
        let health = store.health();
        self.announce("calls", health.calls.probed(heartbeat.is_some()));
        self.announce("writes", health.writes.probed(takes_writes));
        heartbeat
    }

    pub(crate) fn state(&self) -> StoreState {
        let heartbeat = *self.last_heartbeat.lock();
        let health = self.parts.store.health();
        StoreState {
            kind: self.parts.store.kind(),
            healthy: heartbeat.is_some(),
            breaker_open: health.calls.is_open(),
            writes_refused: health.writes.is_open(),
            hearing: heartbeat.is_some_and(|beat| beat.hearing == Hearing::Complete),
            lag: heartbeat.and_then(|beat| beat.lag),
        }
    }

    fn slot(&self, key: &Arc<str>) -> Slot {
        Slot::new(&self.parts.cache, key)
    }

    /// A call that a reader waits for: skipped when the store is known to be
    /// behind, never an error.
    async fn read<T>(
        &self,
        attempt: &str,
        until: Moment,
        call: StoreFuture<'_, T>,
    ) -> Result<T, Silence> {
        let permit = self.in_flight.try_acquire();
        if permit.is_err() || self.parts.store.health().calls.is_open() {
            count(&self.parts.counters.store_skipped);
            return Err(Silence::NotAsked);
        }
        let left = until.since(self.parts.clock.now());
        let reply = self.bounded(attempt, left, call).await;
        reply.map_err(|error| {
            if error.is_refusal() {
                Silence::Refused
            } else {
                Silence::NoAnswer
            }
        })
    }

    /// A call that stores something: not made while the store takes no writes.
    async fn write<T>(&self, attempt: &str, call: StoreFuture<'_, T>) -> Result<T, Error> {
        self.refuse_if_open(attempt, &self.parts.store.health().writes)?;
        let reply = self.change(attempt, call).await;
        match &reply {
            Ok(_) => {
                let now = self.parts.clock.now().since_zero();
                self.parts.store.health().writes.succeeded(now);
            }
            Err(error) if error.is_refusal() => self.refused_write(),
            Err(_) => {}
        }
        reply
    }

    /// A call that only takes away: a store that is full takes it.
    async fn change<T>(&self, attempt: &str, call: StoreFuture<'_, T>) -> Result<T, Error> {
        self.refuse_if_open(attempt, &self.parts.store.health().calls)?;
        self.bounded(attempt, self.parts.deadline, call).await
    }

    fn refuse_if_open(&self, attempt: &str, breaker: &Breaker) -> Result<(), Error> {
        if breaker.is_open() {
            count(&self.parts.counters.store_skipped);
            return Err(Error::breaker_open(attempt));
        }
        Ok(())
    }

    async fn bounded<T>(
        &self,
        attempt: &str,
        limit: Duration,
        call: StoreFuture<'_, T>,
    ) -> Result<T, Error> {
        let result = match timeout(limit, call).await {
            Ok(result) => result,
            Err(_elapsed) => {
                self.parts.store.overdue();
                Err(Error::store_timeout(attempt, self.parts.deadline))
            }
        };
        self.settle(result)
    }

    /// A store that answers may take no writes all the same.
    fn refused_write(&self) {
        let now = self.parts.clock.now().since_zero();
        let writes = &self.parts.store.health().writes;
        self.announce("writes", writes.failed(now));
    }

    /// Counts a call's outcome once, here.
    fn settle<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let now = self.parts.clock.now().since_zero();
        let health = self.parts.store.health();
        match &result {
            Ok(_) => health.calls.succeeded(now),
            Err(error) => {
                count(&self.parts.counters.store_errors);
                if error.is_timeout() {
                    count(&self.parts.counters.store_timeouts);
                }
                tracing::debug!(cache = %self.parts.cache, %error, "store call failed");
                if error.counts_against_breaker() {
                    self.announce("calls", health.calls.failed(now));
                }
            }
        }
        result
    }

    fn announce(&self, what: &str, change: Change) {
        let cache = &self.parts.cache;
        match change {
            Change::None => {}
            Change::Opened => tracing::warn!(%cache, what, breaker = "open", "store is not used"),
            Change::Closed => {
                tracing::info!(%cache, what, breaker = "closed", "store is used again");
            }
        }
    }

    fn sort(&self, slot: &Slot, stored: Option<&Stored>, sent: Moment) -> Found<V> {
        let counters = &self.parts.counters;
        let opened = match stored {
            None => Opened::Useless(None),
            Some(stored) => self.parts.seal.open(slot, stored, sent),
        };
        if let Opened::Value(received) = opened {
            self.hit_rate.saw(true);
            count(&counters.store_hits);
            return Found::Value(received);
        }
        count(&counters.store_misses);
        match opened {
            Opened::Useless(token) => Found::Nothing(token),
            _ => Found::NotOurs,
        }
    }
}

impl<V> fmt::Debug for Remote<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("store", &self.parts.store)
            .field("health", self.parts.store.health())
            .finish_non_exhaustive()
    }
}
