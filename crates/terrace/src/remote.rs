//! The far tier as the walks see it: codec, deadline, breaker and envelope around a [`Store`].
//!
//! Reads come back as what a walk can do next, never as an error; writes report.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    breaker::{Breaker, Change},
    clock::{Clock, Moment},
    codec::Codec,
    entry::Record,
    envelope::{self, Flaw, MAX_OVERHEAD_BYTES, Shape, Token},
    error::Error,
    key::Slot,
    options::Life,
    stats::{Counters, StoreState, count},
    store::{Fill, FillOutcome, Lease, LeaseRequest, Store, StoreFuture, Stored},
};

/// More reads than this in flight ask the loader instead: the store is behind.
const MAX_IN_FLIGHT: usize = 256;

/// What one cache brings to its store.
pub(crate) struct RemoteParts<V> {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) codec: Arc<dyn Codec<V>>,
    pub(crate) cache: Arc<str>,
    pub(crate) schema: u32,
    pub(crate) deadline: Duration,
    pub(crate) max_value_bytes: usize,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
}

pub(crate) struct Remote<V> {
    parts: RemoteParts<V>,
    shape: Shape,
    breaker: Breaker,
    in_flight: Semaphore,
    healthy: AtomicBool,
    hit_rate: HitRate,
}

/// A value that L2 handed over.
pub(crate) struct Received<V> {
    pub(crate) record: Record<V>,
    pub(crate) token: Token,
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

/// Why a reader got nothing out of the store.
enum Silence {
    NotAsked,
    NoAnswer,
}

impl<V: Send + Sync + 'static> Remote<V> {
    /// `None` if the store serves a cache of this name already.
    pub(crate) fn new(parts: RemoteParts<V>) -> Option<Self> {
        if !parts.store.claim(&parts.cache) {
            return None;
        }
        let shape = Shape {
            schema: parts.schema,
            codec: parts.codec.id(),
        };
        Some(Self {
            parts,
            shape,
            breaker: Breaker::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            healthy: AtomicBool::new(false),
            hit_rate: HitRate::default(),
        })
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
        let call = self.parts.store.get(&slot, self.limit());
        match self.read("reading from the store", until, call).await {
            Ok(stored) => self.sort(&slot, stored, sent),
            Err(_) => Found::Failed,
        }
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
            limit: self.limit(),
        };
        let call = self.parts.store.lease(&slot, request);
        match self.read("asking the store for a lease", until, call).await {
            Ok(Lease::Value(stored)) => {
                let found = self.sort(&slot, Some(stored), sent);
                Leased::Found(found)
            }
            Ok(Lease::Held(left)) => Leased::Held(left),
            Ok(Lease::Yours) => {
                self.hit_rate.saw(false);
                Leased::Yours
            }
            Err(Silence::NotAsked) => Leased::NotAsked,
            Err(Silence::NoAnswer) => Leased::NoAnswer,
        }
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
        self.write("giving a lease back", call).await
    }

    pub(crate) async fn remove(&self, key: &Arc<str>) -> Result<(), Error> {
        let slot = self.slot(key);
        let call = self.parts.store.remove(&slot);
        self.write("removing a key from the store", call).await
    }

    /// Each of its many calls has the deadline; the whole of it has none of its own.
    pub(crate) async fn clear(&self) -> Result<u64, Error> {
        const ATTEMPT: &str = "clearing the store";
        self.refuse_if_open(ATTEMPT)?;
        let call = self
            .parts
            .store
            .clear(&self.parts.cache, self.parts.deadline);
        self.settle(call.await)
    }

    /// Encodes a value for a fill under `token`.
    pub(crate) fn seal(
        &self,
        key: &Arc<str>,
        value: &V,
        life: Life,
        token: Token,
    ) -> Result<Bytes, Error> {
        let slot = self.slot(key);
        let write_body = |bytes: &mut Vec<u8>| {
            caught(|| self.parts.codec.encode(value, bytes)).unwrap_or_else(|| Err(PANICKED.into()))
        };
        let sealed = envelope::seal(slot.full_key(), self.shape, life, token, write_body)
            .map_err(|cause| Error::codec(format!("encoding {slot:?}"), cause))?;
        match sealed {
            Some(bytes) if bytes.len() <= self.limit() => Ok(bytes.into()),
            _ => {
                count(&self.parts.counters.store_oversize);
                let limit = self.parts.max_value_bytes;
                Err(Error::too_large(format!("{slot:?}: above {limit} bytes")))
            }
        }
    }

    /// The half-open state of the breaker: asks once whether the store answers.
    pub(crate) async fn probe(&self, elapsed: Duration) -> bool {
        let reply = timeout(self.parts.deadline, self.parts.store.ping()).await;
        let answered = matches!(reply, Ok(Ok(())));
        if reply.is_err() {
            self.parts.store.overdue();
        }
        if self.healthy.swap(answered, Relaxed) != answered {
            tracing::info!(cache = %self.parts.cache, healthy = answered, "store");
        }
        self.announce(self.breaker.probed(answered, elapsed));
        answered
    }

    pub(crate) fn state(&self) -> StoreState {
        StoreState {
            kind: self.parts.store.kind(),
            healthy: self.healthy.load(Relaxed),
            breaker_open: self.breaker.is_open(),
        }
    }

    fn slot(&self, key: &Arc<str>) -> Slot {
        Slot::new(&self.parts.cache, key)
    }

    fn limit(&self) -> usize {
        self.parts.max_value_bytes + MAX_OVERHEAD_BYTES
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
        if permit.is_err() || self.breaker.is_open() {
            count(&self.parts.counters.store_skipped);
            return Err(Silence::NotAsked);
        }
        let left = until.since(self.parts.clock.now());
        let reply = self.bounded(attempt, left, call).await;
        reply.map_err(|_| Silence::NoAnswer)
    }

    async fn write<T>(&self, attempt: &str, call: StoreFuture<'_, T>) -> Result<T, Error> {
        self.refuse_if_open(attempt)?;
        self.bounded(attempt, self.parts.deadline, call).await
    }

    fn refuse_if_open(&self, attempt: &str) -> Result<(), Error> {
        if self.breaker.is_open() {
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
        match timeout(limit, call).await {
            Ok(result) => self.settle(result),
            Err(_elapsed) => {
                self.parts.store.overdue();
                self.settle(Err(Error::store_timeout(attempt, self.parts.deadline)))
            }
        }
    }

    /// Counts a call's outcome once, here.
    fn settle<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match &result {
            Ok(_) => self.breaker.succeeded(),
            Err(error) => {
                count(&self.parts.counters.store_errors);
                if error.is_timeout() {
                    count(&self.parts.counters.store_timeouts);
                }
                tracing::debug!(cache = %self.parts.cache, %error, "store call failed");
                if error.counts_against_breaker() {
                    self.announce(self.breaker.failed());
                }
            }
        }
        result
    }

    fn announce(&self, change: Change) {
        let cache = &self.parts.cache;
        match change {
            Change::None => {}
            Change::Opened => tracing::warn!(%cache, breaker = "open", "store is not used"),
            Change::Closed => tracing::info!(%cache, breaker = "closed", "store is used again"),
        }
    }

    fn sort(&self, slot: &Slot, stored: Option<Stored>, sent: Moment) -> Found<V> {
        let counters = &self.parts.counters;
        let Some(stored) = stored else {
            count(&counters.store_misses);
            return Found::Nothing(None);
        };
        let flaw = match self.open(slot, &stored, sent) {
            Ok(received) => {
                self.hit_rate.saw(true);
                count(&counters.store_hits);
                return Found::Value(received);
            }
            Err(flaw) => flaw,
        };
        count(&counters.store_misses);
        count(match flaw {
            _ if stored.bytes.len() >= self.limit() => &counters.store_oversize,
            Flaw::Damaged => &counters.store_damaged,
            Flaw::Foreign => &counters.store_foreign,
            Flaw::Outdated => &counters.store_outdated,
            Flaw::Newer => &counters.store_newer,
        });
        tracing::debug!(key = ?slot, ?flaw, "stored bytes are not used");
        if flaw == Flaw::Newer {
            return Found::NotOurs;
        }
        Found::Nothing(Token::of_envelope(&stored.bytes))
    }

    fn open(&self, slot: &Slot, stored: &Stored, sent: Moment) -> Result<Received<V>, Flaw> {
        let envelope = envelope::open(&stored.bytes, slot.full_key(), self.shape)?;
        let remaining = stored.remaining.ok_or(Flaw::Damaged)?;
        let remaining = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
        let total = envelope.life.total();
        // Longer than any fill gives: somebody else touched the key's life.
        if remaining > total {
            return Err(Flaw::Damaged);
        }
        let decoded = caught(|| self.parts.codec.decode(envelope.body));
        let Some(Ok(value)) = decoded else {
            return Err(Flaw::Damaged);
        };
        // Counted from the send: the life can only come out shorter.
        let born = sent.plus_millis(remaining).minus_millis(total);
        Ok(Received {
            record: Record::new(value, envelope.life, born),
            token: envelope.token,
        })
    }
}

const PANICKED: &str = "the codec panicked";

/// Stored bytes must not bring down who reads them, whatever the codec makes of them.
fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(run)).ok()
}

impl<V> Drop for Remote<V> {
    fn drop(&mut self) {
        self.parts.store.disclaim(&self.parts.cache);
    }
}

impl<V> fmt::Debug for Remote<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("store", &self.parts.store)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

/// How often readers who came to load found something in L2 lately: a moving
/// average over some 16 of them, in 65,536ths. Lost updates only make it slower.
#[derive(Debug)]
struct HitRate(AtomicU32);

impl HitRate {
    const ONE: u32 = 1 << 16;
    /// Below one hit in three, asking for the lease at once is cheaper on average.
    const LOW: u32 = Self::ONE / 3;

    fn saw(&self, hit: bool) {
        let rate = self.0.load(Relaxed);
        let target = if hit { Self::ONE } else { 0 };
        self.0.store(rate - rate / 16 + target / 16, Relaxed);
    }

    fn is_low(&self) -> bool {
        self.0.load(Relaxed) < Self::LOW
    }
}

impl Default for HitRate {
    fn default() -> Self {
        Self(AtomicU32::new(Self::ONE / 2))
    }
}
