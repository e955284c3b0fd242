//! The service's one door to its caches: a terrace cache per kind of value, over one shared store.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use terrace::{BoxError, Cache, Entry, Loaded, Written};

use super::{
    keys::{CacheKeys, Interval, Key, Kind},
    plan::Plan,
};
use crate::{
    config::Config,
    indicator::Indicator,
    market::{
        bulletin::Bulletin, candles::Candles, summary::Summary, symbol::Symbol,
        technical::Technical, ticker::Ticker,
    },
};

pub use super::tally::{CacheStats, Cleared};

/// Raised whenever a stored shape changes, so that older programs leave newer values alone.
const SUMMARY_SCHEMA: u32 = 2;
const MARKET_SCHEMA: u32 = 1;
const CANDLES_SCHEMA: u32 = 2;
const INDICATOR_SCHEMA: u32 = 1;
const LIVE_SCHEMA: u32 = 3;

/// The least that can be left of a fresh time.
const LEAST_TTL: Duration = Duration::from_millis(1);

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

/// The board is cleared when it is seen to be, after so many attempts at the most.
const CLEARS: u32 = 20;
const CLEAR_PAUSE: Duration = Duration::from_millis(20);

/// What becomes of the board's notice.
pub(crate) enum Decision {
    /// This one takes its place.
    Pin(Bulletin),
    /// It stays as it was found.
    Leave(Option<Arc<Bulletin>>),
}

/// A value of the general cache: encoded, since one cache holds many types.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Encoded(Bytes);

/// The service's caches.
#[derive(Debug)]
pub struct CacheManager {
    dashboard: Cache<Arc<Summary>>,
    market: Cache<Arc<Ticker>>,
    candles: Cache<Arc<Candles>>,
    indicator: Cache<Arc<Technical>>,
    general: Cache<Encoded>,
    /// The board of the cluster. Nothing of it is held in memory; none without a store.
    live: Option<Cache<Option<Arc<Bulletin>>>>,
    plan: Plan,
}

impl CacheManager {
    /// Builds the caches. Does not wait for the store, which may be down.
    ///
    /// # Errors
    /// When the store's address cannot be understood.
    pub fn build(config: &Config) -> Result<Self, CacheError> {
        Self::build_with(config, terrace::Clock::default())
    }

    /// As [`build`](Self::build), by another clock: lives are counted in its time.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn build_with(config: &Config, clock: terrace::Clock) -> Result<Self, CacheError> {
        let plan = Plan::of(config, clock)?;
        let (few, brief) = (plan.few_entries(), plan.brief(plan.market_data_ttl));
        let (bars, readings) = (plan.candles_entries(), plan.indicator_entries());
        Ok(Self {
            dashboard: plan.cache("dashboard", SUMMARY_SCHEMA, few, plan.dashboard())?,
            market: plan.cache("market", MARKET_SCHEMA, few, plan.market())?,
            candles: plan.cache("candles", CANDLES_SCHEMA, bars, plan.candles())?,
            indicator: plan.cache("indicator", INDICATOR_SCHEMA, readings, plan.indicator())?,
            general: plan.cache("general", 0, plan.general_entries(), brief)?,
            live: plan.shared("live", LIVE_SCHEMA)?,
            plan,
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

    /// Removes the candles of a coin from every tier, and then the indicators computed from them: no
    /// load in between finds the old ones.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn remove_candles(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<(), CacheError> {
        let candles = CacheKeys::candles(symbol, interval);
        let removed = self.invalidate(&candles).await;
        self.indicator.remove_tag(&candles).await?;
        removed
    }

    /// Market data of a coin, cached or loaded.
    ///
    /// # Errors
    /// The load's own, if nothing stale can stand in.
    pub async fn cache_market_data<F, Fut, E>(
        &self,
        symbol: Symbol,
        load: F,
    ) -> Result<Entry<Arc<Ticker>>, terrace::Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Arc<Ticker>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.market
            .get_or_load(CacheKeys::market_data(symbol), load)
            .await
    }

