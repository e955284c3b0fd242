//! A round: asks the sources that are due, all at once, and makes one summary of what is known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{
    answer::SourceReport,
    binance,
    checked::Batch,
    coingecko,
    error::{ServiceError, UpstreamError},
    fear_greed,
    figure::{Figure, Group, Reason, Source},
    ledger::{Claim, Demand, Ledger},
    summary::{Origin, Summary},
    symbol::Symbol,
    upstream::{Upstream, client},
};
use crate::{
    cache::{keys::Interval, manager::CacheManager},
    clock,
    config::Config,
};

/// A round is not worth waiting for longer than this, however patient the settings are.
pub(crate) const ROUND_LIMIT: Duration = Duration::from_secs(30);

/// Reads end by themselves at their deadline and write down what that says of the source; this is
/// the net below them.
const VERDICT_GRACE: Duration = Duration::from_millis(100);

/// What a round came to.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) summary: Arc<Summary>,
    pub(crate) outcome: Outcome,
    pub(crate) ended: Instant,
}

/// How the sources did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No source was due.
    NothingAsked,
    /// Some source answered.
    Worked,
    /// Every source that was asked failed.
    Failed,
}

/// The sources and the last good figures.
#[derive(Debug)]
pub(crate) struct Market {
    binance: Upstream,
    coingecko: Upstream,
    alternative_me: Upstream,
    symbols: Vec<Symbol>,
    /// Invariant: the figures of `symbols`, in the order of a summary.
    figures: Vec<Figure>,
    origin: Origin,
    upstream_timeout: Duration,
    ledger: Mutex<Ledger>,
    cache: Option<Arc<CacheManager>>,
}

impl Market {
    pub(crate) fn new(
        config: &Config,
        cache: Option<Arc<CacheManager>>,
    ) -> Result<Self, ServiceError> {
        let bases = [&config.binance, &config.coingecko, &config.fng];
        let client = client(&bases, config.upstream_timeout)?;
        let upstream = |source, base: &crate::setting::BaseUrl| {
            Upstream::new(source, base.clone(), client.clone())
        };
        Ok(Self {
            binance: upstream(Source::Binance, &config.binance),
            coingecko: upstream(Source::CoinGecko, &config.coingecko),
            alternative_me: upstream(Source::AlternativeMe, &config.fng),
            symbols: config.symbols.clone(),
            figures: Figure::all(&config.symbols),
            origin: config.origin,
            upstream_timeout: config.upstream_timeout,
            ledger: Mutex::new(Ledger::new(config)),
            cache,
        })
    }

    /// Asks what is due and makes a summary; never fails, and never takes longer than
    /// UPSTREAM_TIMEOUT_MS and some milliseconds of computing.
    pub(crate) async fn round(&self, demand: Demand) -> Round {
        let start = clock::monotonic();
        let deadline = start + self.upstream_timeout;
        let claim = self.ledger().claim(demand, start);
        let reads = claim.groups.iter().map(|&group| self.read(group, deadline));
        let attempts = join_all(reads).await;
        let outcome = self.record(&claim, attempts);
        let took = clock::monotonic() - start;
        Round {
            summary: Arc::new(self.summary(took)),
            outcome,
            ended: clock::monotonic(),
        }
    }

    /// What is known at this moment; asks nobody.
    pub(crate) fn summary(&self, took: Duration) -> Summary {
        let now = clock::now();
        let readings = self.ledger().readings(now);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Summary::new(self.origin, now, took_ms, readings)
    }

    /// Takes over the figures of an earlier summary.
    pub(crate) fn seed(&self, summary: &Summary) {
        if summary.origin() == self.origin {
            self.ledger()
                .seed(summary, clock::monotonic(), clock::now());
        }
    }

    /// Whether a summary has this service's figures. Simulated ones under the name of real ones
    /// would be the worst of inventions.
    pub(crate) fn is_ours(&self, summary: &Summary) -> bool {
        let figures = summary.readings().iter().map(|reading| &reading.figure);
        summary.origin() == self.origin && figures.eq(&self.figures)
    }

