//! The simulator's present, and the steady time that limits and connections live in.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::options::SimTime;

/// The simulator's present, and a steady time beside it.
///
/// The present can be set to anything. Steady time only ever goes on: with the machine's time
/// (faster where the present is), and by every step. Limits, bans, pings and the life of a
/// connection are counted in it, so that a frozen present lifts a ban in due course, and a day that
/// is stepped through in a second is a day for them too.
#[derive(Debug)]
pub(crate) struct Clock {
    time: SimTime,
    set_at: Instant,
    /// Steady time when it was `set_at`.
    steady: Duration,
}

impl Clock {
    pub(crate) fn new(time: SimTime) -> Self {
        Self {
            time,
            set_at: Instant::now(),
            steady: Duration::ZERO,
        }
    }

    pub(crate) fn set(&mut self, time: SimTime) {
        let steady = self.steady();
        *self = Self {
            steady,
            ..Self::new(time)
        };
    }

    /// Moves the present by `step`; what stood still goes on standing still, real time runs on.
    pub(crate) fn step(&mut self, step: SignedDuration) {
        let moved = self.now().saturating_add(step).unwrap_or(Timestamp::MAX);
        self.set(match self.time {
            SimTime::FrozenAt(_) => SimTime::FrozenAt(moved),
            SimTime::SteppedFrom(_) => SimTime::SteppedFrom(moved),
            SimTime::RealTime | SimTime::RunningFrom(_) => SimTime::RunningFrom(moved),
            SimTime::FastFrom { speed, .. } => SimTime::FastFrom {
                moment: moved,
                speed,
            },
        });
        // A step back is no time that has passed.
        let passed = Duration::try_from(step).unwrap_or_default();
        self.steady = self.steady.saturating_add(passed);
    }

    pub(crate) fn time(&self) -> SimTime {
        self.time
    }

    pub(crate) fn now(&self) -> Timestamp {
        let (start, speed) = match self.time {
            SimTime::RealTime => return Timestamp::now(),
            SimTime::FrozenAt(moment) | SimTime::SteppedFrom(moment) => return moment,
            SimTime::RunningFrom(start) => (start, 1),
            SimTime::FastFrom { moment, speed } => (moment, speed),
        };
        start
            .saturating_add(self.set_at.elapsed().saturating_mul(speed))
            .unwrap_or(Timestamp::MAX)
    }

    pub(crate) fn steady(&self) -> Duration {
        let passed = self.set_at.elapsed().saturating_mul(self.steady_speed());
        self.steady.saturating_add(passed)
    }

    /// How fast steady time goes by itself.
    pub(crate) fn steady_speed(&self) -> u32 {
        match self.time {
            SimTime::SteppedFrom(_) => 0,
            SimTime::FastFrom { speed, .. } => speed,
            SimTime::RealTime | SimTime::FrozenAt(_) | SimTime::RunningFrom(_) => 1,
        }
    }

    /// Whether the present moves by itself, and then as fast as steady time.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.time, SimTime::FrozenAt(_)) && self.steady_speed() > 0
    }
}
