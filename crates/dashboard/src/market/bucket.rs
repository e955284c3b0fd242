//! A token bucket: how often a host may still be asked. Pure; the time is passed in.
//!
//! Our own and not a library's: Binance tells with each answer how much of its weight is used, by
//! whoever shares our address, and the level follows that.

use std::time::Duration;

use tokio::time::Instant;

use super::source::Allowance;

/// What is left of an allowance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    allowance: Allowance,
    /// Whole tokens are calls; what has grown since `at` is not in it yet.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(allowance: Allowance, now: Instant) -> Self {
        Self {
            allowance,
            level: f64::from(allowance.burst),
            at: now,
        }
    }

    /// Takes `cost` and leaves at least `reserve`, or tells how long that takes to be there.
    pub(crate) fn take(&mut self, cost: u32, reserve: u32, now: Instant) -> Result<(), Duration> {
        self.grow(now);
        let (cost, reserve) = (f64::from(cost), f64::from(reserve));
        let short = cost + reserve - self.level;
        if short > 0.0 {
            return Err(self.allowance.one_every.mul_f64(short));
        }
        self.level -= cost;
        Ok(())
    }

    /// The host says that so much of `limit` is used.
    pub(crate) fn correct(&mut self, used: u32, limit: u32, now: Instant) {
        self.grow(now);
        self.level = self.level.min(f64::from(limit.saturating_sub(used)));
    }

    /// What may be taken now.
    pub(crate) fn level(&self, now: Instant) -> f64 {
        let mut grown = *self;
        grown.grow(now);
        grown.level
    }

    fn grow(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let grown = passed.as_secs_f64() / self.allowance.one_every.as_secs_f64();
        self.level = (self.level + grown).min(f64::from(self.allowance.burst));
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        burst: 3,
        one_every: Duration::from_secs(10),
    };

    #[test]
    fn a_burst_is_granted_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ALLOWANCE, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(1, 0, start), Ok(()));
        }
        assert_eq!(bucket.take(1, 0, start), Err(Duration::from_secs(10)));
        let later = start + Duration::from_secs(10);
        assert_eq!(bucket.take(1, 0, later), Ok(()));
        assert!(bucket.take(1, 0, later).is_err());
    }

    #[test]
    fn it_never_holds_more_than_a_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ALLOWANCE, start);
        let later = start + Duration::from_secs(86_400);
        assert!(bucket.take(4, 0, later).is_err());
        assert_eq!(bucket.take(3, 0, later), Ok(()));
    }

    #[test]
    fn whoever_leaves_a_reserve_gets_less() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ALLOWANCE, start);
        assert_eq!(bucket.take(1, 2, start), Ok(()));
        assert!(bucket.take(1, 2, start).is_err());
        assert_eq!(bucket.take(1, 0, start), Ok(()));
    }

    #[test]
    fn what_others_used_is_taken_off() {
        let start = Instant::now();
        let mut bucket = Bucket::new(ALLOWANCE, start);
        bucket.correct(99, 100, start);
        assert_eq!(bucket.take(1, 0, start), Ok(()));
        assert!(bucket.take(1, 0, start).is_err());
        bucket.correct(0, 100, start);
        assert!(
            bucket.take(1, 0, start).is_err(),
            "it grows with time alone"
        );
    }
}