    /// An indicator of a coin, cached or loaded: the load also says how old the candles are that it
    /// was computed from, for it is not fresh for longer than they are.
    ///
    /// # Errors
    /// The load's own.
    pub async fn cache_technical_indicator<F, Fut, E>(
        &self,
        symbol: Symbol,
        indicator: Indicator,
        interval: Interval,
        load: F,
    ) -> Result<Entry<Arc<Technical>>, terrace::Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<(Arc<Technical>, Duration), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let key = CacheKeys::indicator(symbol, indicator, interval);
        let candles = CacheKeys::candles(symbol, interval);
        let ttl = self.plan.indicator_ttl();
        let load = || {
            let loading = load();
            async move {
                let (technical, age) = loading.await?;
                let left = ttl.saturating_sub(age).max(LEAST_TTL);
                Ok::<_, E>(Loaded::new(technical).ttl(left).tag(candles))
            }
        };
        self.indicator.get_or_load(key, load).await
    }

    /// Whether there is a store behind L1.
    pub(crate) fn has_store(&self) -> bool {
        self.live.is_some()
    }

    /// What is pinned on the board of the cluster, and how long ago. None without a store.
    ///
    /// # Errors
    /// When the store cannot say.
    pub async fn bulletin(&self) -> Result<Option<(Arc<Bulletin>, Duration)>, terrace::Error> {
        let Some(live) = &self.live else {
            return Ok(None);
        };
        let entry = live.get(CacheKeys::dashboard_live()).await?;
        let aged =
            |entry: Entry<Option<Arc<Bulletin>>>| Some((entry.value().clone()?, entry.age()));
        Ok(entry.and_then(aged))
    }

    /// Compare and set: `decide` sees what is pinned, and says what is to be. Nobody else pins
    /// meanwhile; another pin under way, here or elsewhere, is joined, and its outcome is the answer.
    ///
    /// # Errors
    /// When the store cannot say what is there.
    pub(crate) async fn pin(
        &self,
        decide: impl FnOnce(Option<Arc<Bulletin>>) -> Decision + Send + 'static,
    ) -> Result<Option<Arc<Bulletin>>, terrace::Error> {
        let Some(live) = &self.live else {
            return Ok(None);
        };
        let looking = live.clone();
        let load = || async move {
            let there = looking.get(CacheKeys::dashboard_live()).await?;
            let there = there.and_then(|entry| entry.value().clone());
            Ok::<_, BoxError>(match decide(there) {
                Decision::Pin(next) => Loaded::new(Some(Arc::new(next))),
                Decision::Leave(there) => Loaded::new(there).do_not_store(),
            })
        };
        let entry = live.refresh(CacheKeys::dashboard_live(), load).await?;
        Ok(entry.value().clone())
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
        let options = self.plan.brief(ttl);
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
        self.set_with_ttl(key, value, self.plan.market_data_ttl)
            .await
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
        let options = self.plan.brief(ttl);
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
            Kind::Market => self.market.remove(key).await?,
            Kind::Candles => self.candles.remove(key).await?,
            Kind::Indicator => self.indicator.remove(key).await?,
            Kind::Report | Kind::General => self.general.remove(key).await?,
        };
        Ok(())
    }

    /// Removes every key that matches a glob (`*`, `?`, `[a-z]`, at most 128 bytes), of whatever kind,
    /// from every tier, and tells what that was. Nothing outside our namespace is ever looked at.
    ///
    /// # Errors
    /// What is no glob. That L2 could not be reached is told in what was cleared.
    pub async fn clear_pattern(&self, glob: &str) -> Result<Cleared, CacheError> {
        let removed = tokio::join!(
            self.dashboard.remove_matching(glob),
            self.market.remove_matching(glob),
            self.candles.remove_matching(glob),
            self.indicator.remove_matching(glob),
            self.general.remove_matching(glob),
        );
        let mut cleared = Cleared::default();
        let removed = [removed.0, removed.1, removed.2, removed.3, removed.4];
        for (name, removed) in NAMES.into_iter().zip(removed) {
            match removed {
                Err(error) if error.is_invalid_key() => return Err(error.into()),
                removed => cleared.note_removed(name, removed),
            }
        }
        Ok(cleared)
    }

    /// Empties every cache in every tier and tells what that was. Let the data service forget first,
    /// or a round in between could put its last good figures back.
    pub async fn clear(&self) -> Cleared {
        let mut cleared = Cleared::default();
        let done = [
            self.dashboard.clear().await,
            self.market.clear().await,
            self.candles.clear().await,
            self.indicator.clear().await,
            self.general.clear().await,
        ];
        for (name, done) in NAMES.into_iter().zip(done) {
            cleared.note(name, done);
        }
        if self.has_store() {
            cleared.note_board(self.clear_board().await);
        }
        cleared
    }

    /// Takes the newest summary off the board. Its notice stays, for it says who leads; whoever reads
    /// it next knows that everything was cleared.
    async fn clear_board(&self) -> Result<(), terrace::Error> {
        for _ in 0..CLEARS {
            let pinned = self.pin(|current| match current {
                Some(current) if current.news.is_some() => Decision::Pin(current.cleared()),
                current => Decision::Leave(current),
            });
            pinned.await?;
            // A sign of life may have been on its way instead; and an answer is not yet a write.
            let there = self.bulletin().await?;
            if there.is_none_or(|(bulletin, _)| bulletin.news.is_none()) {
                return Ok(());
            }
            tokio::time::sleep(CLEAR_PAUSE).await;
        }
        let cause = "others went on pinning";
        Err(terrace::Error::unavailable("clearing the board", cause))
    }

    /// What the caches did and hold.
    pub fn stats(&self) -> CacheStats {
        let stats = [
            self.dashboard.stats(),
            self.market.stats(),
            self.candles.stats(),
            self.indicator.stats(),
            self.general.stats(),
        ];
        CacheStats::of(
            self.plan.policy.engine(),
            NAMES.into_iter().zip(stats).collect(),
        )
    }

    /// Whether every tier that is configured works. L1 cannot fail; the store's last probe, at most
    /// some seconds old, tells for it. Asks nobody.
    pub fn health_check(&self) -> bool {
        self.stats().is_sound()
    }

    /// Ends the caches, lets writes under way finish.
    pub async fn close(&self) {
        self.dashboard.close().await;
        self.market.close().await;
        self.candles.close().await;
        self.indicator.close().await;
        self.general.close().await;
        if let Some(live) = &self.live {
            live.close().await;
        }
    }
}

/// The caches, in the order in which they are told of.
const NAMES: [&str; 5] = ["dashboard", "market", "candles", "indicator", "general"];

fn check_kind(key: &Key) -> Result<(), CacheError> {
    match key.kind() {
        Kind::Dashboard | Kind::Market | Kind::Candles | Kind::Indicator => {
            Err(CacheError::OtherKind(key.clone()))
        }
        Kind::Report | Kind::General => Ok(()),
    }
}

fn decode<T: DeserializeOwned>(key: &Key, encoded: &Encoded) -> Result<T, CacheError> {
    serde_json::from_slice(&encoded.0).map_err(|_| CacheError::OtherType(key.clone()))
}
