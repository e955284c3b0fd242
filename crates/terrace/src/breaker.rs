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
/// Time is told from outside, as the span since any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    in_a_row: u32,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Duration,
    calls: u32,
    failures: u32,
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

    pub(crate) fn succeeded(&self, now: Duration) {
        let mut state = self.state.lock();
        state.in_a_row = 0;
        state.window.at(now).calls += 1;
    }

    pub(crate) fn failed(&self, now: Duration) -> Change {
        let mut state = self.state.lock();
        state.in_a_row += 1;
        let window = state.window.at(now);
        window.calls += 1;
        window.failures += 1;
        let often = window.calls >= LEAST_CALLS && window.failures * 2 >= window.calls;
        if state.open || (state.in_a_row < FAILURES_IN_A_ROW && !often) {
            return Change::None;
        }
        state.open = true;
        Change::Opened
    }

    /// A probe was answered, or not.
    pub(crate) fn probed(&self, answered: bool) -> Change {
        let mut state = self.state.lock();
        if !(answered && state.open) {
            return Change::None;
        }
        *state = State::default();
        Change::Closed
    }
}

impl Window {
    fn at(&mut self, now: Duration) -> &mut Self {
        if now.saturating_sub(self.began) >= WINDOW {
            *self = Self {
                began: now,
                ..Self::default()
            };
        }
        self
    }
}
