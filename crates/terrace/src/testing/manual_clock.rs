//! Time that tests move.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::clock::Clock;

/// A clock that stands still until it is told to move.
///
/// ```
/// # use terrace::{Cache, EntryOptions, testing::ManualClock};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// let time = ManualClock::new();
/// let cache: Cache<u8> = Cache::builder("numbers")
///     .defaults(EntryOptions::ttl(Duration::from_secs(10)))
///     .clock(time.clock())
///     .build()?;
/// cache.set("one", 1).await?;
/// time.advance(Duration::from_secs(10));
/// assert!(cache.peek("one").is_none());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock at its zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time source to build a cache or a store with.
    pub fn clock(&self) -> Clock {
        Clock::manual(Arc::clone(&self.0))
    }

    /// Moves time on, in whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::AcqRel);
    }
}
