//! The one room of the dashboard that reads clocks.

use jiff::Timestamp;
use tokio::time::Instant;

/// The clocks that a part of the service goes by; a clone goes with it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Where the wall clock stood when Tokio's time was there.
    base: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// A wall clock that stands at `now`, and goes with Tokio's time: a test that pauses and
    /// advances that moves both.
    pub fn starting_at(now: Timestamp) -> Self {
        Self {
            base: Some((now, Instant::now())),
        }
    }

    /// The wall clock, cut to milliseconds: the finest that the JSON and the stored form carry.
    pub fn now(&self) -> Timestamp {
        let time = match self.base {
            None => Timestamp::now(),
            Some((base, since)) => base.checked_add(since.elapsed()).unwrap_or(Timestamp::MAX),
        };
        Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
    }

    /// The monotonic clock.
    pub fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// The system's wall clock, cut to milliseconds.
pub fn now() -> Timestamp {
    Clock::default().now()
}

/// The monotonic clock; it stands still when a test pauses Tokio's time.
pub fn monotonic() -> Instant {
    Instant::now()
}
