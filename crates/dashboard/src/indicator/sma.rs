//! The simple moving average.

use super::{Period, window::Window};

#[derive(Clone, Debug)]
pub(super) struct Sma {
    closes: Window<f64>,
    length: f64,
}

impl Sma {
    pub(super) fn new(period: Period<1>) -> Self {
        Self {
            closes: Window::new(period.bars()),
            length: period.bars() as f64,
        }
    }

    /// None while it warms up.
    pub(super) fn push(&mut self, close: f64) -> Option<f64> {
        self.closes.push(close).map(|sum| sum / self.length)
    }
}
