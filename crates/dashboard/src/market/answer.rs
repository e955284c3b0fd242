//! What the data service hands out.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    figure::{Reason, Source},
    summary::Summary,
};

/// A summary and where it came from.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The figures. Their JSON is encoded once per value, however many ask for it.
    pub summary: Arc<Summary>,
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
#[derive(Clone, Debug)]
pub struct SourceReport {
    /// Which one.
    pub source: Source,
    /// `closed`, `open` or `half-open`.
    pub breaker: &'static str,
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
}
