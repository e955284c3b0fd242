//! Collects the parts of a cache and checks them.

use std::{
    fmt,
    sync::{Arc, Once},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    cache::Cache,
    clock::Clock,
    codec::{Codec, Postcard},
    core::{Core, Weigher},
    error::Error,
    flight::Flights,
    gate::Gate,
    key::check_name,
    listen,
    local::{Bound, Local, Policy},
    options::{EntryOptions, check_span},
    pending::{Ghosts, Pending},
    proof::Proof,
    remote::{Remote, RemoteParts},
    seal::Seal,
    stats::Counters,
    store::Store,
};

const DEFAULT_CAPACITY: u64 = 10_000;
const MAX_CAPACITY: u64 = 1 << 40;
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_millis(100);
const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(1);
/// Four heartbeats within the bound, and the clock's own grain taken off it.
const LEAST_MAX_STALENESS: Duration = Duration::from_millis(100);
const MOST_MAX_STALENESS: Duration = Duration::from_secs(3_600);
const DEFAULT_MAX_VALUE_BYTES: usize = 1 << 20;
/// Redis holds at most 512 MiB under a key.
const MAX_MAX_VALUE_BYTES: usize = 256 << 20;
/// What a `set` may lose between its two round trips to scheduling.
const SET_MARGIN: Duration = Duration::from_secs(1);
/// Removals by pattern; each looks at every key of the store.
const WALKS_AT_ONCE: usize = 4;

type StoreParts<V> = (Arc<dyn Store>, Arc<dyn Codec<V>>);

/// Collects the parts of a [`Cache`]. Nothing is checked before
/// [`build`](Self::build), and everything is checked there.
///
/// ```
/// use std::time::Duration;
/// use terrace::{Cache, Clock, EntryOptions, Policy};
///
/// assert_eq!(Policy::default(), Policy::S3Fifo);
/// let pages = Cache::<String>::builder("pages")
///     .policy(Policy::TinyLfu)
///     .weighed_capacity(64 << 20, |key, page| (key.len() + page.len()) as u32)
///     .local_ttl(Duration::from_secs(300))
///     .defaults(EntryOptions::ttl(Duration::from_secs(60)))
///     .store_timeout(Duration::from_millis(50))
///     .max_staleness(Duration::from_millis(500))
///     .schema(2)
///     .max_value_bytes(256 << 10)
///     .clock(Clock::default())
///     .build()?;
/// assert_eq!(pages.stats().capacity, 64 << 20);
/// # Ok::<_, terrace::Error>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<V> {
    name: String,
    policy: Policy,
    bound: Bound,
    weigher: Option<Weigher<V>>,
    local_ttl: Option<Duration>,
    defaults: EntryOptions,
    store: Option<StoreParts<V>>,
    store_timeout: Duration,
    max_staleness: Duration,
    schema: u32,
    max_value_bytes: usize,
    clock: Clock,
}

