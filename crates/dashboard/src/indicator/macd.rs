//! Appel's moving average convergence and divergence.

use super::{MacdPeriods, Value, ema::Average};

#[derive(Clone, Debug)]
pub(super) struct Macd {
    fast: Average,
    slow: Average,
    signal: Average,
    /// Closes that the fast average still lets pass: TA-Lib has both averages begin on one bar,
    /// each with its own number of closes. The textbook's, which begins earlier, differs in the
    /// first dozens of bars.
    fast_waits: usize,
}

impl Macd {
    pub(super) fn new(periods: MacdPeriods) -> Self {
        let (fast, slow) = (periods.fast().bars(), periods.slow().bars());
        Self {
            fast: Average::exponential(fast),
            slow: Average::exponential(slow),
            signal: Average::exponential(periods.signal().bars()),
            fast_waits: slow - fast,
        }
    }

    /// None while it warms up.
    pub(super) fn push(&mut self, close: f64) -> Option<Value> {
        let slow = self.slow.push(close);
        let fast = match self.fast_waits.checked_sub(1) {
            Some(fewer) => {
                self.fast_waits = fewer;
                None
            }
            None => self.fast.push(close),
        };
        let macd = fast? - slow?;
        let signal = self.signal.push(macd)?;
        Some(Value::Macd {
            macd,
            signal,
            histogram: macd - signal,
        })
    }
}
