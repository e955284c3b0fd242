//! What is asked about one coin: market data, candles, indicators.

use std::{sync::Arc, time::Duration};

use terrace::Entry;
use tokio::time::{Instant, timeout_at};

use super::{ASSEMBLY_GRACE, DataService, TechnicalError, Unavailable};
use crate::{
    cache::{keys::Interval, manager::CacheManager},
    indicator::Indicator,
    market::{
        answer::Answer,
        candles::Candles,
        desk::Turn,
        figure::Reason,
        round::{Market, into_upstream},
        symbol::Symbol,
        technical::{LastBar, Technical},
        ticker::Ticker,
    },
};

/// Own reads of candles end at their deadline; one that is joined may be the refresher's, which has
/// longer. Less than [`ASSEMBLY_GRACE`], so that an old indicator can still stand in.
const JOINED_GRACE: Duration = Duration::from_millis(100);

impl DataService {
    /// Market data of one coin: cached, or read now.
    ///
    /// # Errors
    /// When no source has it and nothing is cached that is young enough.
    pub async fn fetch_market_data(&self, symbol: Symbol) -> Result<Answer<Ticker>, Unavailable> {
        let answer = match &self.cache {
            Some(cache) => self.market_data(cache, symbol).await,
            None => self.market_data_direct(symbol).await,
        };
        self.answers
            .count_result(answer.map(|answer| self.judged(answer)))
    }

    /// Market data of one coin, read now; the cache is not asked and learns nothing.
    ///
    /// # Errors
    /// When no source has it.
    pub async fn fetch_market_data_direct(
        &self,
        symbol: Symbol,
    ) -> Result<Answer<Ticker>, Unavailable> {
        let answer = self.market_data_direct(symbol).await;
        self.answers
            .count_result(answer.map(|answer| self.judged(answer)))
    }

    /// Candles of one coin: cached, or read now.
    ///
    /// # Errors
    /// When no source has them.
    pub async fn fetch_candles(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Answer<Candles>, Unavailable> {
        let candles = candles_in_time(&self.market, symbol, interval, self.deadline()).await;
        self.answers.count_result(candles)
    }

    /// Candles of one coin, read now; the cache is not asked and learns nothing.
    ///
    /// # Errors
    /// When no source has them.
    pub async fn fetch_candles_direct(
        &self,
        symbol: Symbol,
        interval: Interval,
    ) -> Result<Answer<Candles>, Unavailable> {
        let desk = self.market.desk();
        let candles = desk
            .candles(symbol, interval, self.deadline(), &Turn::default())
            .await;
        let answer = candles
            .map(|candles| Answer::uncached(Arc::new(candles), Duration::ZERO))
            .map_err(|error| Unavailable(error.reason()));
        self.answers.count_result(answer)
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
        let answer = match &self.cache {
            Some(cache) => self.technical(cache, symbol, indicator, interval).await,
            None => {
                self.technical_direct(symbol, indicator, interval, LastBar::Closed)
                    .await
            }
        };
        self.answers.count_result(answer)
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
        let answer = self
            .technical_direct(symbol, indicator, interval, last)
            .await;
        self.answers.count_result(answer)
    }

    async fn market_data(
        &self,
        cache: &CacheManager,
        symbol: Symbol,
    ) -> Result<Answer<Ticker>, Unavailable> {
        let (market, deadline) = (Arc::clone(&self.market), self.deadline());
        let load = || async move {
            let ticker = market.desk().ticker(symbol, deadline).await;
            ticker.map(Arc::new)
        };
        let entry = cache.cache_market_data(symbol, load).await;
        entry
            .map(|entry| Answer::cached(&entry))
            .map_err(|error| Unavailable(into_upstream(error).reason()))
    }

    async fn market_data_direct(&self, symbol: Symbol) -> Result<Answer<Ticker>, Unavailable> {
        let ticker = self.market.desk().ticker(symbol, self.deadline()).await;
        let ticker = ticker.map_err(|error| Unavailable(error.reason()))?;
        Ok(Answer::uncached(Arc::new(ticker), Duration::ZERO))
    }

    /// The source may be behind, however lately it was asked.
    fn judged(&self, answer: Answer<Ticker>) -> Answer<Ticker> {
        let is_behind = answer.value.age(self.clock.now()) > self.market_data_ttl;
        Answer {
            is_stale: answer.is_stale || is_behind,
            ..answer
        }
    }

    async fn technical(
        &self,
        cache: &CacheManager,
        symbol: Symbol,
        indicator: Indicator,
        interval: Interval,
    ) -> Result<Answer<Technical>, TechnicalError> {
        let (market, deadline) = (Arc::clone(&self.market), self.deadline());
        let load = || async move {
            let candles = candles_in_time(&market, symbol, interval, deadline).await?;
            let technical = Technical::of(indicator, &candles.value, LastBar::Closed)?;
            Ok::<_, TechnicalError>((Arc::new(technical), candles.age))
        };
        let entry = cache.cache_technical_indicator(symbol, indicator, interval, load);
        let late = |_| Unavailable(Reason::TimedOut);
        // Another instance may hold the lease of this load for longer than a reader waits.
        let entry = timeout_at(deadline + ASSEMBLY_GRACE, entry).await;
        entry
            .map_err(late)?
            .map(|entry| self.technical_answer(&entry))
            .map_err(|error| {
                let own = error.load_error::<TechnicalError>().copied();
                own.unwrap_or_else(|| Unavailable(into_upstream(error).reason()).into())
            })
    }

    /// As old as its candles, whenever it was computed from them.
    fn technical_answer(&self, entry: &Entry<Arc<Technical>>) -> Answer<Technical> {
        let answer = Answer::cached(entry);
        let age = self.clock.now().duration_since(answer.value.received_at);
        Answer {
            // By clocks that disagree they may reach us in the future.
            age: answer.age.max(Duration::try_from(age).unwrap_or_default()),
            ..answer
        }
    }

    async fn technical_direct(
        &self,
        symbol: Symbol,
        indicator: Indicator,
        interval: Interval,
        last: LastBar,
    ) -> Result<Answer<Technical>, TechnicalError> {
        let candles = candles_in_time(&self.market, symbol, interval, self.deadline()).await?;
        let technical = Technical::of(indicator, &candles.value, last)?;
        Ok(Answer::uncached(Arc::new(technical), candles.age))
    }

    fn deadline(&self) -> Instant {
        self.clock.monotonic() + self.upstream_timeout
    }
}

/// Candles for a reader, who does not wait for a read that others may wait longer for.
async fn candles_in_time(
    market: &Market,
    symbol: Symbol,
    interval: Interval,
    deadline: Instant,
) -> Result<Answer<Candles>, Unavailable> {
    let turn = Turn::default();
    let candles = market.candles(symbol, interval, deadline, &turn);
    match timeout_at(deadline + JOINED_GRACE, candles).await {
        Ok(candles) => candles.map_err(|error| Unavailable(error.reason())),
        Err(_) => Err(Unavailable(Reason::TimedOut)),
    }
}
