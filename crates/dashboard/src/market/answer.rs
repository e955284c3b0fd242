//! What the data service hands out.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use terrace::Entry;

use super::{figure::Reason, source::Source, summary::Summary};

/// What was asked for, and where it came from.
#[derive(Clone, Debug)]
pub struct Answer<T = Summary> {
    /// What was asked for. A summary's JSON is encoded once, however many ask for it.
    pub value: Arc<T>,
    /// How long ago it was made.
    pub age: Duration,
    /// Whether it is past its fresh time.
    pub is_stale: bool,
    /// Who had it.
    pub tier: Tier,
}

impl<T> Answer<T> {
    /// What a cache had, or got.
    pub(crate) fn cached(entry: &Entry<Arc<T>>) -> Self {
        Self {
            value: Arc::clone(entry.value()),
            age: entry.age(),
            is_stale: entry.is_stale(),
            tier: match entry.source() {
                terrace::Source::Local => Tier::Local,
                terrace::Source::Store => Tier::Store,
                terrace::Source::Loader => Tier::Loader,
            },
        }
    }

    /// What no cache was asked for.
    pub(crate) fn uncached(value: Arc<T>, age: Duration) -> Self {
        Self {
            value,
            age,
            is_stale: false,
            tier: Tier::Uncached,
        }
    }
}

/// Who had a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The cache in this process.
    Local,
    /// The store behind it.
    Store,
    /// Nobody: a round was made for it.
    Loader,
    /// No cache was asked, or it could not answer in time.
    Uncached,
}

/// Answers since start, by their origin; each reader's question counts once.
#[derive(Debug, Default)]
pub struct Answers {
    local: AtomicU64,
    store: AtomicU64,
    stale: AtomicU64,
    loader: AtomicU64,
    uncached: AtomicU64,
    none: AtomicU64,
}

impl Answers {
    /// Counts what was answered, and passes it on.
    pub(crate) fn count<T>(&self, answer: Answer<T>) -> Answer<T> {
        let counter = match (answer.tier, answer.is_stale) {
            (Tier::Local | Tier::Store, true) => &self.stale,
            (Tier::Local, false) => &self.local,
            (Tier::Store, false) => &self.store,
            (Tier::Loader, _) => &self.loader,
            (Tier::Uncached, _) => &self.uncached,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// As [`count`](Self::count), where there may be no answer.
    pub(crate) fn count_result<T, E>(&self, answer: Result<Answer<T>, E>) -> Result<Answer<T>, E> {
        match answer {
            Ok(answer) => Ok(self.count(answer)),
            Err(error) => {
                self.none.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// How many there were of each: `l1` and `l2` had it fresh, `stale` is either of them past its
    /// fresh time, `loader` read it for this answer, `uncached` asked no cache, `none` had nothing.
    pub fn by_origin(&self) -> [(&'static str, u64); 6] {
        [
            ("l1", &self.local),
            ("l2", &self.store),
            ("stale", &self.stale),
            ("loader", &self.loader),
            ("uncached", &self.uncached),
            ("none", &self.none),
        ]
        .map(|(origin, counter)| (origin, counter.load(Ordering::Relaxed)))
    }
}

/// The answer to a wish for new figures.
#[derive(Clone, Debug)]
pub enum Refreshed {
    /// A round was made, or joined: its summary is new and worth broadcasting.
    Ran(Answer),
    /// The last round was less than ten seconds ago; this is its summary.
    Recent(Answer),
}

/// How a source is doing. Nothing is asked to find out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Which one.
    pub source: Source,
    /// Whether it is asked at all: some need a setting. The rest tells nothing if not.
    pub is_on: bool,
    /// Its breaker.
    pub breaker: Breaker,
    /// When a read last succeeded.
    pub last_success: Option<Timestamp>,
    /// The newest trouble that counts. They are kept per group of figures: what one read got does not
    /// undo that another fails. None when each group that failed was answered since, or was not asked
    /// for in a long time.
    pub last_error: Option<Reason>,
    /// Until when nobody asks it, because it asked for that.
    pub cooling_until: Option<Timestamp>,
    /// Reads since start, and how many of them failed.
    pub reads: u64,
    /// See `reads`.
    pub failed_reads: u64,
    /// Calls since start: a read may take several, or none where the source is left alone.
    pub calls: u64,
    /// What may be asked at once of what it grants.
    pub allowance_left: f64,
    /// How its stream is doing; none where nobody listens to one here.
    pub stream: Option<StreamReport>,
}

/// How a stream is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamReport {
    /// Its connection.
    pub connection: Connection,
    /// Since when that is so.
    pub since: Timestamp,
    /// Connections after the first one.
    pub reconnects: u64,
    /// Messages since it began, and how many of them were of no use.
    pub messages: u64,
    /// See `messages`.
    pub rejected: u64,
}

/// Whether a stream is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// It has yet to be, for the first time.
    Connecting,
    /// It is.
    Connected,
    /// It was, and will be.
    Reconnecting,
}

impl Connection {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
        }
    }
}

/// Whether a source that failed is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Breaker {
    /// It is asked.
    Closed,
    /// It is not.
    Open,
    /// One question is finding out.
    HalfOpen,
}

impl Breaker {
    /// The word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl SourceReport {
    /// A source that is not asked, for want of a setting.
    pub(crate) fn off(source: Source) -> Self {
        Self {
            source,
            is_on: false,
            breaker: Breaker::Closed,
            last_success: None,
            last_error: None,
            cooling_until: None,
            reads: 0,
            failed_reads: 0,
            calls: 0,
            allowance_left: 0.0,
            stream: None,
        }
    }
}
