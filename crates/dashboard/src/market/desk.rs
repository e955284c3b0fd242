//! Where questions go: to one source after the other, until all is known or nobody is left to ask.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    answer::SourceReport,
    batch::Batch,
    candles::Candles,
    error::UpstreamError,
    figure::{Figure, Group},
    source::{
        Source, alternative_me, binance, coinbase, coingecko, coinmarketcap, finnhub, kraken, taapi,
    },
    symbol::Symbol,
    ticker::Ticker,
    transport::Transport,
    upstream::Upstream,
};
use crate::{cache::keys::Interval, clock::Clock, config::Config};

/// Who is being asked, of those whom one read asks in turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turn(Arc<Mutex<Option<Source>>>);

impl Turn {
    /// None before anybody was asked, or where another read is joined.
    pub(crate) fn source(&self) -> Option<Source> {
        *self.slot()
    }

    fn pass_to(&self, source: Source) {
        *self.slot() = Some(source);
    }

    fn slot(&self) -> MutexGuard<'_, Option<Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sources that are on.
#[derive(Debug)]
pub(crate) struct Desk {
    upstreams: Vec<Upstream>,
    symbols: Vec<Symbol>,
    clock: Clock,
    /// What all the sources of one question share.
    patience: Duration,
}

impl Desk {
    pub(crate) fn new(config: &Config, transport: &Arc<dyn Transport>, clock: &Clock) -> Self {
        let upstream =
            |source: Source| Upstream::new(source, config, Arc::clone(transport), clock.clone());
        Self {
            upstreams: Source::ALL.into_iter().filter_map(upstream).collect(),
            symbols: config.symbols.clone(),
            clock: clock.clone(),
            patience: config.upstream_timeout,
        }
    }

    /// What is known of a group's figures after everybody was asked who has to be.
    pub(crate) async fn group(
        &self,
        group: Group,
        deadline: Instant,
        turn: &Turn,
    ) -> Result<Batch, UpstreamError> {
        let wanted: Vec<Figure> = self.figures(group);
        let mut batch = Batch::new();
        let mut first_error = None;
        for (upstream, left) in self.queue(group.sources()) {
            let missing: Vec<Figure> = batch.lacks(&wanted).collect();
            if missing.is_empty() {
                break;
            }
            let until = self.share(deadline, left);
            turn.pass_to(upstream.source());
            match self.ask(group, upstream, &missing, until).await {
                Ok(more) => batch.complete_with(more),
                // That it lacks a coin says nothing of the source.
                Err(UpstreamError::NotOffered) => {}
                Err(error) => {
                    upstream.complain(group, &error);
                    batch.go_without(&missing, error.reason());
                    keep(&mut first_error, error);
                }
            }
        }
        match first_error {
            Some(error) if !batch.has_value() => Err(error),
            None if batch.figures.is_empty() => Err(UpstreamError::NotOffered),
            _ => batch.or_rejected(),
        }
    }

    /// Market data of one coin, from the first source that has it.
    pub(crate) async fn ticker(
        &self,
        symbol: Symbol,
        deadline: Instant,
    ) -> Result<Ticker, UpstreamError> {
        let ask = |upstream, until| {
            async move {
                let ticker = match Upstream::source(upstream) {
                    Source::Binance => binance::ticker(upstream, symbol, until).await,
                    Source::Coinbase => coinbase::ticker(upstream, symbol, until).await,
                    Source::Kraken => kraken::ticker(upstream, symbol, until).await,
                    Source::CoinGecko => coingecko::ticker(upstream, symbol, until).await,
                    _ => Err(UpstreamError::NotOffered),
                };
                Ok(ticker?.timely()?)
            }
            .boxed()
        };
        self.first(Group::Prices, Group::Prices.sources(), deadline, ask)
            .await
    }

    /// Candles of one coin, from the first source that has them.
    pub(crate) async fn candles(
        &self,
        symbol: Symbol,
        interval: Interval,
        deadline: Instant,
        turn: &Turn,
    ) -> Result<Candles, UpstreamError> {
        let ask = |upstream, until| {
            turn.pass_to(Upstream::source(upstream));
            async move {
                match Upstream::source(upstream) {
                    Source::Binance => binance::candles(upstream, symbol, interval, until).await,
                    Source::Coinbase => coinbase::candles(upstream, symbol, interval, until).await,
                    Source::Kraken => kraken::candles(upstream, symbol, interval, until).await,
                    _ => Err(UpstreamError::NotOffered),
                }
            }
            .boxed()
        };
        self.first(Group::Candles, &CANDLE_SOURCES, deadline, ask)
            .await
    }

    /// How each source is doing, those that are off as well.
    pub(crate) fn reports(&self) -> Vec<SourceReport> {
        let report = |source: Source| match self.upstream(source) {
            Some(upstream) => upstream.report(),
            None => SourceReport::off(source),
        };
        Source::ALL.map(report).to_vec()
    }

