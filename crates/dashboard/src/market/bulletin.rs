//! What the instances of the service tell one another: the newest summary, and who renews it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{answer::SourceReport, summary::Summary};

/// The one notice that all instances read. Whoever pins the next one saw this one first.
///
/// It outlives its leader: the newest summary in it holds the last good figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bulletin {
    /// Who renews the figures; none for nobody, after one that stopped in order.
    pub leader: Option<u64>,
    /// Raised by each sign of life of the leader.
    pub beat: u64,
    /// The number of the newest summary, or a higher one: of the last one before everything was
    /// cleared, or of what an instance told its clients alone.
    pub seq: u64,
    /// Raised whenever everything was cleared: what was known before is to be forgotten.
    pub generation: u64,
    /// The newest summary, if there is one since everything was cleared.
    pub news: Option<News>,
    /// How the leader's sources are doing.
    pub sources: Vec<SourceReport>,
}

/// A summary, as it was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// Grows with each summary, over leaders and restarts too.
    pub seq: u64,
    /// When it was published.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub timestamp: Timestamp,
    /// What made it: `refresher`, `refresh` or `reader`; `store` for what an earlier process left there.
    pub source: String,
    /// The figures.
    pub summary: Arc<Summary>,
}

impl Bulletin {
    /// The notice after an instance told its clients of a higher number.
    pub(crate) fn raised_to(self: &Arc<Self>, seq: u64) -> Self {
        Self {
            seq,
            ..Self::clone(self)
        }
    }

    /// The notice after everything was cleared.
    pub(crate) fn cleared(self: &Arc<Self>) -> Self {
        Self {
            generation: self.generation + 1,
            news: None,
            ..Self::clone(self)
        }
    }
}
