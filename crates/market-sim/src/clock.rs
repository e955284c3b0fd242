//! The simulator's present, and the steady time that rate limits are counted in.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::options::SimTime;

/// The simulator's present.
#[derive(Debug)]
pub(crate) struct Clock {
    time: SimTime,
    set_at: Instant,
}

impl Clock {
    pub(crate) fn new(time: SimTime) -> Self {
        Self {
            time,
            set_at: steady_now(),
        }
    }

    pub(crate) fn set(&mut self, time: SimTime) {
        *self = Self::new(time);
    }

    /// Moves the present by `step`; what was frozen stays frozen, real time becomes running.
    pub(crate) fn step(&mut self, step: SignedDuration) {
        let moved = self.now().saturating_add(step).unwrap_or(Timestamp::MAX);
        self.set(match self.time {
            SimTime::FrozenAt(_) => SimTime::FrozenAt(moved),
            SimTime::RealTime | SimTime::RunningFrom(_) => SimTime::RunningFrom(moved),
        });
    }

    pub(crate) fn time(&self) -> SimTime {
        self.time
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self.time {
            SimTime::RealTime => Timestamp::now(),
            SimTime::FrozenAt(moment) => moment,
            SimTime::RunningFrom(start) => start
                .saturating_add(self.set_at.elapsed())
                .unwrap_or(Timestamp::MAX),
        }
    }
}

/// Time that no one can set: rate limits go by it, or a frozen present would never lift a ban.
pub(crate) fn steady_now() -> Instant {
    Instant::now()
}
