//! The board on which the instances of a cluster pin their newest summary, and see who renews it.
//!
//! One of them leads. It pins a sign of life every second, and each new summary; whoever sees the
//! same sign for too long takes its place. Pinning is compare and set under the store's fenced lease
//! of that one key: of two who would lead one sees the other's notice and leaves it, and what a process
//! had on its way when it was stopped is refused when it goes on. Without a store everybody leads.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{
    answer::SourceReport,
    bulletin::{Bulletin, News},
    round::Market,
    summary::Summary,
};
use crate::{
    cache::manager::{CacheManager, Decision},
    clock::Clock,
};

/// A leader that gives no sign for this long is gone; it gives one every second.
const SILENCE: Duration = Duration::from_secs(3);
/// Another pin of this process may be under way, whose outcome is then everybody's.
const ATTEMPTS: u32 = 3;
/// What was pinned is read back before anybody hears of it, so often at the most.
const LOOKS_BACK: u32 = 10;
const LOOK_BACK_PAUSE: Duration = Duration::from_millis(10);

/// The board, as one instance sees it.
#[derive(Debug)]
pub(crate) struct Board {
    me: u64,
    cache: Option<Arc<CacheManager>>,
    market: Arc<Market>,
    newest: watch::Sender<Option<Arc<News>>>,
    seen: Mutex<Seen>,
    /// This instance is stopping, and leads no more.
    resigned: AtomicBool,
    clock: Clock,
}

#[derive(Debug)]
struct Seen {
    /// Whose notice it was, with the sign of life in it, and since when that has been the same.
    leader: Option<(u64, u64)>,
    since: Instant,
    /// The leader is taken for gone.
    is_gone: bool,
    /// When the store last answered, and whether it was silent since.
    answered: Instant,
    is_silent: bool,
    /// What has to be done about it, until it is.
    tidings: Tidings,
    /// The last notice of another leader, while it is followed.
    followed: Option<Arc<Bulletin>>,
    generation: Option<u64>,
}

/// What became known at the board, whoever looked at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tidings {
    /// Everything was cleared.
    pub(crate) cleared: bool,
    /// The store was silent: what others pinned meanwhile was not seen.
    pub(crate) resumed: bool,
}

/// Who renews the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// This instance does, or may.
    Leads,
    /// Another one does.
    Follows,
}

/// Whether a leader who is there is to be pushed aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// Only one who is silent.
    Silent,
    /// Any: somebody asked this instance for a round, and got one.
    Anybody,
}

impl Board {
    pub(crate) fn new(cache: Option<Arc<CacheManager>>, market: Arc<Market>, clock: Clock) -> Self {
        let now = clock.monotonic();
        Self {
            me: rand::random(),
            cache: cache.filter(|cache| cache.has_store()),
            market,
            newest: watch::Sender::new(None),
            seen: Mutex::new(Seen {
                leader: None,
                since: now,
                is_gone: false,
                answered: now,
                is_silent: false,
                tidings: Tidings::default(),
                followed: None,
                generation: None,
            }),
            resigned: AtomicBool::new(false),
            clock,
        }
    }

