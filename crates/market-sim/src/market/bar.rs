//! A candle.

use crate::amount::Amount;

/// A candle: what happened in a span of time.
///
/// Invariant: `low <= open, close <= high`, and everything is at least zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) open: Amount,
    pub(crate) high: Amount,
    pub(crate) low: Amount,
    pub(crate) close: Amount,
    /// In coins.
    pub(crate) volume: Amount,
    /// In USDT.
    pub(crate) turnover: Amount,
    pub(crate) trades: i128,
    /// The part of `volume` that a taker bought.
    pub(crate) taker_volume: Amount,
    /// The part of `turnover` that a taker bought.
    pub(crate) taker_turnover: Amount,
}

impl Bar {
    /// This bar and the one right after it as one bar.
    pub(crate) fn joined(self, next: Self) -> Self {
        Self {
            open: self.open,
            high: self.high.max(next.high),
            low: self.low.min(next.low),
            close: next.close,
            volume: self.volume + next.volume,
            turnover: self.turnover + next.turnover,
            trades: self.trades + next.trades,
            taker_volume: self.taker_volume + next.taker_volume,
            taker_turnover: self.taker_turnover + next.taker_turnover,
        }
    }

    /// The same trades at so many hundredths of their prices.
    pub(crate) fn scaled(self, percent: u32) -> Self {
        Self {
            open: self.open.scaled(percent),
            high: self.high.scaled(percent),
            low: self.low.scaled(percent),
            close: self.close.scaled(percent),
            turnover: self.turnover.scaled(percent),
            taker_turnover: self.taker_turnover.scaled(percent),
            ..self
        }
    }

    /// Turnover per coin; the close where nothing was traded.
    pub(crate) fn average(self) -> Amount {
        if self.volume == Amount::ZERO {
            return self.close;
        }
        Amount::from_f64(self.turnover.as_f64() / self.volume.as_f64())
    }
}
