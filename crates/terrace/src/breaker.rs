//! Stops asking somebody who does not answer. Knows nothing of caches or stores.

use std::time::Duration;

use parking_lot::Mutex;

/// This many failures in a row open the breaker.
const FAILURES_IN_A_ROW: u32 = 5;
/// Or half of at least this many calls within one window.
const LEAST_CALLS: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// Closed: calls pass. Open: none does, until a probe succeeds.
///
/// The half-open state is the probe itself: the owner sends one on its own
/// schedule ([`Breaker::probed`]), so no caller ever pays for finding out.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    in_a_row: u32,
    calls: u32,
    failures: u32,
    window_age: Duration,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn is_open(&self) -> bool {
        self.state.lock().open
    }

    pub(crate) fn succeeded(&self) {
        let mut state = self.state.lock();
        state.in_a_row = 0;
        state.calls += 1;
    }

    pub(crate) fn failed(&self) -> Change {
        let mut state = self.state.lock();
        state.in_a_row += 1;
        state.calls += 1;
        state.failures += 1;
        let often = state.calls >= LEAST_CALLS && state.failures * 2 >= state.calls;
        if state.open || (state.in_a_row < FAILURES_IN_A_ROW && !often) {
            return Change::None;
        }
        state.open = true;
        Change::Opened
    }

    /// A probe was answered, or not. `elapsed` is the time since the last one:
    /// probes are also what moves the window on.
    pub(crate) fn probed(&self, answered: bool, elapsed: Duration) -> Change {
        let mut state = self.state.lock();
        state.window_age += elapsed;
        if state.window_age >= WINDOW {
            (state.calls, state.failures, state.window_age) = (0, 0, Duration::ZERO);
        }
        if !(answered && state.open) {
            return Change::None;
        }
        *state = State::default();
        Change::Closed
    }
}
