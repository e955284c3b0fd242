//! Which bars a request is about.

use super::{Interval, Life};

/// Which bars a request is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) interval: Interval,
    /// The earliest moment at which a wanted bar may open; `None`: the newest bars are wanted.
    pub(crate) start_ms: Option<i64>,
    /// The latest moment at which a wanted bar may open.
    pub(crate) end_ms: i64,
    pub(crate) limit: usize,
}

impl Range {
    /// The newest bars there are.
    pub(crate) fn newest(interval: Interval, limit: usize) -> Self {
        Self {
            interval,
            start_ms: None,
            end_ms: i64::MAX,
            limit,
        }
    }

    /// The times at which the wanted bars open, ascending, for a coin of this life.
    pub(crate) fn opens(&self, life: Life, now_ms: i64) -> Vec<i64> {
        let last_ms = self.end_ms.min(now_ms).min(life.until_ms - 1);
        // The first bar of a week or month may open before the coin was first traded.
        let first = self.interval.open_of(life.from_ms);
        if last_ms < life.from_ms {
            return Vec::new();
        }
        let Some(start_ms) = self.start_ms else {
            return self.back_from(last_ms, first);
        };
        // Clamped before any arithmetic: a start may be as large as a number can be.
        let start_ms = start_ms.clamp(first, last_ms.saturating_add(1));
        let held = self.interval.open_of(start_ms);
        let from = if held < start_ms {
            self.interval.next_open(held)
        } else {
            held
        };
        let next = |open: &i64| Some(self.interval.next_open(*open));
        std::iter::successors(Some(from), next)
            .take_while(|open| *open <= last_ms)
            .take(self.limit)
            .collect()
    }

    fn back_from(&self, last_ms: i64, first: i64) -> Vec<i64> {
        let before = |open: &i64| Some(self.interval.open_of(*open - 1));
        let mut opens: Vec<i64> =
            std::iter::successors(Some(self.interval.open_of(last_ms)), before)
                .take_while(|open| *open >= first)
                .take(self.limit)
                .collect();
        opens.reverse();
        opens
    }
}
