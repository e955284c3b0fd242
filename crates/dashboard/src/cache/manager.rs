//! The service's one door to its caches: a terrace cache per kind of value, over one shared store.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use terrace::{BoxError, Cache, Entry, EntryOptions, Loaded, RedisStore, Written};

use super::keys::{CacheKeys, Interval, Key, Kind};
use crate::{
    config::Config,
    market::{LONGEST_HARD_TIME, ROUND_LIMIT, candles::Candles, summary::Summary, symbol::Symbol},
    setting::{Policy, RedisUrl},
};

pub use super::tally::{CacheStats, Cleared};

/// What a load may take beyond UPSTREAM_TIMEOUT_MS, which it keeps by itself.
const LOAD_GRACE: Duration = Duration::from_secs(1);
/// Of L1's capacity, what the two caches with few keys get at the most.
const DASHBOARD_ENTRIES: u64 = 64;
const CANDLES_ENTRIES: u64 = 128;
/// Raised whenever a stored shape changes, so that older programs leave newer values alone.
const SUMMARY_SCHEMA: u32 = 1;
const CANDLES_SCHEMA: u32 = 1;

/// Why a cache did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The cache itself.
    #[error("the cache failed")]
    Cache(#[from] terrace::Error),
    /// The key belongs to a cache of one kind of value, and this is none.
    #[error("key {0} belongs to a cache with values of its own kind")]
    OtherKind(Key),
    /// What is there, or is to be put there, is not of the type asked for.
    #[error("the value under {0} is of another type")]
    OtherType(Key),
}

/// The store could not be asked whether it has something.
#[derive(Debug, thiserror::Error)]
#[error("the store did not answer")]
pub struct StoreSilent;

/// A value of the general cache: encoded, since one cache holds many types.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Encoded(Bytes);

/// The service's caches.
#[derive(Debug)]
pub struct CacheManager {
    dashboard: Cache<Arc<Summary>>,
    candles: Cache<Arc<Candles>>,
    general: Cache<Encoded>,
    market_data_ttl: Duration,
    /// CACHE_L2_TTL_SECONDS: what no value outlives in L2, the last good figures apart.
    longest: Duration,
    load_timeout: Duration,
    has_store: bool,
    engine: &'static str,
}

impl CacheManager {
    /// Builds the caches. Does not wait for the store, which may be down.
    ///
    /// # Errors
    /// When the store's address cannot be understood.
    pub fn build(config: &Config) -> Result<Self, CacheError> {
        let store = config
            .redis_url
            .as_ref()
            .map(|url| store(url, config))
            .transpose()?;
        let policy = config
            .l1_policy
            .map_or_else(terrace::Policy::default, policy);
        let total = config.l1_capacity;
        let dashboard_entries = (total / 8).clamp(1, DASHBOARD_ENTRIES);
        let candles_entries = (total / 8).clamp(1, CANDLES_ENTRIES);
        let general_entries = total
            .saturating_sub(dashboard_entries + candles_entries)
            .max(1);
        let load_timeout = config.upstream_timeout + LOAD_GRACE;
        let brief =
            |ttl: Duration| EntryOptions::ttl(ttl.min(config.l2_ttl)).load_timeout(load_timeout);
        let reserve = config.l2_ttl.saturating_sub(config.dashboard_ttl);
        let summary_options = brief(config.dashboard_ttl)
            .stale_while_revalidate(config.dashboard_ttl.min(reserve))
            .stale_if_error(reserve);

        let mut dashboard = Cache::builder("dashboard")
            .capacity(dashboard_entries)
            .schema(SUMMARY_SCHEMA)
            .policy(policy)
            .local_ttl(config.l1_ttl)
            .store_timeout(config.l2_timeout)
            .defaults(summary_options);
        let mut candles = Cache::builder("candles")
            .capacity(candles_entries)
            .schema(CANDLES_SCHEMA)
            .policy(policy)
            .local_ttl(config.l1_ttl)
            .store_timeout(config.l2_timeout)
            // The refresher reads them beside its round, for as long as a round may last at the most.
            // No stale life: the figures computed from candles have one, and say so.
            .defaults(brief(config.market_data_ttl).load_timeout(load_timeout.max(ROUND_LIMIT)));
        let mut general = Cache::builder("general")
            .capacity(general_entries)
            .policy(policy)
            .local_ttl(config.l1_ttl)
            .store_timeout(config.l2_timeout)
            .defaults(brief(config.market_data_ttl));
        let has_store = store.is_some();
        if let Some(store) = store {
            dashboard = dashboard.store(store.clone());
            candles = candles.store(store.clone());
            general = general.store(store);
        }
        Ok(Self {
            dashboard: dashboard.build()?,
            candles: candles.build()?,
            general: general.build()?,
            market_data_ttl: config.market_data_ttl,
            longest: config.l2_ttl,
            load_timeout,
            has_store,
            engine: policy.engine(),
        })
    }

