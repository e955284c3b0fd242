//! A round: asks the sources that are due, all at once, and makes one summary of what is known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use super::{
    answer::{Answer, SourceReport},
    batch::Batch,
    candles::Candles,
    desk::{Desk, Turn},
    error::{UpstreamError, Verdict},
    figure::{Figure, Group, Reason, Value},
    ledger::{Claim, Demand, Ledger},
    source::Source,
    stream::{Arrival, Feed, Pace, Stream},
    summary::{Origin, Summary},
    symbol::Symbol,
    technical::{LastBar, Technical},
    transport::Transport,
};
use crate::{
    cache::{keys::Interval, manager::CacheManager},
    clock::Clock,
    config::Config,
    indicator::{self, Indicator},
};

/// A round is not worth waiting for longer than this, however patient the settings are.
pub(crate) const ROUND_LIMIT: Duration = Duration::from_secs(30);

/// What the refresher's round may spend on one source; the rest of its time is for putting it
/// together. Only UPSTREAM_TIMEOUT_MS of it delays anybody.
pub(crate) const READ_LIMIT: Duration = Duration::from_secs(29);

/// Reads end by themselves at their deadline and write down what that says of the source; this is
/// the net below them.
const VERDICT_GRACE: Duration = Duration::from_millis(100);

/// What a round came to.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) summary: Arc<Summary>,
    pub(crate) outcome: Outcome,
    /// Who wanted it.
    pub(crate) demand: Demand,
}

/// What one group's read gave.
type Attempt = (Group, Result<Batch, UpstreamError>);

/// The reads of a round.
pub(crate) struct Reads<'a> {
    claim: Claim,
    under_way: FuturesUnordered<BoxFuture<'a, Attempt>>,
    /// Who is being asked for each group.
    turns: HashMap<Group, Turn>,
    demand: Demand,
    start: Instant,
    /// When the round ends without those that are slower.
    cut: Instant,
}

/// How the sources did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No source was due, or all that were have to be left alone.
    NothingAsked,
    /// Some source answered, or tells prices by stream.
    Worked,
    /// Every source that was asked failed.
    Failed,
}

/// The sources and the last good figures.
#[derive(Debug)]
pub(crate) struct Market {
    desk: Arc<Desk>,
    /// In the order of a summary.
    figures: Vec<Figure>,
    origin: Origin,
    ledger: Mutex<Ledger>,
    stream: Stream,
    cache: Option<Arc<CacheManager>>,
    clock: Clock,
}

impl Market {
    pub(crate) fn new(
        config: &Config,
        cache: Option<Arc<CacheManager>>,
        transport: &Arc<dyn Transport>,
        clock: Clock,
    ) -> Self {
        Self {
            desk: Arc::new(Desk::new(config, transport, &clock)),
            figures: Figure::all(&config.symbols, &config.funds()),
            origin: config.origin,
            ledger: Mutex::new(Ledger::new(config)),
            stream: Stream::new(&config.binance_ws, &config.symbols, &clock),
            cache,
            clock,
        }
    }

