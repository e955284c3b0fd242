//! Wilder's average true range.

use super::{Ohlc, Period, ema::Average};

#[derive(Clone, Debug)]
pub(super) struct Atr {
    close: Option<f64>,
    range: Average,
}

impl Atr {
    pub(super) fn new(period: Period<1>) -> Self {
        Self {
            close: None,
            range: Average::wilder(period.bars()),
        }
    }

    /// None while it warms up.
    pub(super) fn push(&mut self, bar: &Ohlc) -> Option<f64> {
        let before = self.close.replace(bar.close())?;
        // How far the price came since the close before, gaps between bars included.
        let range = bar.high().max(before) - bar.low().min(before);
        self.range.push(range)
    }
}