    /// The summary, cached or loaded.
    ///
    /// # Errors
    /// The load's own, if nothing stale can stand in.
    pub async fn cache_dashboard_data<F, Fut, E>(
        &self,
        load: F,
    ) -> Result<Entry<Arc<Summary>>, terrace::Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Loaded<Arc<Summary>>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.dashboard
            .get_or_load(CacheKeys::dashboard_summary(), load)
            .await
    }

    /// The summary, loaded anew and stored; one flight with those who miss it.
    ///
    /// # Errors
    /// As [`CacheManager::cache_dashboard_data`].
    pub async fn refresh_dashboard_data<F, Fut, E>(
        &self,
        load: F,
    ) -> Result<Entry<Arc<Summary>>, terrace::Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Loaded<Arc<Summary>>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.dashboard
            .refresh(CacheKeys::dashboard_summary(), load)
            .await
    }

    /// The summary if some tier has it; nothing is loaded.
    pub async fn cached_dashboard_data(&self) -> Option<Entry<Arc<Summary>>> {
        self.dashboard
            .get(CacheKeys::dashboard_summary())
            .await
            .ok()
            .flatten()
    }

    /// Candles of a coin, cached or loaded.
    ///
    /// # Errors
    /// The load's own.
    pub async fn cache_candles<F, Fut, E>(
        &self,
        symbol: Symbol,
        interval: Interval,
        load: F,
    ) -> Result<Entry<Arc<Candles>>, terrace::Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Arc<Candles>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.candles
            .get_or_load(CacheKeys::candles(symbol, interval), load)
            .await
    }

    /// The last good figures that any instance left, however long ago.
    ///
    /// # Errors
    /// When nobody can say whether there are any.
    pub async fn last_good(&self) -> Result<Option<Arc<Summary>>, StoreSilent> {
        let trouble = || {
            let stats = self.dashboard.stats();
            stats.store_errors + stats.store_skipped
        };
        let before = trouble();
        match self.dashboard.get(CacheKeys::dashboard_live()).await {
            Ok(Some(entry)) => Ok(Some(Arc::clone(entry.value()))),
            // A store that fails is a miss to a reader. Here the two must not be taken for one
            // another: after a true miss, new figures may take the place of old ones.
            Ok(None) if trouble() == before => Ok(None),
            _ => Err(StoreSilent),
        }
    }

    /// Keeps a summary as the last good figures. Without a store they die with the process anyway.
    pub async fn keep_last_good(&self, summary: Arc<Summary>) {
        if !self.has_store {
            return;
        }
        let options = EntryOptions::ttl(LONGEST_HARD_TIME);
        let kept = self
            .dashboard
            .set_with(CacheKeys::dashboard_live(), &options, summary)
            .await;
        if let Err(error) = kept {
            tracing::debug!(%error, "the last good figures were not kept");
        }
    }

    /// Any serde value, cached or computed; fresh for `ttl`.
    ///
    /// # Errors
    /// The load's own; a key of another kind; what is cached there has another type.
    pub async fn cache_or_compute<T, F, Fut, E>(
        &self,
        key: &Key,
        ttl: Duration,
        load: F,
    ) -> Result<T, CacheError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        check_kind(key)?;
        let options = self.general_with(ttl);
        let entry = self
            .general
            .get_or_load_with(key, &options, || {
                let loading = load();
                async move {
                    let value = loading.await.map_err(Into::into)?;
                    let encoded = serde_json::to_vec(&value).map_err(BoxError::from)?;
                    Ok::<_, BoxError>(Encoded(encoded.into()))
                }
            })
            .await?;
        decode(key, entry.value())
    }

    /// What some tier has under the key.
    ///
    /// # Errors
    /// A key of another kind; what is cached there has another type.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, CacheError> {
        check_kind(key)?;
        let entry = self.general.get(key).await?;
        entry.map(|entry| decode(key, entry.value())).transpose()
    }

    /// Puts a value into every tier, fresh for MARKET_DATA_TTL_SECONDS.
    ///
    /// # Errors
    /// A key of another kind; a value that cannot be encoded; the store's, since writes report.
    pub async fn set<T: Serialize>(&self, key: &Key, value: &T) -> Result<Written, CacheError> {
        self.set_with_ttl(key, value, self.market_data_ttl).await
    }

    /// [`CacheManager::set`], fresh for `ttl`.
    ///
    /// # Errors
    /// As [`CacheManager::set`].
    pub async fn set_with_ttl<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        ttl: Duration,
    ) -> Result<Written, CacheError> {
        check_kind(key)?;
        let encoded = serde_json::to_vec(value).map_err(|_| CacheError::OtherType(key.clone()))?;
        let options = self.general_with(ttl);
        Ok(self
            .general
            .set_with(key, &options, Encoded(encoded.into()))
            .await?)
    }

    /// Removes one key, of whatever kind, from every tier.
    ///
    /// # Errors
    /// The store's.
    pub async fn invalidate(&self, key: &Key) -> Result<(), CacheError> {
        match key.kind() {
            Kind::Dashboard => self.dashboard.remove(key).await?,
            Kind::Candles => self.candles.remove(key).await?,
            Kind::Market | Kind::Indicator | Kind::Report | Kind::General => {
                self.general.remove(key).await?;
            }
        }
        Ok(())
    }

    /// Empties every cache in every tier and tells what that was. Let the data service forget first,
    /// or a round in between could put its last good figures back.
    pub async fn clear(&self) -> Cleared {
        let mut cleared = Cleared::default();
        cleared.note("dashboard", self.dashboard.clear().await);
        cleared.note("candles", self.candles.clear().await);
        cleared.note("general", self.general.clear().await);
        cleared
    }

    /// What the caches did and hold.
    pub fn stats(&self) -> CacheStats {
        let caches = [
            ("dashboard", self.dashboard.stats()),
            ("candles", self.candles.stats()),
            ("general", self.general.stats()),
        ];
        CacheStats::of(self.engine, caches.to_vec())
    }

    /// Whether every tier that is configured works. L1 cannot fail; the store's last probe, at most
    /// some seconds old, tells for it. Asks nobody.
    pub fn health_check(&self) -> bool {
        self.stats().is_sound()
    }

    /// Ends the caches, lets writes under way finish.
    pub async fn close(&self) {
        self.dashboard.close().await;
        self.candles.close().await;
        self.general.close().await;
    }

    fn general_with(&self, ttl: Duration) -> EntryOptions {
        EntryOptions::ttl(ttl.min(self.longest)).load_timeout(self.load_timeout)
    }
}

/// Whether terrace understands the address; asks nobody.
pub(crate) fn is_redis_url(url: &str) -> bool {
    RedisStore::connect(url).is_ok()
}

fn store(url: &RedisUrl, config: &Config) -> Result<RedisStore, terrace::Error> {
    RedisStore::connect(url.expose())?.namespace(&config.redis_namespace)
}

fn policy(policy: Policy) -> terrace::Policy {
    match policy {
        Policy::TinyLfu => terrace::Policy::TinyLfu,
        Policy::Lru => terrace::Policy::Lru,
        Policy::S3Fifo => terrace::Policy::S3Fifo,
    }
}

fn check_kind(key: &Key) -> Result<(), CacheError> {
    match key.kind() {
        Kind::Dashboard | Kind::Candles => Err(CacheError::OtherKind(key.clone())),
        Kind::Market | Kind::Indicator | Kind::Report | Kind::General => Ok(()),
    }
}

fn decode<T: DeserializeOwned>(key: &Key, encoded: &Encoded) -> Result<T, CacheError> {
    serde_json::from_slice(&encoded.0).map_err(|_| CacheError::OtherType(key.clone()))
}
