//! What the service answered so far: a count and a mean.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// More than the threads of most machines; two that share one lose a little time only.
const SLOTS: usize = 16;

/// Counts HTTP answers since start, health and metrics routes excepted.
///
/// One slot a thread: every answer is counted, and threads that count in one place wait
/// for one another.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot {
    answers: AtomicU64,
    busy_nanos: AtomicU64,
}

/// One reading of [`Traffic`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// Answers since start.
    pub(crate) answers: u64,
    /// Mean time from the request's head to the answer's head; 0.0 where nothing was counted.
    pub(crate) mean_ms: f64,
}

impl Traffic {
    /// Counts one answer that took `spent`.
    pub(crate) fn count(&self, spent: Duration) {
        let nanos = u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX);
        let slot = &self.slots[slot_of_thread()];
        slot.answers.fetch_add(1, Ordering::Relaxed);
        slot.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The figures so far. The two are read one after the other, which may put them one answer apart.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn reading(&self) -> Reading {
        let sum = |of: fn(&Slot) -> &AtomicU64| {
            let counts = self
                .slots
                .iter()
                .map(|slot| of(slot).load(Ordering::Relaxed));
            counts.fold(0, u64::wrapping_add)
        };
        let answers = sum(|slot| &slot.answers);
        let busy_ms = sum(|slot| &slot.busy_nanos) as f64 / 1e6;
        let mean_ms = if answers == 0 {
            0.0
        } else {
            (busy_ms / answers as f64 * 1000.0).round() / 1000.0
        };
        Reading { answers, mean_ms }
    }
}

fn slot_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SLOT: Cell<Option<usize>> = const { Cell::new(None) };
    }
    SLOT.with(|slot| {
        slot.get().unwrap_or_else(|| {
            let taken = NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS;
            slot.set(Some(taken));
            taken
        })
    })
}
