//! How the caches share L1, and how long each keeps what: read once from the settings.

use std::time::Duration;

use terrace::{Builder, Cache, Codec, EntryOptions, Postcard, RedisStore};

use crate::{
    config::Config,
    market::{LONGEST_HARD_TIME, ROUND_LIMIT},
    setting::{Policy, RedisUrl},
};

/// What a load may take beyond UPSTREAM_TIMEOUT_MS, which it keeps by itself.
const LOAD_GRACE: Duration = Duration::from_secs(1);
/// A load that only looks at the store: its lease ends a second later.
const BRIEF_LOAD: Duration = Duration::from_millis(500);
/// Market data is shown for so long after its last good reading; upstreams.md 2.8.
const MARKET_STALE: Duration = Duration::from_secs(15 * 60);
/// And indicators, which change with each bar.
const INDICATOR_STALE: Duration = Duration::from_secs(60 * 60);
/// Of L1's capacity, what the caches with few keys get at the most.
const FEW_ENTRIES: u64 = 64;
const CANDLES_ENTRIES: u64 = 128;
const INDICATOR_ENTRIES: u64 = 512;

/// The settings of the caches, worked out.
#[derive(Debug)]
pub(super) struct Plan {
    store: Option<RedisStore>,
    pub(super) policy: terrace::Policy,
    local_ttl: Duration,
    store_timeout: Duration,
    /// CACHE_L2_TTL_SECONDS: what no value outlives in L2, the live summary apart.
    pub(super) longest: Duration,
    pub(super) load_timeout: Duration,
    pub(super) market_data_ttl: Duration,
    dashboard_ttl: Duration,
    capacity: u64,
    clock: terrace::Clock,
}

impl Plan {
    pub(super) fn of(config: &Config, clock: terrace::Clock) -> Result<Self, terrace::Error> {
        let store = |url: &RedisUrl| {
            let store = RedisStore::connect(url.expose())?;
            store.namespace(&config.redis_namespace)
        };
        Ok(Self {
            store: config.redis_url.as_ref().map(store).transpose()?,
            policy: config.l1_policy.map(policy).unwrap_or_default(),
            local_ttl: config.l1_ttl,
            store_timeout: config.l2_timeout,
            longest: config.l2_ttl,
            load_timeout: config.upstream_timeout + LOAD_GRACE,
            market_data_ttl: config.market_data_ttl,
            dashboard_ttl: config.dashboard_ttl,
            capacity: config.l1_capacity,
            clock,
        })
    }

    /// The summary: shown while it is read anew, and for as long as L2 keeps it if that fails.
    pub(super) fn dashboard(&self) -> EntryOptions {
        let reserve = self.longest.saturating_sub(self.dashboard_ttl);
        self.brief(self.dashboard_ttl)
            .stale_while_revalidate(self.dashboard_ttl.min(reserve))
            .stale_if_error(reserve)
    }

    /// Market data of a coin.
    pub(super) fn market(&self) -> EntryOptions {
        let ttl = self.market_data_ttl.min(self.longest);
        let reserve = MARKET_STALE.min(self.longest.saturating_sub(ttl));
        self.brief(ttl)
            .stale_while_revalidate(ttl.min(reserve))
            .stale_if_error(reserve)
    }

    /// Candles: the refresher reads them beside its round, for as long as a round may last at the
    /// most. No stale life: the figures computed from candles have one, and say so.
    pub(super) fn candles(&self) -> EntryOptions {
        let options = self.brief(self.market_data_ttl);
        options.load_timeout(self.load_timeout.max(ROUND_LIMIT))
    }

    /// Indicators: computed anew from candles, and shown for long where there are none.
    pub(super) fn indicator(&self) -> EntryOptions {
        let ttl = self.indicator_ttl();
        let reserve = INDICATOR_STALE.min(self.longest.saturating_sub(ttl));
        self.brief(ttl).stale_if_error(reserve)
    }

    /// How long an indicator is fresh, counted from when its candles were read.
    pub(super) fn indicator_ttl(&self) -> Duration {
        self.market_data_ttl.min(self.longest)
    }

    /// Fresh for `ttl`, and then gone.
    pub(super) fn brief(&self, ttl: Duration) -> EntryOptions {
        EntryOptions::ttl(ttl.min(self.longest)).load_timeout(self.load_timeout)
    }

    pub(super) fn few_entries(&self) -> u64 {
        self.share(FEW_ENTRIES)
    }

    pub(super) fn candles_entries(&self) -> u64 {
        self.share(CANDLES_ENTRIES)
    }

    pub(super) fn indicator_entries(&self) -> u64 {
        self.share(INDICATOR_ENTRIES)
    }

    /// What the others leave.
    pub(super) fn general_entries(&self) -> u64 {
        let taken = 2 * self.few_entries() + self.candles_entries() + self.indicator_entries();
        self.capacity.saturating_sub(taken).max(1)
    }

    /// A cache over the shared store, raised in `schema` whenever its stored shape changes: older
    /// programs then leave newer values alone.
    pub(super) fn cache<V>(
        &self,
        name: &str,
        schema: u32,
        entries: u64,
        options: EntryOptions,
    ) -> Result<Cache<V>, terrace::Error>
    where
        V: Send + Sync + 'static,
        Postcard: Codec<V>,
    {
        let builder = self.builder(name, schema).capacity(entries);
        let builder = builder.policy(self.policy).local_ttl(self.local_ttl);
        builder.defaults(options).build()
    }

    /// A cache that keeps nothing in memory; none without a store. Its values outlive all others: the
    /// last good figures are among them. The lease of a load is brief, for nothing is asked in one.
    pub(super) fn shared<V>(
        &self,
        name: &str,
        schema: u32,
    ) -> Result<Option<Cache<V>>, terrace::Error>
    where
        V: Send + Sync + 'static,
        Postcard: Codec<V>,
    {
        if self.store.is_none() {
            return Ok(None);
        }
        let options = EntryOptions::ttl(LONGEST_HARD_TIME).load_timeout(BRIEF_LOAD);
        let builder = self.builder(name, schema).no_local();
        builder.defaults(options).build().map(Some)
    }

    fn builder<V>(&self, name: &str, schema: u32) -> Builder<V>
    where
        V: Send + Sync + 'static,
        Postcard: Codec<V>,
    {
        let builder = Cache::builder(name)
            .schema(schema)
            .clock(self.clock.clone())
            .store_timeout(self.store_timeout);
        match &self.store {
            Some(store) => builder.store(store.clone()),
            None => builder,
        }
    }

    fn share(&self, most: u64) -> u64 {
        (self.capacity / 8).clamp(1, most)
    }
}

/// Whether terrace understands the address; asks nobody.
pub(crate) fn is_redis_url(url: &str) -> bool {
    RedisStore::connect(url).is_ok()
}

fn policy(policy: Policy) -> terrace::Policy {
    match policy {
        Policy::TinyLfu => terrace::Policy::TinyLfu,
        Policy::Lru => terrace::Policy::Lru,
        Policy::S3Fifo => terrace::Policy::S3Fifo,
    }
}
