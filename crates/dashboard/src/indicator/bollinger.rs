//! Bollinger's bands.

use super::{
    Deviations, Period, Value,
    window::{Combine, Window},
};

#[derive(Clone, Debug)]
pub(super) struct Bollinger {
    closes: Window<Moments>,
    deviations: f64,
}

/// What the mean and the deviation of some closes are made from.
///
/// Combined after Chan, Golub and LeVeque (1979): squares of prices, whose difference would be all
/// rounding error where the price is high and hardly moves, are never summed.
#[derive(Clone, Copy, Debug)]
struct Moments {
    count: f64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Combine for Moments {
    fn combine(self, newer: Self) -> Self {
        let count = self.count + newer.count;
        let apart = newer.mean - self.mean;
        let share = newer.count / count;
        Self {
            count,
            mean: self.mean + apart * share,
            squares: self.squares + newer.squares + apart * apart * self.count * share,
        }
    }
}

impl Bollinger {
    pub(super) fn new(period: Period<2>, deviations: Deviations) -> Self {
        Self {
            closes: Window::new(period.bars()),
            deviations: deviations.factor(),
        }
    }

    /// None while it warms up.
    pub(super) fn push(&mut self, close: f64) -> Option<Value> {
        let closes = self.closes.push(Moments {
            count: 1.0,
            mean: close,
            squares: 0.0,
        })?;
        let middle = closes.mean;
        let reach = self.deviations * (closes.squares / closes.count).sqrt();
        Some(Value::Bands {
            upper: middle + reach,
            middle,
            lower: middle - reach,
        })
    }
}
