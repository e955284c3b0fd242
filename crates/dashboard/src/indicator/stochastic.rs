//! Lane's slow stochastic.

use super::{
    Ohlc, Period, Value,
    window::{Combine, Window},
};

#[derive(Clone, Debug)]
pub(super) struct Stochastic {
    extremes: Window<Extremes>,
    /// Where the closes lie; none where nothing moved, and then none until it has left the window.
    fast_k: Window<Option<f64>>,
    slow_k: Window<Option<f64>>,
    fast_k_bars: f64,
    slow_k_bars: f64,
}

#[derive(Clone, Copy, Debug)]
struct Extremes {
    high: f64,
    low: f64,
}

/// A window that spans less than this share of its prices is flat: TA-Lib's bound, some 45 times
/// the rounding error of one price.
const ROUNDING: f64 = 1e-14;

impl Combine for Extremes {
    fn combine(self, newer: Self) -> Self {
        Self {
            high: self.high.max(newer.high),
            low: self.low.min(newer.low),
        }
    }
}

impl Extremes {
    /// How far up a price lies between them, in percent.
    fn place(self, price: f64) -> Option<f64> {
        let span = self.high - self.low;
        let is_flat = span <= ROUNDING * (self.high.abs() + self.low.abs());
        (!is_flat).then(|| 100.0 * ((price - self.low) / span))
    }
}

impl Stochastic {
    pub(super) fn new(fast_k: Period<1>, slow_k: Period<1>, slow_d: Period<1>) -> Self {
        Self {
            extremes: Window::new(fast_k.bars()),
            fast_k: Window::new(slow_k.bars()),
            slow_k: Window::new(slow_d.bars()),
            fast_k_bars: slow_k.bars() as f64,
            slow_k_bars: slow_d.bars() as f64,
        }
    }

    /// None while it warms up, and while a bar takes part whose window spans nothing. TA-Lib takes
    /// 0 for such a bar, as if the close were at the low, and averages that.
    pub(super) fn push(&mut self, bar: &Ohlc) -> Option<Value> {
        let extremes = self.extremes.push(Extremes {
            high: bar.high(),
            low: bar.low(),
        })?;
        let sum = self.fast_k.push(extremes.place(bar.close()))?;
        let k = sum.map(|sum| sum / self.fast_k_bars);
        let sum = self.slow_k.push(k)?;
        let d = sum.map(|sum| sum / self.slow_k_bars);
        k.zip(d).map(|(k, d)| Value::Stochastic { k, d })
    }
}
