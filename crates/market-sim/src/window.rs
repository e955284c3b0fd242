//! A sliding window of calls.

use std::collections::VecDeque;
use std::time::Duration;

/// At most so many in so long a time, counted back from each.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// When those that still count came, oldest first.
    ///
    /// Invariant: never more than are allowed.
    admitted: VecDeque<Duration>,
}

impl Window {
    /// Whether one more has a place now; it takes it then.
    pub(crate) fn admits(&mut self, now: Duration, allowed: usize, length: Duration) -> bool {
        while self
            .admitted
            .front()
            .is_some_and(|then| now.saturating_sub(*then) >= length)
        {
            self.admitted.pop_front();
        }
        let has_place = self.admitted.len() < allowed;
        if has_place {
            self.admitted.push_back(now);
        }
        has_place
    }
}
