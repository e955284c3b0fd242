//! The relative strength index after Wilder.

use super::{Period, ema::Average};

#[derive(Clone, Debug)]
pub(super) struct Rsi {
    close: Option<f64>,
    gain: Average,
    loss: Average,
}

impl Rsi {
    pub(super) fn new(period: Period<2>) -> Self {
        let average = Average::wilder(period.bars());
        Self {
            close: None,
            gain: average,
            loss: average,
        }
    }

    /// None while it warms up, and where nothing ever moved: older TA-Libs say 0 there, newer ones
    /// 50.
    pub(super) fn push(&mut self, close: f64) -> Option<f64> {
        let change = close - self.close.replace(close)?;
        let gain = self.gain.push(change.max(0.0));
        let loss = self.loss.push((-change).max(0.0));
        let (gain, loss) = gain.zip(loss)?;
        let moved = gain + loss;
        (moved > 0.0).then(|| 100.0 * (gain / moved))
    }
}
