//! The one place that readers ask for figures.

mod cluster;
mod coins;
mod streaming;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use terrace::{Entry, Loaded};
use tokio::{
    sync::{oneshot, watch},
    time::{timeout, timeout_at},
};

use super::{
    answer::{Answer, Answers, Refreshed},
    board::{Board, Force},
    ledger::{Demand, REFRESH_PAUSE},
    round::{Market, Outcome, READ_LIMIT, ROUND_LIMIT, Round},
    source::Source,
    summary::Summary,
    transport::{Http, Transport},
};
use crate::{cache::manager::CacheManager, clock::Clock, config::Config};

pub use super::error::{ServiceError, TechnicalError, Unavailable};

/// What a reader waits beyond UPSTREAM_TIMEOUT_MS for what others make: a round, say.
const ASSEMBLY_GRACE: Duration = Duration::from_millis(250);
/// A summary that is older than its fresh time already is stale a moment after it was stored.
const SHORTEST_TTL: Duration = Duration::from_millis(100);

/// A round under way that everybody joins who needs one.
type Flight = Shared<BoxFuture<'static, Option<Round>>>;

/// Hands out figures: from the cache, or from a round that all who need it share.
#[derive(Debug)]
pub struct DataService {
    market: Arc<Market>,
    cache: Option<Arc<CacheManager>>,
    upstream_timeout: Duration,
    refresh_interval: Duration,
    dashboard_ttl: Duration,
    market_data_ttl: Duration,
    /// The flight under way, and the generation of the ledger that it began under.
    flight: Mutex<Option<(u64, Flight)>>,
    /// The newest round that ended, with its generation.
    last_round: Mutex<Option<(u64, Round)>>,
    /// Whether the last good figures of earlier processes were looked for.
    is_seeded: AtomicBool,
    board: Arc<Board>,
    outcomes: watch::Sender<Outcome>,
    answers: Answers,
    clock: Clock,
}

/// A round that panicked; whoever waited gets what is known without it.
#[derive(Debug, thiserror::Error)]
#[error("the round came to no end")]
struct RoundLost;

impl DataService {
    /// Makes ready to ask; asks nobody yet.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of the machine's certificates.
    pub fn start(
        config: &Config,
        cache: Option<Arc<CacheManager>>,
    ) -> Result<Arc<Self>, ServiceError> {
        let bases = Source::ALL.map(|source| config.base(source));
        let http = Http::new(bases, config.upstream_timeout.max(READ_LIMIT))?;
        let http: Arc<dyn Transport> = Arc::new(http);
        Ok(Self::start_with(config, cache, &http, Clock::default()))
    }

    /// As [`start`](Self::start), over another way to the sources, and by another clock.
    pub fn start_with(
        config: &Config,
        cache: Option<Arc<CacheManager>>,
        transport: &Arc<dyn Transport>,
        clock: Clock,
    ) -> Arc<Self> {
        let market = Market::new(config, cache.clone(), transport, clock.clone());
        let market = Arc::new(market);
        let board = Board::new(cache.clone(), Arc::clone(&market), clock.clone());
        Arc::new(Self {
            board: Arc::new(board),
            market,
            is_seeded: AtomicBool::new(cache.is_none()),
            cache,
            upstream_timeout: config.upstream_timeout,
            refresh_interval: config.refresh_interval,
            // A load's own ttl wins over the cache's, so the cap is kept here too.
            dashboard_ttl: config.dashboard_ttl.min(config.l2_ttl),
            market_data_ttl: config.market_data_ttl,
            flight: Mutex::new(None),
            last_round: Mutex::new(None),
            outcomes: watch::Sender::new(Outcome::NothingAsked),
            answers: Answers::default(),
            clock,
        })
    }

