//! The one place that reads the system's clocks.
//!
//! Everything else is handed a [`Moment`]. The clock is monotonic: setting the
//! wall clock neither lengthens nor shortens a life.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A point on a cache's own monotonic time line, in whole milliseconds.
///
/// It may lie before the clock's zero: an entry read from a store can be older
/// than this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// Before and after everything.
    pub(crate) const NEVER: Self = Self(i64::MIN);
    pub(crate) const ALWAYS: Self = Self(i64::MAX);

    /// For an atomic that holds a moment.
    pub(crate) fn to_raw(self) -> i64 {
        self.0
    }

    pub(crate) fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// Whole milliseconds since `earlier`; 0 when `earlier` is not earlier.
    pub(crate) fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis_since(earlier))
    }

    pub(crate) fn since_zero(self) -> Duration {
        self.since(Self(0))
    }

    pub(crate) fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add_unsigned(millis))
    }

    pub(crate) fn minus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(millis))
    }
}

/// Measures the spans of a store: a lag for the statistics, the age of a connection.
#[cfg(feature = "redis")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(std::time::Instant);

#[cfg(feature = "redis")]
impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time source of a cache.
///
/// The default is the system's coarse monotonic clock (some 5 ns a reading; it
/// lags true time by up to two kernel ticks, a few milliseconds). A suspended
/// host's time does not count in it; heartbeats look at a clock in which it does.
/// Tests use [`testing::ManualClock`](crate::testing::ManualClock).
#[derive(Clone, Debug, Default)]
pub struct Clock(Kind);

#[derive(Clone, Debug, Default)]
enum Kind {
    #[default]
    System,
    #[cfg_attr(
        not(feature = "testing"),
        expect(dead_code, reason = "made by ManualClock")
    )]
    Manual(Arc<AtomicI64>),
}

impl Clock {
    #[cfg(feature = "testing")]
    pub(crate) fn manual(millis: Arc<AtomicI64>) -> Self {
        Self(Kind::Manual(millis))
    }

    #[inline]
    pub(crate) fn now(&self) -> Moment {
        match &self.0 {
            Kind::System => Moment(system_millis()),
            Kind::Manual(millis) => Moment(millis.load(Ordering::Acquire)),
        }
    }
}

/// How far two readings of a clock may be apart from the true time between them.
const LAG_BEYOND_TICKS_MILLIS: u64 = 2;

impl Clock {
    /// What is to be taken off a bound on time: the coarse clock stands still
    /// between two ticks, and moments are cut to whole milliseconds.
    pub(crate) fn guard_millis(&self) -> u64 {
        match &self.0 {
            Kind::System => 2 * tick_millis() + LAG_BEYOND_TICKS_MILLIS,
            Kind::Manual(_) => 0,
        }
    }

    /// How long the host has been suspended since it was booted, in milliseconds.
    pub(crate) fn suspended_millis(&self) -> i64 {
        match &self.0 {
            Kind::System => suspended_millis(),
            Kind::Manual(_) => 0,
        }
    }
}

#[cfg(target_os = "linux")]
fn tick_millis() -> u64 {
    let tick = rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse);
    u64::try_from(tick.tv_nsec).map_or(10, |nanos| nanos.div_ceil(1_000_000))
}

#[cfg(not(target_os = "linux"))]
fn tick_millis() -> u64 {
    0
}

#[cfg(target_os = "linux")]
fn suspended_millis() -> i64 {
    let millis = |clock| {
        let time = rustix::time::clock_gettime(clock);
        time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
    };
    millis(rustix::time::ClockId::Boottime) - millis(rustix::time::ClockId::Monotonic)
}

#[cfg(not(target_os = "linux"))]
fn suspended_millis() -> i64 {
    0
}

/// `Instant` costs ten times as much here, which alone would break the target
/// for an L1 hit (docs/adr/0002).
#[cfg(target_os = "linux")]
#[inline]
fn system_millis() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[cfg(not(target_os = "linux"))]
fn system_millis() -> i64 {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    i64::try_from(START.elapsed().as_millis()).unwrap_or(i64::MAX)
}