impl<V: Send + Sync + 'static> Builder<V> {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            policy: Policy::default(),
            bound: Bound::Entries(DEFAULT_CAPACITY),
            weigher: None,
            local_ttl: None,
            defaults: EntryOptions::default(),
            store: None,
            store_timeout: DEFAULT_STORE_TIMEOUT,
            max_staleness: DEFAULT_MAX_STALENESS,
            schema: 0,
            max_value_bytes: DEFAULT_MAX_VALUE_BYTES,
            clock: Clock::default(),
        }
    }

    /// Which entries L1 keeps when it is full. Default: [`Policy::default`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How many entries L1 may hold. Default: 10,000.
    pub fn capacity(mut self, entries: u64) -> Self {
        self.bound = Bound::Entries(entries);
        self.weigher = None;
        self
    }

    /// Bounds L1 by the sum of weights instead: bytes, as a rule. A weight of 0
    /// counts as 1. An entry of up to a tenth of `total` is kept; a heavier one may
    /// not be, depending on the engine.
    pub fn weighed_capacity(
        mut self,
        total: u64,
        weigher: impl Fn(&str, &V) -> u32 + Send + Sync + 'static,
    ) -> Self {
        self.bound = Bound::Weight(total);
        self.weigher = Some(Box::new(weigher));
        self
    }

    /// Keeps nothing in L1: each read asks the store, which this cache needs. For state
    /// that processes share and none may hold an older copy of.
    ///
    /// Of this, [`capacity`](Self::capacity) and [`weighed_capacity`](Self::weighed_capacity) the last
    /// one said counts. [`peek`](Cache::peek) finds nothing. [`get`](Cache::get) reports a store that
    /// fails, which for other caches is a miss: "there is none" would be an answer about
    /// what others share. Everything else is as ever: one load in the cluster, fenced
    /// writes, tags; while the store is away each process loads for itself.
    ///
    /// ```
    /// # use terrace::{Cache, Error, RedisStore};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// let nobody = RedisStore::connect("redis://127.0.0.1:1")?;
    /// let state: Cache<u32> = Cache::builder("state").no_local().store(nobody).build()?;
    /// assert!(state.get("leader").await.unwrap_err().is_store());
    /// assert!(Cache::<u32>::builder("state").no_local().build().unwrap_err().is_config());
    /// # Ok(()) }
    /// ```
    pub fn no_local(mut self) -> Self {
        self.bound = Bound::Nothing;
        self.weigher = None;
        self
    }

    /// The longest stay in L1, whatever life an entry has left. Default: none.
    pub fn local_ttl(mut self, longest: Duration) -> Self {
        self.local_ttl = Some(longest);
        self
    }

    /// What entries get whose call says nothing else.
    pub fn defaults(mut self, options: EntryOptions) -> Self {
        self.defaults = options;
        self
    }

    /// Puts a shared store behind L1; values are encoded with [`Postcard`].
    pub fn store(self, store: impl Store) -> Self
    where
        Postcard: Codec<V>,
    {
        self.store_with(store, Postcard)
    }

    /// Puts a shared store behind L1; values are encoded with `codec`.
    pub fn store_with(mut self, store: impl Store, codec: impl Codec<V>) -> Self {
        self.store = Some((Arc::new(store), Arc::new(codec)));
        self
    }

    /// The deadline of a store call, the wait for a connection included, and of
    /// all the calls that one read waits for together. Default: 100 ms.
    pub fn store_timeout(mut self, limit: Duration) -> Self {
        self.store_timeout = limit;
        self
    }

    /// The coherence bound: a hit in L1 was the store's value at some moment within
    /// this time, whatever happened to messages, links and processes. 100 ms to one
    /// hour; default: 1 s. Costs one small round trip every quarter of it.
    ///
    /// While the store does not answer, a read's
    /// [`coherence`](EntryOptions::coherence) decides. A cache without a store is
    /// its own truth, and always within the bound.
    pub fn max_staleness(mut self, bound: Duration) -> Self {
        self.max_staleness = bound;
        self
    }

    /// Number of the value's shape in the store. Raise it when the type changes:
    /// older values are then misses and get replaced, and the loads of an older
    /// program leave newer ones alone. Default: 0.
    pub fn schema(mut self, number: u32) -> Self {
        self.schema = number;
        self
    }

    /// The largest encoded value that the store gets, or is asked for. Default: 1 MiB.
    pub fn max_value_bytes(mut self, limit: usize) -> Self {
        self.max_value_bytes = limit;
        self
    }

    /// The time source; tests bring their own. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Checks everything and builds. Does not wait for the store.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config): a setting out of range, a name that is
    /// not 1 to 32 of `a-z 0-9 _ -`, neither L1 nor a store, no Tokio runtime around a cache with a store, or
    /// a store that serves a cache of this name already (two in one process would
    /// not hear of each other's writes: clone the handle instead).
    ///
    /// ```
    /// # use terrace::Cache;
    /// assert!(Cache::<u8>::builder("Bad Name").build().unwrap_err().is_config());
    /// assert!(Cache::<u8>::builder("none").capacity(0).build().unwrap_err().is_config());
    /// ```
    pub fn build(self) -> Result<Cache<V>, Error> {
        self.check()?;
        let name: Arc<str> = Arc::from(self.name);
        let counters = Arc::new(Counters::default());
        let remote = self.store.map(|(store, codec)| {
            let counters = Arc::clone(&counters);
            Remote::new(RemoteParts {
                store,
                seal: Seal::new(
                    codec,
                    self.schema,
                    self.max_value_bytes,
                    Arc::clone(&counters),
                ),
                cache: Arc::clone(&name),
                deadline: self.store_timeout,
                clock: self.clock.clone(),
                counters,
            })
        });
        let proof = match &remote {
            Some(_) => {
                let bound = u64::try_from(self.max_staleness.as_millis()).unwrap_or(u64::MAX);
                Proof::of_heartbeats(bound.saturating_sub(self.clock.guard_millis()))
            }
            None => Proof::of_itself(),
        };
        let local = Arc::new(Local::new(self.policy, self.bound, self.local_ttl));
        let core = Arc::new(Core {
            name,
            gate: Arc::new(Gate::new(Arc::clone(&local))),
            local,
            tags: Arc::default(),
            proof,
            flights: Arc::new(Flights::default()),
            remote,
            pending: Pending::default(),
            ghosts: Ghosts::default(),
            clock: self.clock,
            counters,
            defaults: self.defaults,
            max_staleness: self.max_staleness,
            longest_stay: self.local_ttl,
            bound: self.bound,
            weigher: self.weigher,
            set_hold: self.store_timeout * 2 + SET_MARGIN,
            walks: Semaphore::new(WALKS_AT_ONCE),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            urgent: Arc::default(),
            not_stored: Once::new(),
            shut: Mutex::new(None),
        });
        listen::start(&core)?;
        Ok(Cache::over(core))
    }

    fn check(&self) -> Result<(), Error> {
        check_name("cache name", &self.name)?;
        self.defaults.check()?;
        let (capacity, has_local) = (self.bound.limit(), self.bound != Bound::Nothing);
        if has_local && !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(Error::config(format!(
                "capacity of {capacity}: 1 to {MAX_CAPACITY}"
            )));
        }
        if !has_local && self.store.is_none() {
            return Err(Error::config("no_local: the cache needs a store"));
        }
        if let Some(longest) = self.local_ttl {
            check_span("local_ttl", longest, Duration::from_millis(1))?;
        }
        check_span(
            "store_timeout",
            self.store_timeout,
            Duration::from_millis(1),
        )?;
        let bounds = LEAST_MAX_STALENESS..=MOST_MAX_STALENESS;
        if !bounds.contains(&self.max_staleness) {
            return Err(Error::config(format!(
                "max_staleness of {:?}: {LEAST_MAX_STALENESS:?} to {MOST_MAX_STALENESS:?}",
                self.max_staleness
            )));
        }
        if !(1..=MAX_MAX_VALUE_BYTES).contains(&self.max_value_bytes) {
            let limit = self.max_value_bytes;
            return Err(Error::config(format!(
                "max_value_bytes of {limit}: 1 to {MAX_MAX_VALUE_BYTES}"
            )));
        }
        if self.store.is_some() && tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::config("a cache with a store: no Tokio runtime here"));
        }
        Ok(())
    }
}

impl<V> fmt::Debug for Builder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .field("bound", &self.bound)
            .field("defaults", &self.defaults)
            .field("store", &self.store.as_ref().map(|(store, _)| store))
            .finish_non_exhaustive()
    }
}
