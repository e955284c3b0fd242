//! The one clock of a run: monotonic, and the same in all processes of the host.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since an unknown moment, usually the start of the host.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    // The monotonic clock is never negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}