    /// The summary: cached, or made now by a round that everybody shares.
    ///
    /// Always answers, within UPSTREAM_TIMEOUT_MS and half a second; what the sources did is told by
    /// the figures. Cancel safe: the round goes on for the others.
    pub async fn fetch_dashboard_summary(self: &Arc<Self>) -> Answer {
        let answer = self.summary().await;
        self.answers.count(answer)
    }

    /// The summary of a round made now, or joined; the cache is not asked and learns nothing.
    pub async fn fetch_dashboard_summary_direct(self: &Arc<Self>) -> Answer {
        let answer = self.summary_direct().await;
        self.answers.count(answer)
    }

    /// A round now, stored; joins one that is under way. Soon after a round: that round's summary.
    pub async fn refresh_dashboard_summary(self: &Arc<Self>) -> Refreshed {
        if let Some(recent) = self.recent().await {
            return Refreshed::Recent(self.answers.count(recent));
        }
        let refreshed = self.refresh(Demand::Refresh, self.patience()).await;
        let answer = refreshed.unwrap_or_else(|| self.known_now());
        Refreshed::Ran(self.answers.count(answer))
    }

    /// The refresher's round, and how the sources did. Ends within [`ROUND_LIMIT`].
    ///
    /// Who leads needs no lease for it. Readers get it through the cache, which has it a moment
    /// later: whoever loads the summary there loads this one.
    pub(crate) async fn refresh_in_background(self: &Arc<Self>) -> Outcome {
        let generation = self.market.generation();
        let round = timeout(
            ROUND_LIMIT,
            self.join(Demand::Background, self.upstream_timeout),
        )
        .await;
        let Ok(Some(round)) = round else {
            // It did not end, so it told nobody: what an earlier one came to would end the back-off.
            self.outcomes.send_replace(Outcome::Failed);
            return Outcome::Failed;
        };
        tokio::spawn(Arc::clone(self).store(round.summary, generation));
        round.outcome
    }

    /// How many answers there were, and who had them. The refresher's rounds are nobody's question.
    pub const fn answers(&self) -> &Answers {
        &self.answers
    }

    async fn store(self: Arc<Self>, summary: Arc<Summary>, generation: u64) {
        let Some(cache) = &self.cache else { return };
        let load = || {
            let service = Arc::clone(&self);
            async move {
                let loaded = service.loaded(summary);
                Ok::<_, RoundLost>(if service.market.generation() == generation {
                    loaded
                } else {
                    loaded.do_not_store()
                })
            }
        };
        if let Err(error) = cache.refresh_dashboard_data(load).await {
            tracing::debug!(%error, "the round was not stored");
        }
    }

    /// Forgets figures, so that the next read asks upstream.
    pub fn forget(&self) {
        self.market.forget();
        *self.last_round() = None;
    }

    /// Tells of each round that ended, the readers' ones too.
    pub(crate) fn outcomes(&self) -> watch::Receiver<Outcome> {
        self.outcomes.subscribe()
    }

    async fn summary(self: &Arc<Self>) -> Answer {
        let Some(cache) = &self.cache else {
            return self.summary_direct().await;
        };
        let until = self.clock.monotonic() + self.patience();
        let time = self.wait_for_leader().await;
        let cached = cache.cache_dashboard_data(|| Arc::clone(self).load(Demand::Round, time));
        match timeout_at(until, cached).await {
            Ok(Ok(entry)) if self.market.is_ours(entry.value()) => self.answer(&entry),
            // Left by an instance with other coins.
            Ok(Ok(_)) => match timeout_at(until, self.join(Demand::Round, time)).await {
                Ok(Some(round)) => self.uncached(round.summary),
                Ok(None) | Err(_) => self.known_now(),
            },
            Ok(Err(error)) => {
                tracing::warn!(%error, "the summary's cache gave nothing");
                self.known_now()
            }
            Err(_) => self.known_now(),
        }
    }

