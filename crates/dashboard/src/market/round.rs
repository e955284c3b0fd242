//! A round: asks the sources that are due, all at once, and makes one summary of what is known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
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

/// What the refresher's round may spend on one source; the rest of its time is for putting it
/// together. Only UPSTREAM_TIMEOUT_MS of it delays anybody.
const READ_LIMIT: Duration = Duration::from_secs(29);

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

/// What one group's read gave.
type Attempt = (Group, Result<Batch, UpstreamError>);

/// The reads of a round.
pub(crate) struct Reads<'a> {
    claim: Claim,
    under_way: FuturesUnordered<BoxFuture<'a, Attempt>>,
    start: Instant,
    /// When the round ends without those that are slower.
    cut: Instant,
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
        let client = client(&bases, config.upstream_timeout.max(READ_LIMIT))?;
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

    /// Asks what is due; the answers come out of the reads.
    pub(crate) fn begin(&self, demand: Demand) -> Reads<'_> {
        let start = clock::monotonic();
        let patience = start + self.upstream_timeout;
        let (deadline, cut) = match demand {
            Demand::Background => (patience.max(start + READ_LIMIT), patience),
            // These end by themselves, and write down what that says of their source.
            Demand::Round | Demand::Refresh => (patience, patience + VERDICT_GRACE * 2),
        };
        let claim = self.ledger().claim(demand, start);
        let read = |group: Group| async move { (group, self.read(group, deadline).await) };
        let under_way = claim
            .groups
            .iter()
            .map(|&group| read(group).boxed())
            .collect();
        Reads {
            claim,
            under_way,
            start,
            cut,
        }
    }

    /// Makes a summary of what answers within UPSTREAM_TIMEOUT_MS; never fails, and takes no longer
    /// than that and some milliseconds. What is slower stays in `reads`, for [`Market::late`].
    pub(crate) async fn round(&self, reads: &mut Reads<'_>) -> Round {
        let mut attempts = Vec::new();
        while let Ok(Some(attempt)) = timeout_at(reads.cut, reads.under_way.next()).await {
            attempts.push(attempt);
        }
        let outcome = self.record(&reads.claim, attempts);
        let took = clock::monotonic() - reads.start;
        Round {
            summary: Arc::new(self.summary(took)),
            outcome,
            ended: clock::monotonic(),
        }
    }

    /// Waits for those that were too slow for their round: the next one has their figures.
    pub(crate) async fn late(&self, mut reads: Reads<'_>) -> Outcome {
        let mut outcome = Outcome::NothingAsked;
        while let Some((group, attempt)) = reads.under_way.next().await {
            if attempt.is_ok() {
                outcome = Outcome::Worked;
            }
            let trouble = self.write_down(&reads.claim, group, attempt);
            self.upstream(group.source()).conclude(trouble);
        }
        outcome
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

    fn record(&self, claim: &Claim, attempts: Vec<Attempt>) -> Outcome {
        let worked = attempts.iter().any(|(_, attempt)| attempt.is_ok());
        let answered: Vec<Group> = attempts.iter().map(|(group, _)| *group).collect();
        let mut troubles: HashMap<Source, Option<Reason>> = HashMap::new();
        let mut note = |group: Group, reason: Option<Reason>| {
            let trouble = troubles.entry(group.source()).or_default();
            *trouble = trouble.or(reason);
        };
        for (group, attempt) in attempts {
            note(group, self.write_down(claim, group, attempt));
        }
        for &group in claim
            .groups
            .iter()
            .filter(|group| !answered.contains(group))
        {
            self.ledger().defer(claim, group, ROUND_LIMIT);
            note(group, Some(Reason::TimedOut));
        }
        for (source, trouble) in troubles {
            self.upstream(source).conclude(trouble);
        }
        match (claim.groups.is_empty(), worked) {
            (true, _) => Outcome::NothingAsked,
            (false, true) => Outcome::Worked,
            (false, false) => Outcome::Failed,
        }
    }

    /// Keeps what a read gave; why it failed, if it did.
    fn write_down(
        &self,
        claim: &Claim,
        group: Group,
        attempt: Result<Batch, UpstreamError>,
    ) -> Option<Reason> {
        let attempt = attempt.map_err(|error| error.reason());
        let trouble = attempt.as_ref().err().copied();
        self.ledger().record(claim, group, attempt, clock::now());
        trouble
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
