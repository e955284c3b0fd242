//! What the data service hands out.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Why the latest read failed; none when it succeeded or nothing was read yet.
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
