//! The board on which the instances of a cluster pin their newest summary, and see who renews it.
//!
//! One of them leads. It pins a sign of life every second, and each new summary; whoever sees the
//! same sign for too long takes its place. Pinning is compare and set under the store's fenced lease
//! of that one key: of two who would lead one sees the other's notice and leaves it, and what a process
//! had on its way when it was stopped is refused when it goes on. Without a store everybody leads.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    clock: Clock,
}

#[derive(Debug)]
struct Seen {
    /// Whose notice it was, with the sign of life in it, and since when that has been the same.
    leader: Option<(u64, u64)>,
    since: Instant,
    /// When the store last answered, and whether it was silent since.
    answered: Instant,
    is_silent: bool,
    /// The last notice of another leader, while it is followed.
    followed: Option<Arc<Bulletin>>,
    generation: Option<u64>,
}

/// What a look at the board amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) standing: Standing,
    /// Everything was cleared since the last look.
    pub(crate) cleared: bool,
    /// The store was silent before this look: what others pinned meanwhile was not seen.
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
                answered: now,
                is_silent: false,
                followed: None,
                generation: None,
            }),
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
    pub(crate) async fn look(&self) -> Look {
        let Some(cache) = &self.cache else {
            return LEADS;
        };
        match cache.bulletin().await {
            Ok(Some((bulletin, age))) => self.read(&bulletin, age),
            Ok(None) => {
                let mut seen = self.seen();
                seen.followed = None;
                Look {
                    resumed: seen.answers(self.clock.monotonic()),
                    ..LEADS
                }
            }
            Err(_) => self.hear_nothing(),
        }
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

    /// Leaves the board to whoever comes first.
    pub(crate) async fn resign(&self) {
        let me = self.me;
        let Some(cache) = &self.cache else { return };
        let resigned = cache.pin(move |current| match current {
            Some(current) if current.leader == Some(me) => Decision::Pin(Bulletin {
                leader: None,
                ..Bulletin::clone(&current)
            }),
            current => Decision::Leave(current),
        });
        if let Err(error) = resigned.await {
            tracing::debug!(%error, "the board was left without a word");
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
            let wanted = draft.as_ref().map(|(summary, _)| Arc::clone(summary));
            let pinned = match cache.pin(move |current| terms.decide(current)).await {
                Ok(Some(pinned)) => pinned,
                Ok(None) | Err(_) => {
                    self.publish_here(draft);
                    return Standing::Leads;
                }
            };
            if pinned.leader != Some(self.me) {
                return self.look().await.standing;
            }
            let carried = pinned.news.as_ref().map(|news| &news.summary);
            if wanted.is_none() || wanted.as_ref() == carried {
                return self.read_back(&pinned).await;
            }
        }
        self.publish_here(draft);
        Standing::Leads
    }

    /// What was pinned has to be found there: the store refuses what comes too late.
    async fn read_back(&self, pinned: &Bulletin) -> Standing {
        for _ in 0..LOOKS_BACK {
            let look = self.look().await;
            let seq = |news: Option<&News>| news.map(|news| news.seq);
            let heard = seq(self.newest().as_deref()) >= seq(pinned.news.as_ref());
            if look.standing == Standing::Follows || heard {
                return look.standing;
            }
            tokio::time::sleep(LOOK_BACK_PAUSE).await;
        }
        self.hear(pinned.news.clone());
        Standing::Leads
    }

    fn read(&self, bulletin: &Arc<Bulletin>, age: Duration) -> Look {
        let is_ours = |news: &News| self.market.is_ours(&news.summary);
        if bulletin.news.as_ref().is_some_and(|news| !is_ours(news)) {
            // Instances with other coins: each kind renews its own.
            self.seen().followed = None;
            return LEADS;
        }
        let now = self.clock.monotonic();
        let mut seen = self.seen();
        let resumed = seen.answers(now);
        let before = seen.generation.replace(bulletin.generation);
        let cleared = before.is_some_and(|before| before != bulletin.generation);
        let sign = bulletin.leader.map(|leader| (leader, bulletin.beat));
        if sign != seen.leader {
            seen.leader = sign;
            seen.since = now.checked_sub(age).unwrap_or(now);
        }
        let is_silent = now.saturating_duration_since(seen.since) >= SILENCE;
        let leads = bulletin.leader.is_none_or(|leader| leader == self.me) || is_silent;
        seen.followed = (!leads).then(|| Arc::clone(bulletin));
        drop(seen);
        self.hear(bulletin.news.clone());
        let standing = if leads {
            Standing::Leads
        } else {
            Standing::Follows
        };
        Look {
            standing,
            cleared,
            resumed,
        }
    }

    /// The store is silent. Whoever follows goes on following for a while, and then leads himself.
    fn hear_nothing(&self) -> Look {
        let now = self.clock.monotonic();
        let mut seen = self.seen();
        seen.is_silent = true;
        if now.saturating_duration_since(seen.answered) >= SILENCE {
            seen.followed = None;
        }
        let standing = match seen.followed {
            Some(_) => Standing::Follows,
            None => Standing::Leads,
        };
        Look { standing, ..LEADS }
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
        let last = self.newest().map(|news| news.seq);
        let seen = self.seen();
        Terms {
            me: self.me,
            // Followed no longer, and not gone on since.
            silent: seen.leader.filter(|_| seen.followed.is_none()),
            generation: seen.generation.unwrap_or(0),
            force,
            last,
            news: draft.map(|(summary, source)| self.news(last, summary, source)),
            sources,
        }
    }

    /// Nothing that runs under this lock can leave it half written.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const LEADS: Look = Look {
    standing: Standing::Leads,
    cleared: false,
    resumed: false,
};

impl Seen {
    /// The store answers; whether it was silent before.
    fn answers(&mut self, now: Instant) -> bool {
        self.answered = now;
        std::mem::take(&mut self.is_silent)
    }
}

/// On what terms a notice takes the place of the one that is there.
struct Terms {
    me: u64,
    /// The leader that is taken for gone, and its last sign of life.
    silent: Option<(u64, u64)>,
    generation: u64,
    force: Force,
    last: Option<u64>,
    news: Option<News>,
    sources: Option<Vec<SourceReport>>,
}

impl Terms {
    fn decide(self, current: Option<Arc<Bulletin>>) -> Decision {
        let Some(current) = current else {
            return Decision::Pin(Bulletin {
                leader: Some(self.me),
                beat: 0,
                generation: self.generation,
                news: self.news,
                sources: self.sources.unwrap_or_default(),
            });
        };
        let may_lead = self.force == Force::Anybody
            || current.leader.is_none_or(|leader| {
                leader == self.me || self.silent == Some((leader, current.beat))
            });
        let is_older = |news: &News| {
            let there = current.news.as_ref();
            there.is_some_and(|there| there.summary.last_updated() > news.summary.last_updated())
        };
        if !may_lead || self.news.as_ref().is_some_and(is_older) {
            return Decision::Leave(Some(current));
        }
        let seq = current.news.as_ref().map(|news| news.seq).max(self.last);
        let news = self.news.map(|news| News {
            seq: seq.map_or(news.seq, |last| news.seq.max(last + 1)),
            ..news
        });
        Decision::Pin(Bulletin {
            leader: Some(self.me),
            beat: current.beat + 1,
            generation: current.generation,
            news: news.or_else(|| current.news.clone()),
            sources: self.sources.unwrap_or_else(|| current.sources.clone()),
        })
    }
}