    async fn summary_direct(self: &Arc<Self>) -> Answer {
        match timeout(
            self.patience(),
            self.join(Demand::Round, self.upstream_timeout),
        )
        .await
        {
            Ok(Some(round)) => self.uncached(round.summary),
            Ok(None) | Err(_) => self.known_now(),
        }
    }

    /// None when the round was lost, or is not over yet.
    async fn refresh(self: &Arc<Self>, demand: Demand, patience: Duration) -> Option<Answer> {
        let refreshed = async {
            if let Some(cache) = &self.cache {
                let load = || Arc::clone(self).load(demand, self.upstream_timeout);
                match cache.refresh_dashboard_data(load).await {
                    Ok(entry) if self.market.is_ours(entry.value()) => {
                        return Some(self.answer(&entry));
                    }
                    // Made by an instance with other coins.
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "the round was not stored");
                        return None;
                    }
                }
            }
            self.join(demand, self.upstream_timeout)
                .await
                .map(|round| self.uncached(round.summary))
        };
        timeout(patience, refreshed).await.ok().flatten()
    }

    /// The newest round's summary while it is recent: made here, or by whoever filled the store.
    async fn recent(&self) -> Option<Answer> {
        let own = self
            .last_round()
            .as_ref()
            .map(|(_, round)| Arc::clone(&round.summary));
        let stored = match &self.cache {
            Some(cache) => cache
                .cached_dashboard_data()
                .await
                .filter(|entry| self.market.is_ours(entry.value()))
                .map(|entry| self.answer(&entry)),
            None => None,
        };
        let pinned = self.board.newest();
        let pinned = pinned.map(|news| self.uncached(Arc::clone(&news.summary)));
        let now = self.clock.now();
        [stored, pinned, own.map(|summary| self.uncached(summary))]
            .into_iter()
            .flatten()
            .filter(|answer| {
                let since = now.duration_since(answer.value.last_updated());
                Duration::try_from(since).is_ok_and(|since| since < REFRESH_PAUSE)
            })
            .max_by_key(|answer| answer.value.last_updated())
    }

    /// What the cache stores: the leader's newest summary, where this instance follows one, else that
    /// of a round.
    async fn load(
        self: Arc<Self>,
        demand: Demand,
        time: Duration,
    ) -> Result<Loaded<Arc<Summary>>, RoundLost> {
        if demand == Demand::Round
            && let Some(summary) = self.leaders_summary()
        {
            return Ok(self.loaded(summary));
        }
        let round = self.join(demand, time).await.ok_or(RoundLost)?;
        Ok(self.loaded(round.summary))
    }

    /// How long it is fresh depends on what is in it.
    fn loaded(&self, summary: Arc<Summary>) -> Loaded<Arc<Summary>> {
        let has_missing = summary.has_missing();
        // Nobody knows whether the store holds better figures: nulls must not take their place.
        let is_safe = !has_missing || self.is_seeded.load(Ordering::Acquire);
        let longest = if has_missing {
            self.dashboard_ttl.min(self.refresh_interval)
        } else {
            self.dashboard_ttl
        };
        let left = longest.saturating_sub(self.age(&summary));
        let loaded = Loaded::new(summary).ttl(left.max(SHORTEST_TTL));
        if is_safe {
            loaded
        } else {
            loaded.do_not_store()
        }
    }

    /// Joins the round under way, or begins one that takes so long at most. None when it panicked.
    async fn join(self: &Arc<Self>, demand: Demand, time: Duration) -> Option<Round> {
        let flight = {
            let generation = self.market.generation();
            let mut slot = self.flight.lock().unwrap_or_else(PoisonError::into_inner);
            let running = slot
                .as_ref()
                .filter(|(born, flight)| *born == generation && flight.peek().is_none());
            match running {
                Some((_, flight)) => flight.clone(),
                None => {
                    let flight = self.begin(demand, time, generation);
                    *slot = Some((generation, flight.clone()));
                    flight
                }
            }
        };
        flight.await
    }

    /// A round runs on a task of its own: a caller who goes away takes nothing from the others, and
    /// a source that is slower than the round still gets to say what it has.
    fn begin(self: &Arc<Self>, demand: Demand, time: Duration, generation: u64) -> Flight {
        let service = Arc::clone(self);
        let (landed, landing) = oneshot::channel();
        tokio::spawn(async move {
            service.seed().await;
            if let Some(leader) = service.board.followed() {
                service.succeed(&leader);
            }
            let mut reads = service.market.begin(demand, time);
            let round = service.market.round(&mut reads).await;
            let round = service.unless_unchanged(generation, round);
            service.end(generation, &round);
            // Everybody who wanted it may have left.
            let _ = landed.send(round);
            if service.market.late(reads).await == Outcome::Worked {
                service.outcomes.send_replace(Outcome::Worked);
            }
        });
        async move {
            let landed = landing.await;
            if landed.is_err() {
                tracing::error!("a round was lost");
            }
            landed.ok()
        }
        .boxed()
        .shared()
    }

    /// A round that asked nobody and found nothing changed has the last round's summary: while no
    /// cache can keep it, readers would otherwise get a new version of the same figures each time.
    fn unless_unchanged(&self, generation: u64, round: Round) -> Round {
        let last = self.last_round().clone();
        let same = last.filter(|(born, last)| {
            *born == generation && last.summary.readings() == round.summary.readings()
        });
        match (round.outcome, same) {
            (Outcome::NothingAsked, Some((_, last))) => Round {
                summary: last.summary,
                ..round
            },
            _ => round,
        }
    }

    fn end(&self, generation: u64, round: &Round) {
        if generation != self.market.generation() {
            return;
        }
        *self.last_round() = Some((generation, round.clone()));
        self.outcomes.send_replace(round.outcome);
        // Beside the round, so that a slow store delays nobody who waits for the figures.
        let (board, summary) = (Arc::clone(&self.board), Arc::clone(&round.summary));
        let (source, force) = match round.demand {
            Demand::Background => ("refresher", Force::Silent),
            Demand::Round => ("reader", Force::Silent),
            Demand::Refresh => ("refresh", Force::Anybody),
        };
        tokio::spawn(async move { board.publish(summary, source, force).await });
    }

    /// Looks for the last good figures of earlier processes, until the store has said yes or no.
    async fn seed(&self) {
        let Some(cache) = &self.cache else { return };
        if self.is_seeded.load(Ordering::Acquire) {
            return;
        }
        match cache.bulletin().await {
            Ok(found) => {
                if let Some((bulletin, _)) = found {
                    self.succeed(&bulletin);
                    let made_at = bulletin
                        .news
                        .as_ref()
                        .map(|news| news.summary.last_updated());
                    tracing::info!(?made_at, "last good figures taken over");
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the store could not be asked for the last good figures");
                return;
            }
        }
        self.is_seeded.store(true, Ordering::Release);
    }

    /// What is known without asking anybody.
    fn known_now(&self) -> Answer {
        self.uncached(Arc::new(self.market.summary(Duration::ZERO)))
    }

    fn patience(&self) -> Duration {
        self.upstream_timeout + ASSEMBLY_GRACE
    }

    fn last_round(&self) -> MutexGuard<'_, Option<(u64, Round)>> {
        self.last_round
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, entry: &Entry<Arc<Summary>>) -> Answer {
        let answer = Answer::cached(entry);
        Answer {
            // An entry is as old as its load; a load may have found nothing newer than its last summary.
            age: answer.age.max(self.age(&answer.value)),
            ..answer
        }
    }

    fn uncached(&self, summary: Arc<Summary>) -> Answer {
        let age = self.age(&summary);
        Answer::uncached(summary, age)
    }

    fn age(&self, summary: &Summary) -> Duration {
        let since = self.clock.now().duration_since(summary.last_updated());
        Duration::try_from(since).unwrap_or_default()
    }
}
