//! What the service answered so far: a count and a mean.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts HTTP answers since start, health routes excepted.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    answers: AtomicU64,
    busy_nanos: AtomicU64,
}

/// One reading of [`Traffic`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Answers since start.
    pub(crate) answers: u64,
    /// Mean time from the request's head to the answer's head; 0.0 where nothing was counted.
    pub(crate) mean_ms: f64,
}

impl Traffic {
    /// Counts one answer that took `spent`.
    pub(crate) fn count(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        self.answers.fetch_add(1, Ordering::Relaxed);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The figures so far. The two are read one after the other, which may put them one answer apart.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn reading(&self) -> Reading {
        let answers = self.answers.load(Ordering::Relaxed);
        let busy_ms = self.busy_nanos.load(Ordering::Relaxed) as f64 / 1e6;
        let mean_ms = if answers == 0 {
            0.0
        } else {
            (busy_ms / answers as f64 * 1000.0).round() / 1000.0
        };
        Reading { answers, mean_ms }
    }
}
