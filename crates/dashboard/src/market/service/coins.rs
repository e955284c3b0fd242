//! What is asked about one coin: market data, candles, indicators.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{DataService, TechnicalError, Unavailable, cached, fresh};
use crate::{
    cache::keys::Interval,
    indicator::Indicator,
    market::{
        answer::Answer,
        candles::Candles,
        round::into_upstream,
        symbol::Symbol,
        technical::{LastBar, Technical},
        ticker::Ticker,
    },
};

impl DataService {
    /// Market data of one coin: cached, or read now.
    ///
    /// # Errors
    /// When no source has it and nothing is cached that is young enough.
    pub async fn fetch_market_data(&self, symbol: Symbol) -> Result<Answer<Ticker>, Unavailable> {
        let Some(cache) = &self.cache else {
            return self.fetch_market_data_direct(symbol).await;
        };
        let (market, deadline) = (Arc::clone(&self.market), self.deadline());
        let load = || async move {
            let ticker = market.desk().ticker(symbol, deadline).await;
            ticker.map(Arc::new)
        };
        let entry = cache.cache_market_data(symbol, load).await;
        entry
            .map(|entry| cached(&entry))
            .map_err(|error| Unavailable(into_upstream(error).reason()))
    }

    /// Market data of one coin, read now; the cache is not asked and learns nothing.
    ///
    /// # Errors
    /// When no source has it.
    pub async fn fetch_market_data_direct(
        &self,
        symbol: Symbol,
    ) -> Result<Answer<Ticker>, Unavailable> {
        let ticker = self.market.desk().ticker(symbol, self.deadline()).await;
        let ticker = ticker.map_err(|error| Unavailable(error.reason()))?;
        Ok(fresh(Arc::new(ticker), Duration::ZERO))
    }

    /// Candles of one coin: cached, or read now.
    ///
    /// # Errors
    /// When no source has them.
    pub async fn fetch_candles(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Arc<Candles>, Unavailable> {
        let candles = self.market.candles(symbol, interval, self.deadline()).await;
        candles.map_err(|error| Unavailable(error.reason()))
    }

    /// Candles of one coin, read now; the cache is not asked and learns nothing.
    ///
    /// # Errors
    /// When no source has them.
    pub async fn fetch_candles_direct(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Arc<Candles>, Unavailable> {
        let desk = self.market.desk();
        let candles = desk.candles(symbol, interval, self.deadline()).await;
        candles
            .map(Arc::new)
            .map_err(|error| Unavailable(error.reason()))
    }

    /// An indicator on the newest closed bar: cached, or computed now from cached candles.
    ///
    /// # Errors
    /// When no source has candles, or the indicator has no value on them.
    pub async fn fetch_technical_indicator(
        &self,
        symbol: Symbol,
        indicator: Indicator,
        interval: Interval,
    ) -> Result<Answer<Technical>, TechnicalError> {
        let Some(cache) = &self.cache else {
            return self
                .fetch_technical_indicator_direct(symbol, indicator, interval, LastBar::Closed)
                .await;
        };
        let (market, deadline) = (Arc::clone(&self.market), self.deadline());
        let load = || async move {
            let candles = market.candles(symbol, interval, deadline).await;
            let candles = candles.map_err(|error| Unavailable(error.reason()))?;
            let technical = Technical::of(indicator, &candles, LastBar::Closed)?;
            Ok::<_, TechnicalError>(Arc::new(technical))
        };
        let entry = cache.cache_technical_indicator(symbol, indicator, interval, load);
        entry.await.map(|entry| cached(&entry)).map_err(|error| {
            let own = error.load_error::<TechnicalError>().copied();
            own.unwrap_or_else(|| Unavailable(into_upstream(error).reason()).into())
        })
    }

    /// An indicator computed now; of the caches only the candles' is asked. The open bar's value is
    /// never cached: it changes with each trade.
    ///
    /// # Errors
    /// As [`fetch_technical_indicator`](Self::fetch_technical_indicator).
    pub async fn fetch_technical_indicator_direct(
        &self,
        symbol: Symbol,
        indicator: Indicator,
        interval: Interval,
        last: LastBar,
    ) -> Result<Answer<Technical>, TechnicalError> {
        let candles = self.fetch_candles(symbol, interval).await?;
        let technical = Technical::of(indicator, &candles, last)?;
        let since = self.clock.now().duration_since(candles.received_at);
        let age = Duration::try_from(since).unwrap_or_default();
        Ok(fresh(Arc::new(technical), age))
    }

    fn deadline(&self) -> Instant {
        self.clock.monotonic() + self.upstream_timeout
    }
}