    /// The newest summary, and each one after it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<News>>> {
        self.newest.subscribe()
    }

    /// The newest summary that was pinned, by anybody.
    pub(crate) fn newest(&self) -> Option<Arc<News>> {
        self.newest.borrow().clone()
    }

    /// The notice of the instance that is followed; none for one that leads.
    pub(crate) fn followed(&self) -> Option<Arc<Bulletin>> {
        self.seen().followed.clone()
    }

    /// Looks at the board, and hears what is new there. One call of the store.
    pub(crate) async fn look(&self) -> Standing {
        let Some(cache) = &self.cache else {
            return Standing::Leads;
        };
        match cache.bulletin().await {
            Ok(Some((bulletin, age))) => self.read(&bulletin, age),
            Ok(None) => {
                let mut seen = self.seen();
                seen.answers(self.clock.monotonic());
                seen.followed = None;
                Standing::Leads
            }
            Err(_) => self.hear_nothing(),
        }
    }

    /// What became known since this was last asked, by any look of anybody here.
    pub(crate) fn tidings(&self) -> Tidings {
        std::mem::take(&mut self.seen().tidings)
    }

    /// Gives a sign of life, with how the sources are doing.
    pub(crate) async fn beat(&self, sources: Vec<SourceReport>) -> Standing {
        let sources = Some(sources);
        self.pin(None, sources, Force::Silent).await
    }

    /// Pins a summary. Without a board that can be read, this instance alone hears of it.
    pub(crate) async fn publish(
        &self,
        summary: Arc<Summary>,
        source: &'static str,
        force: Force,
    ) -> Standing {
        self.pin(Some((summary, source)), None, force).await
    }

    /// Tells this instance's clients of a summary that was found elsewhere.
    pub(crate) fn recall(&self, summary: Arc<Summary>) {
        self.publish_here(Some((summary, "store")));
    }

    /// Makes whoever is followed go on above what was told here while the store was silent: by this
    /// instance's clock, which may be ahead of the leader's. No call of the store unless it has to.
    pub(crate) async fn raise(&self) {
        let (Some(cache), Some(newest)) = (&self.cache, self.newest()) else {
            return;
        };
        let told = newest.seq;
        if self.followed().is_none_or(|there| there.seq >= told) {
            return;
        }
        let raised = cache.pin(move |current| match current {
            Some(current) if current.seq < told => Decision::Pin(current.raised_to(told)),
            current => Decision::Leave(current),
        });
        // Whether it was pinned, or another pin that it has joined, the next look will tell.
        if let Err(error) = raised.await {
            tracing::debug!(%error, told, "the board does not know of a higher number");
        }
    }

    /// Leaves the board to whoever comes first, and never leads again.
    pub(crate) async fn resign(&self) {
        self.resigned.store(true, Ordering::Release);
        let Some(cache) = &self.cache else { return };
        let me = self.me;
        for _ in 0..LOOKS_BACK {
            let resigned = cache.pin(move |current| match current {
                Some(current) if current.leader == Some(me) => Decision::Pin(Bulletin {
                    leader: None,
                    ..Bulletin::clone(&current)
                }),
                current => Decision::Leave(current),
            });
            // A sign of life may be on its way, whose outcome is then this one's.
            let there = match resigned.await {
                Ok(_) => cache.bulletin().await,
                Err(error) => Err(error),
            };
            match there {
                Ok(Some((bulletin, _))) if bulletin.leader == Some(me) => {
                    tokio::time::sleep(LOOK_BACK_PAUSE).await;
                }
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%error, "the board was left without a word");
                    return;
                }
            }
        }
    }

    async fn pin(
        &self,
        draft: Option<(Arc<Summary>, &'static str)>,
        sources: Option<Vec<SourceReport>>,
        force: Force,
    ) -> Standing {
        let Some(cache) = &self.cache else {
            self.publish_here(draft);
            return Standing::Leads;
        };
        for _ in 0..ATTEMPTS {
            let terms = self.terms(draft.clone(), sources.clone(), force);
            let Ok(Some(pinned)) = cache.pin(move |current| terms.decide(current)).await else {
                break;
            };
            if pinned.leader == Some(self.me) {
                if let Some(standing) = self.read_back(&pinned, draft.as_ref()).await {
                    return standing;
                }
            } else if self.look().await == Standing::Follows {
                // Somebody else's pin may have been under way, and this one has joined it.
                if force == Force::Silent {
                    return Standing::Follows;
                }
            } else if self.is_foreign(&pinned) {
                break;
            }
        }
        self.publish_here(draft);
        Standing::Leads
    }

    /// What was pinned has to be found there, for the store refuses what comes too late; nothing, if
    /// it is not there, or was another pin's.
    async fn read_back(
        &self,
        pinned: &Bulletin,
        draft: Option<&(Arc<Summary>, &'static str)>,
    ) -> Option<Standing> {
        let made = |summary: &Summary| summary.last_updated();
        let carried = pinned.news.as_ref().map(|news| made(&news.summary));
        if draft.is_some_and(|(summary, _)| carried < Some(made(summary))) {
            return None;
        }
        for _ in 0..LOOKS_BACK {
            let standing = self.look().await;
            let heard = self.newest().map(|news| news.seq);
            let carried = pinned.news.as_ref().map(|news| news.seq);
            let is_there = heard >= carried;
            if standing == Standing::Follows || is_there {
                return Some(standing);
            }
            tokio::time::sleep(LOOK_BACK_PAUSE).await;
        }
        None
    }

    /// Left by instances with other coins: each kind renews its own.
    fn is_foreign(&self, bulletin: &Bulletin) -> bool {
        let is_ours = |news: &News| self.market.is_ours(&news.summary);
        bulletin.news.as_ref().is_some_and(|news| !is_ours(news))
    }

    fn read(&self, bulletin: &Arc<Bulletin>, age: Duration) -> Standing {
        let now = self.clock.monotonic();
        let is_foreign = self.is_foreign(bulletin);
        let mut seen = self.seen();
        seen.answers(now);
        let before = seen.generation.replace(bulletin.generation);
        seen.tidings.cleared |= before.is_some_and(|before| before != bulletin.generation);
        let sign = bulletin.leader.map(|leader| (leader, bulletin.beat));
        if sign != seen.leader {
            seen.leader = sign;
            seen.since = now.checked_sub(age).unwrap_or(now);
        }
        seen.is_gone = now.saturating_duration_since(seen.since) >= SILENCE;
        let is_vacant = bulletin.leader.is_none_or(|leader| leader == self.me) || seen.is_gone;
        let follows = !is_vacant && !is_foreign;
        seen.followed = follows.then(|| Arc::clone(bulletin));
        drop(seen);
        if !is_foreign {
            self.hear(bulletin.news.clone());
        }
        if follows {
            Standing::Follows
        } else {
            Standing::Leads
        }
    }

    /// The store is silent. Whoever follows goes on following for a while, and then leads himself.
    fn hear_nothing(&self) -> Standing {
        let now = self.clock.monotonic();
        let mut seen = self.seen();
        seen.is_silent = true;
        if now.saturating_duration_since(seen.answered) >= SILENCE {
            seen.followed = None;
        }
        match seen.followed {
            Some(_) => Standing::Follows,
            None => Standing::Leads,
        }
    }

    fn hear(&self, news: Option<News>) {
        let Some(news) = news else { return };
        self.newest.send_if_modified(|newest| {
            let is_newer = newest.as_ref().is_none_or(|newest| newest.seq < news.seq);
            if is_newer {
                *newest = Some(Arc::new(news));
            }
            is_newer
        });
    }

    fn publish_here(&self, draft: Option<(Arc<Summary>, &'static str)>) {
        if let Some((summary, source)) = draft {
            let last = self.newest().map(|news| news.seq);
            self.hear(Some(self.news(last, summary, source)));
        }
    }

    /// The sequence goes with the wall clock, so that a process that starts anew is ahead of all that
    /// its predecessor counted; and never back.
    fn news(&self, last: Option<u64>, summary: Arc<Summary>, source: &'static str) -> News {
        let timestamp = self.clock.now();
        let wall = u64::try_from(timestamp.as_millisecond()).unwrap_or(0);
        News {
            seq: last.map_or(wall, |last| wall.max(last + 1)),
            timestamp,
            source: source.to_owned(),
            summary,
        }
    }

    fn terms(
        &self,
        draft: Option<(Arc<Summary>, &'static str)>,
        sources: Option<Vec<SourceReport>>,
        force: Force,
    ) -> Terms {
        let newest = self.newest();
        let last = newest.as_ref().map(|news| news.seq);
        let seen = self.seen();
        Terms {
            me: (!self.resigned.load(Ordering::Acquire)).then_some(self.me),
            gone: seen.leader.filter(|_| seen.is_gone),
            generation: seen.generation.unwrap_or(0),
            force,
            last,
            news: draft.map(|(summary, source)| self.news(last, summary, source)),
            known: newest.map(|news| News::clone(&news)),
            sources,
        }
    }

    /// Nothing that runs under this lock can leave it half written.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// The store answers.
    fn answers(&mut self, now: Instant) {
        self.answered = now;
        self.tidings.resumed |= std::mem::take(&mut self.is_silent);
    }
}

/// On what terms a notice takes the place of the one that is there.
struct Terms {
    /// None for an instance that leads no more.
    me: Option<u64>,
    /// The leader that is taken for gone, and its last sign of life.
    gone: Option<(u64, u64)>,
    generation: u64,
    force: Force,
    last: Option<u64>,
    news: Option<News>,
    /// What this instance heard last, for a store that has lost the notice.
    known: Option<News>,
    sources: Option<Vec<SourceReport>>,
}

impl Terms {
    fn decide(self, current: Option<Arc<Bulletin>>) -> Decision {
        let Some(me) = self.me else {
            return Decision::Leave(current);
        };
        let Some(current) = current else {
            let news = self.news.or(self.known);
            return Decision::Pin(Bulletin {
                leader: Some(me),
                beat: 0,
                seq: news.as_ref().map_or(0, |news| news.seq),
                generation: self.generation,
                news,
                sources: self.sources.unwrap_or_default(),
            });
        };
        let is_mine = current.leader == Some(me);
        let may_lead = self.force == Force::Anybody
            || current
                .leader
                .is_none_or(|leader| leader == me || self.gone == Some((leader, current.beat)));
        // Of two of one's own the older one may come later. Clocks of two instances tell nothing.
        let is_older = |news: &News| {
            let there = current.news.as_ref();
            there.is_some_and(|there| there.summary.last_updated() > news.summary.last_updated())
        };
        if !may_lead || is_mine && self.news.as_ref().is_some_and(is_older) {
            return Decision::Leave(Some(current));
        }
        let last = Some(current.seq).max(self.last).unwrap_or(0);
        let news = self.news.map(|news| News {
            seq: news.seq.max(last + 1),
            ..news
        });
        Decision::Pin(Bulletin {
            leader: Some(me),
            beat: current.beat + 1,
            seq: news.as_ref().map_or(current.seq, |news| news.seq),
            generation: current.generation,
            news: news.or_else(|| current.news.clone()),
            sources: self.sources.unwrap_or_else(|| current.sources.clone()),
        })
    }
}