    /// Forgets last good values and opened breakers; a cool-down that a provider asked for stays.
    pub(crate) fn forget(&self) {
        self.ledger().forget();
        for upstream in self.upstreams() {
            upstream.forget();
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.ledger().generation()
    }

    pub(crate) fn sources(&self) -> Vec<SourceReport> {
        self.upstreams().into_iter().map(Upstream::report).collect()
    }

    fn record(&self, claim: &Claim, attempts: Vec<Result<Batch, UpstreamError>>) -> Outcome {
        let now = clock::now();
        let mut worked = false;
        let mut troubles: HashMap<Source, Option<Reason>> = HashMap::new();
        let mut ledger = self.ledger();
        for (&group, attempt) in claim.groups.iter().zip(attempts) {
            worked |= attempt.is_ok();
            let attempt = attempt.map_err(|error| error.reason());
            let trouble = troubles.entry(group.source()).or_default();
            *trouble = trouble.or(attempt.as_ref().err().copied());
            ledger.record(claim, group, attempt, now);
        }
        drop(ledger);
        for (source, trouble) in troubles {
            self.upstream(source).conclude(trouble);
        }
        match (claim.groups.is_empty(), worked) {
            (true, _) => Outcome::NothingAsked,
            (false, true) => Outcome::Worked,
            (false, false) => Outcome::Failed,
        }
    }

    async fn read(&self, group: Group, deadline: Instant) -> Result<Batch, UpstreamError> {
        let reading = async {
            match group {
                Group::Prices => binance::prices(&self.binance, &self.symbols, deadline).await,
                Group::Candles => self.indicators(deadline).await,
                Group::Global => coingecko::global(&self.coingecko, deadline).await,
                Group::FearGreed => fear_greed::fear_greed(&self.alternative_me, deadline).await,
            }
        };
        let batch = timeout_at(deadline + VERDICT_GRACE, reading)
            .await
            .unwrap_or(Err(UpstreamError::TimedOut))?;
        let first_bad = batch
            .figures
            .iter()
            .find_map(|(_, value)| value.as_ref().err().copied());
        match first_bad {
            // An answer with nothing good in it is a failed read, so that the round counts as one.
            Some(reason) if batch.figures.iter().all(|(_, value)| value.is_err()) => {
                Err(UpstreamError::Rejected(reason))
            }
            _ => Ok(batch),
        }
    }

    /// Candles go through the cache: another instance may have read them a moment ago.
    async fn indicators(&self, deadline: Instant) -> Result<Batch, UpstreamError> {
        let Some(cache) = &self.cache else {
            let candles = binance::daily_candles(&self.binance, Symbol::Btc, deadline).await?;
            return Ok(binance::indicators(&candles));
        };
        let upstream = &self.binance;
        let candles = cache
            .cache_candles(Symbol::Btc, Interval::Day1, || {
                let upstream = upstream.clone();
                async move {
                    binance::daily_candles(&upstream, Symbol::Btc, deadline)
                        .await
                        .map(Arc::new)
                }
            })
            .await
            .map_err(into_upstream)?;
        Ok(binance::indicators(&candles))
    }

    fn upstream(&self, source: Source) -> &Upstream {
        match source {
            Source::Binance => &self.binance,
            Source::CoinGecko => &self.coingecko,
            Source::AlternativeMe => &self.alternative_me,
        }
    }

    fn upstreams(&self) -> [&Upstream; 3] {
        Source::ALL.map(|source| self.upstream(source))
    }

    /// The ledger's own methods leave it whole wherever they end.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loader's own error where there is one: its reason is what readers are told.
fn into_upstream(error: terrace::Error) -> UpstreamError {
    match error.load_error::<UpstreamError>() {
        Some(own) => UpstreamError::Rejected(own.reason()),
        None if error.is_timeout() => UpstreamError::TimedOut,
        None => UpstreamError::Cache(error),
    }
}