    /// A round went on without this source's answer.
    pub(crate) fn was_slow(&self, group: Group, source: Source) {
        if let Some(upstream) = self.upstream(source) {
            upstream.complain(group, &UpstreamError::TimedOut);
        }
    }

    /// Leaves a source alone until then, as another instance was told to.
    pub(crate) fn cool_until(&self, source: Source, until: Timestamp) {
        if let Some(upstream) = self.upstream(source) {
            upstream.cool_until(until);
        }
    }

    /// Forgets opened breakers; a cool-down that a provider asked for stays.
    pub(crate) fn forget(&self) {
        self.upstreams.iter().for_each(Upstream::forget);
    }

    async fn ask(
        &self,
        group: Group,
        upstream: &Upstream,
        missing: &[Figure],
        until: Instant,
    ) -> Result<Batch, UpstreamError> {
        let symbols: Vec<Symbol> = self
            .symbols
            .iter()
            .copied()
            .filter(|&symbol| {
                missing.contains(&Figure::Price(symbol))
                    || missing.contains(&Figure::Change24h(symbol))
            })
            .collect();
        match (group, upstream.source()) {
            (Group::Prices, Source::Binance) => binance::prices(upstream, &symbols, until).await,
            (Group::Prices, Source::Coinbase) => coinbase::prices(upstream, &symbols, until).await,
            (Group::Prices | Group::CrossCheck, Source::Kraken) => {
                kraken::prices(upstream, group, &symbols, until).await
            }
            (Group::Prices, Source::CoinGecko) => {
                coingecko::prices(upstream, &symbols, until).await
            }
            (Group::Global, Source::CoinGecko) => coingecko::global(upstream, until).await,
            (Group::Global, Source::CoinMarketCap) => coinmarketcap::global(upstream, until).await,
            (Group::FearGreed, Source::AlternativeMe) => {
                alternative_me::fear_greed(upstream, until).await
            }
            (Group::UsStocks, Source::Finnhub) => finnhub::funds(upstream, until).await,
            (Group::Candles, Source::Taapi) => taapi::btc_rsi_14(upstream, until).await,
            _ => Err(UpstreamError::NotOffered),
        }
    }

    async fn first<'a, T>(
        &'a self,
        group: Group,
        sources: &[Source],
        deadline: Instant,
        ask: impl Fn(&'a Upstream, Instant) -> BoxFuture<'a, Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let mut first_error = None;
        for (upstream, left) in self.queue(sources) {
            match ask(upstream, self.share(deadline, left)).await {
                Ok(answer) => return Ok(answer),
                Err(UpstreamError::NotOffered) => {}
                Err(error) => {
                    upstream.complain(group, &error);
                    keep(&mut first_error, error);
                }
            }
        }
        Err(first_error.unwrap_or(UpstreamError::NotOffered))
    }

    /// Who is to be asked, and how many are left to be asked with them.
    fn queue(&self, sources: &[Source]) -> impl Iterator<Item = (&Upstream, u32)> {
        let on: Vec<&Upstream> = sources.iter().filter_map(|&s| self.upstream(s)).collect();
        let left = (1..=u32::try_from(on.len()).unwrap_or(u32::MAX)).rev();
        on.into_iter().zip(left)
    }

    /// When those who have candles must have answered, so that whoever has the indicator alone is left
    /// its share.
    pub(crate) fn candles_deadline(&self, deadline: Instant) -> Instant {
        let time = deadline.saturating_duration_since(self.clock.monotonic());
        let sources = self.queue(Group::Candles.sources()).map(|(_, left)| left);
        match (self.upstream(Source::Taapi), sources.max()) {
            (Some(_), Some(sources)) => deadline - time.min(self.patience) / sources,
            _ => deadline,
        }
    }

    /// An even share of the time that is left: one source that hangs leaves the others theirs.
    fn share(&self, deadline: Instant, left: u32) -> Instant {
        let now = self.clock.monotonic();
        if left <= 1 {
            return deadline;
        }
        let time = deadline.saturating_duration_since(now).min(self.patience);
        now + time / left
    }

    fn upstream(&self, source: Source) -> Option<&Upstream> {
        self.upstreams
            .iter()
            .find(|upstream| upstream.source() == source)
    }

    fn figures(&self, group: Group) -> Vec<Figure> {
        if group == Group::CrossCheck {
            return self
                .symbols
                .iter()
                .map(|&symbol| Figure::Price(symbol))
                .collect();
        }
        let all = Figure::all(&self.symbols, &super::stock::Fund::ALL);
        all.into_iter()
            .filter(|figure| figure.group() == group)
            .collect()
    }
}

const CANDLE_SOURCES: [Source; 3] = [Source::Binance, Source::Coinbase, Source::Kraken];

/// Keeps the first error that says something.
fn keep(kept: &mut Option<UpstreamError>, error: UpstreamError) {
    *kept = Some(match kept.take() {
        None => error,
        Some(first) => first.or_if_asked(error),
    });
}
