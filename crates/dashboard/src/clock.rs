//! The one room of the dashboard that reads clocks.

use jiff::Timestamp;
use tokio::time::Instant;

/// The wall clock, cut to milliseconds: the finest that the JSON and the stored form carry.
pub fn now() -> Timestamp {
    cut_to_millis(Timestamp::now())
}

/// The monotonic clock; it stands still when a test pauses Tokio's time.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Drops what is below a millisecond, so that a time survives being stored unchanged.
pub fn cut_to_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