    pub(crate) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Asks what is due; the answers come out of the reads. Somebody waits for so long.
    pub(crate) fn begin(&self, demand: Demand, time: Duration) -> Reads<'_> {
        let start = self.clock.monotonic();
        let patience = start + time;
        let (deadline, cut) = match demand {
            Demand::Background => (patience.max(start + READ_LIMIT), patience),
            // These end by themselves, and write down what that says of their source.
            Demand::Round | Demand::Refresh => (patience, patience + VERDICT_GRACE * 2),
        };
        let claim = self.ledger().claim(demand, start);
        let turns: HashMap<Group, Turn> = claim
            .groups
            .iter()
            .map(|&group| (group, Turn::default()))
            .collect();
        let read = |(&group, turn): (&Group, &Turn)| {
            let turn = turn.clone();
            async move { (group, self.read(group, deadline, &turn).await) }.boxed()
        };
        Reads {
            under_way: turns.iter().map(read).collect(),
            claim,
            turns,
            demand,
            start,
            cut,
        }
    }

    /// Makes a summary of what answers within the round's time; never fails, and takes no longer
    /// than that and some milliseconds. What is slower stays in `reads`, for [`Market::late`].
    pub(crate) async fn round(&self, reads: &mut Reads<'_>) -> Round {
        let mut attempts = Vec::new();
        while let Ok(Some(attempt)) = timeout_at(reads.cut, reads.under_way.next()).await {
            attempts.push(attempt);
        }
        let outcome = self.record(reads, attempts);
        let took = self.clock.monotonic() - reads.start;
        Round {
            summary: Arc::new(self.summary(took)),
            outcome,
            demand: reads.demand,
        }
    }

    /// Waits for those that were too slow for their round: the next one has their figures.
    pub(crate) async fn late(&self, mut reads: Reads<'_>) -> Outcome {
        let mut outcome = Outcome::NothingAsked;
        while let Some((group, attempt)) = reads.under_way.next().await {
            if attempt.is_ok() {
                outcome = Outcome::Worked;
            }
            self.write_down(&reads.claim, group, attempt);
        }
        outcome
    }

    /// What is known at this moment; asks nobody.
    pub(crate) fn summary(&self, took: Duration) -> Summary {
        let now = self.clock.now();
        let readings = self.ledger().readings(now);
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Summary::new(self.origin, now, took_ms, readings)
    }

    /// Takes over the figures of an earlier summary.
    pub(crate) fn seed(&self, summary: &Summary) {
        if summary.origin() == self.origin {
            self.ledger()
                .seed(summary, self.clock.monotonic(), self.clock.now());
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
        self.desk.forget();
    }

    pub(crate) fn generation(&self) -> u64 {
        self.ledger().generation()
    }

    pub(crate) fn sources(&self) -> Vec<SourceReport> {
        let mut reports = self.desk.reports();
        let binance = reports
            .iter_mut()
            .find(|report| report.source == Source::Binance);
        if let Some(binance) = binance {
            binance.stream = self.stream.report();
        }
        reports
    }

    /// A client of the stream.
    pub(crate) fn feed(&self, pace: Pace) -> Feed {
        self.stream.feed(pace)
    }

    /// Takes over what came by stream.
    pub(crate) async fn heed(&self, arrival: Arrival) {
        match arrival {
            Arrival::Prices(batch) => self.ledger().stream(batch, self.clock.monotonic()),
            Arrival::Lost => self.ledger().end_stream(),
            Arrival::BarClosed(symbol) => {
                // First what is without that bar, or the next round would read them again.
                if let Some(cache) = &self.cache
                    && let Err(error) = cache.remove_candles(symbol, Interval::Day1).await
                {
                    tracing::debug!(%error, %symbol, "candles from before a bar's end were not removed");
                }
                if symbol == Symbol::Btc {
                    self.ledger().hasten(Group::Candles, self.clock.monotonic());
                }
            }
        }
    }

    fn record(&self, reads: &Reads<'_>, mut attempts: Vec<Attempt>) -> Outcome {
        let claim = &reads.claim;
        // Whoever answered sooner: a price that is contradicted takes no good one's place.
        attempts.sort_by_key(|(group, _)| *group != Group::CrossCheck);
        let worked = attempts.iter().any(|(_, attempt)| attempt.is_ok());
        let is_unasked = |(_, attempt): &Attempt| matches!(attempt, Err(error) if error.verdict() == Verdict::Unasked);
        let nobody_was_asked = attempts.iter().all(is_unasked);
        let answered: Vec<Group> = attempts.iter().map(|(group, _)| *group).collect();
        for (group, attempt) in attempts {
            self.write_down(claim, group, attempt);
        }
        let is_late = |group: &&Group| !answered.contains(group);
        let late: Vec<Group> = claim.groups.iter().filter(is_late).copied().collect();
        for &group in &late {
            self.ledger().defer(claim, group, ROUND_LIMIT);
            if let Some(source) = reads.turns.get(&group).and_then(Turn::source) {
                self.desk.was_slow(group, source);
            }
        }
        if worked || claim.is_streamed {
            Outcome::Worked
        } else if nobody_was_asked && late.is_empty() {
            // Cool-downs hold up the sources already: no round need wait on top of them.
            Outcome::NothingAsked
        } else {
            Outcome::Failed
        }
    }

    /// Keeps what a read gave.
    fn write_down(&self, claim: &Claim, group: Group, attempt: Result<Batch, UpstreamError>) {
        let attempt = attempt.map_err(|error| error.reason());
        self.ledger()
            .record(claim, group, attempt, self.clock.now());
    }

    async fn read(
        &self,
        group: Group,
        deadline: Instant,
        turn: &Turn,
    ) -> Result<Batch, UpstreamError> {
        let reading = async {
            match group {
                Group::Candles => self.indicators(deadline, turn).await,
                _ => self.desk.group(group, deadline, turn).await,
            }
        };
        timeout_at(deadline + VERDICT_GRACE, reading)
            .await
            .unwrap_or(Err(UpstreamError::TimedOut))
    }

    /// Computed from candles; if there are none, who computes it elsewhere is asked.
    async fn indicators(&self, deadline: Instant, turn: &Turn) -> Result<Batch, UpstreamError> {
        let until = self.desk.candles_deadline(deadline);
        let candles = self.candles(Symbol::Btc, Interval::Day1, until, turn);
        let computed = match candles.await {
            Ok(candles) => btc_rsi_14(&candles.value).or_rejected(),
            Err(error) => Err(error),
        };
        match computed {
            Ok(batch) => Ok(batch),
            // Whoever is asked second knows less of why, unless it alone was asked.
            Err(error) => {
                let elsewhere = self.desk.group(Group::Candles, deadline, turn).await;
                elsewhere.map_err(|second| error.or_if_asked(second))
            }
        }
    }

    /// Candles go through the cache: another instance may have read them a moment ago.
    pub(crate) async fn candles(
        &self,
        symbol: Symbol,
        interval: Interval,
        deadline: Instant,
        turn: &Turn,
    ) -> Result<Answer<Candles>, UpstreamError> {
        let (desk, turn) = (Arc::clone(&self.desk), turn.clone());
        let load = async move {
            let candles = desk.candles(symbol, interval, deadline, &turn).await;
            candles.map(Arc::new)
        };
        match &self.cache {
            None => Ok(Answer::uncached(load.await?, Duration::ZERO)),
            Some(cache) => cache
                .cache_candles(symbol, interval, || load)
                .await
                .map(|entry| Answer::cached(&entry))
                .map_err(into_upstream),
        }
    }

    /// The ledger's own methods leave it whole wherever they end.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one figure of the summary that is computed here.
fn btc_rsi_14(candles: &Candles) -> Batch {
    let computed = Technical::of(Indicator::RSI_14, candles, LastBar::Closed);
    let value = match computed.as_ref().map(|rsi| (rsi.value, rsi.bar_time)) {
        Ok((indicator::Value::Number(rsi), bar_time)) => Ok((Value::Number(rsi), bar_time)),
        Ok(_) => Err(Reason::OutOfRange),
        Err(no_value) => Err(Reason::from(*no_value)),
    };
    let mut batch = Batch::new();
    batch.note(Figure::BtcRsi14, candles.source, candles.received_at, value);
    batch
}

/// What is left of the loader's own error, where there is one: its reason is what readers are told,
/// and its verdict what rounds are judged by.
pub(crate) fn into_upstream(error: terrace::Error) -> UpstreamError {
    match error.load_error::<UpstreamError>() {
        Some(own) => UpstreamError::Shared {
            reason: own.reason(),
            verdict: own.verdict(),
        },
        None if error.is_timeout() => UpstreamError::TimedOut,
        None => UpstreamError::Cache(error),
    }
}
