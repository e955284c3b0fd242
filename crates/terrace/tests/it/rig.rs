//! What the tests share: a source that counts, latches for loads, polling with a
//! bound, and a look into Redis behind the cache's back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use redis::{FromRedisValue, ToRedisArgs, aio::MultiplexedConnection};
use terrace::{BoxError, Builder, Cache, EntryOptions, Policy, RedisStore, Source};
use tokio::sync::watch;

use crate::redis_server::RedisServer;

pub(crate) const POLICIES: [Policy; 3] = [Policy::TinyLfu, Policy::Lru, Policy::S3Fifo];

/// Long enough that only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn ttl(count: u64) -> EntryOptions {
    EntryOptions::ttl(seconds(count))
}

/// Polls until the condition holds. Tells how long that took.
pub(crate) async fn eventually(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> bool,
) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(millis(1)).await;
    }
    start.elapsed()
}

/// An await that must not hang.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("hangs: {what}"))
}

/// Where values come from: a number that somebody changes, and a count of loads.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    version: AtomicU64,
    loads: AtomicU64,
}

impl Origin {
    pub(crate) fn at(version: u64) -> Arc<Self> {
        let origin = Self::default();
        origin.version.store(version, SeqCst);
        Arc::new(origin)
    }

    pub(crate) fn change_to(&self, version: u64) {
        self.version.store(version, SeqCst);
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(SeqCst)
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }

    pub(crate) fn load(self: &Arc<Self>) -> impl Future<Output = Result<u64, BoxError>> + use<> {
        let origin = Arc::clone(self);
        async move {
            origin.loads.fetch_add(1, SeqCst);
            Ok(origin.version())
        }
    }

    /// Reads the version, then waits at the latch.
    pub(crate) fn held_load(
        self: &Arc<Self>,
        latch: &Latch,
    ) -> impl Future<Output = Result<u64, BoxError>> + use<> {
        let (origin, latch) = (Arc::clone(self), latch.clone());
        async move {
            origin.loads.fetch_add(1, SeqCst);
            let version = origin.version();
            latch.pass().await;
            Ok(version)
        }
    }
}

/// Holds the loads that come, until it is opened; tells how many came. What holds
/// calls of a store is a `Hold`.
#[derive(Clone, Debug)]
pub(crate) struct Latch {
    arrived: Arc<AtomicU64>,
    open: watch::Sender<bool>,
}

impl Latch {
    pub(crate) fn closed() -> Self {
        Self {
            arrived: Arc::default(),
            open: watch::Sender::new(false),
        }
    }

    pub(crate) async fn pass(&self) {
        self.arrived.fetch_add(1, SeqCst);
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.expect("the latch lives");
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(SeqCst)
    }

    pub(crate) async fn reached(&self) {
        let arrived = || self.arrived() > 0;
        eventually("somebody reaches the latch", PATIENCE, arrived).await;
    }
}

/// The bound is wider than any step of a manual clock here; tests of the bound set
/// their own.
pub(crate) fn numbers() -> Builder<u64> {
    let builder = Cache::builder("numbers").defaults(ttl(60));
    builder.max_staleness(seconds(3_600))
}

/// What a busy machine keeps, and a test can wait for.
pub(crate) const BOUND: Duration = Duration::from_millis(400);

pub(crate) fn bounded() -> Builder<u64> {
    numbers().max_staleness(BOUND)
}

/// A cache over a connection of its own: a process of its own, as far as Redis knows.
pub(crate) fn process_on(server: &RedisServer) -> Cache<u64> {
    numbers().store(store_on(server)).build().unwrap()
}

/// The same with a deadline that a busy machine does not reach, for tests that are not about it.
pub(crate) fn patient_process_on(server: &RedisServer) -> Cache<u64> {
    let builder = numbers().store_timeout(seconds(5));
    builder.store(store_on(server)).build().unwrap()
}

pub(crate) fn store_on(server: &RedisServer) -> RedisStore {
    RedisStore::connect(&server.url()).unwrap()
}

pub(crate) async fn healthy(cache: &Cache<u64>) -> Duration {
    let is_healthy = || cache.stats().store.is_some_and(|store| store.healthy);
    eventually("the store is healthy", PATIENCE, is_healthy).await
}

/// Reads until L1 answers, and vouches for it. Tells how long that took.
pub(crate) async fn held_and_proven(cache: &Cache<u64>, key: &str) -> Duration {
    let start = Instant::now();
    loop {
        let seen = cache.get(key).await.unwrap();
        if seen.is_some_and(|seen| seen.proven() && seen.source() == Source::Local) {
            return start.elapsed();
        }
        assert!(start.elapsed() < PATIENCE, "{key:?} is never proven");
        tokio::time::sleep(millis(1)).await;
    }
}

/// Reads, never loads, until the value is this. Tells how long that took.
pub(crate) async fn reads(cache: &Cache<u64>, key: &str, wanted: Option<u64>) -> Duration {
    let start = Instant::now();
    loop {
        let seen = cache.get(key).await.unwrap();
        if seen.as_deref().copied() == wanted {
            return start.elapsed();
        }
        let waited = start.elapsed();
        assert!(waited < PATIENCE, "{seen:?} and not {wanted:?}");
        tokio::time::sleep(millis(1)).await;
    }
}

pub(crate) const NUMBER: &str = "terrace:v:{numbers:k}";
pub(crate) const NUMBER_LEASE: &str = "terrace:l:{numbers:k}";

/// A connection that the cache knows nothing of.
#[derive(Clone)]
pub(crate) struct Raw(MultiplexedConnection);

impl Raw {
    pub(crate) async fn on(server: &RedisServer) -> Self {
        Self::at(&server.url()).await
    }

    pub(crate) async fn at(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    /// One command, arguments separated by blanks.
    pub(crate) async fn ask<T: FromRedisValue>(&self, line: &str) -> T {
        let words: Vec<&str> = line.split(' ').collect();
        self.say(&words).await
    }

    pub(crate) async fn say<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> T {
        self.attempt(words).await.unwrap()
    }

    pub(crate) async fn attempt<T: FromRedisValue>(
        &self,
        words: &[impl ToRedisArgs],
    ) -> redis::RedisResult<T> {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut self.0.clone()).await
    }

    /// Values and leases, of whatever namespace.
    pub(crate) async fn values_and_leases(&self) -> usize {
        let (values, leases): (Vec<Vec<u8>>, Vec<Vec<u8>>) =
            (self.ask("KEYS *:v:*").await, self.ask("KEYS *:l:*").await);
        values.len() + leases.len()
    }

    pub(crate) async fn set_bytes(&self, key: &str, bytes: &[u8], px: u64) {
        let px = px.to_string();
        let words = [b"SET", key.as_bytes(), bytes, b"PX", px.as_bytes()];
        self.say::<()>(&words).await;
    }

    pub(crate) async fn bytes(&self, key: &str) -> Vec<u8> {
        self.say(&["GET", key]).await
    }

    pub(crate) async fn exists(&self, key: &str) -> bool {
        self.say::<u64>(&["EXISTS", key]).await == 1
    }
}
