//! Averages in which the past fades: the EMA, and Wilder's.

/// An average that begins as the plain mean of the first values, and then gives each next one the
/// same weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Average {
    weight: f64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The sum of what came so far, and how much is still to come.
    Beginning {
        sum: f64,
        taken: usize,
        period: usize,
    },
    Running(f64),
}

impl Average {
    /// The EMA: as far back on average as the plain mean of so many.
    pub(super) fn exponential(period: usize) -> Self {
        Self::new(period, 2.0 / (period as f64 + 1.0))
    }

    /// Wilder's: each next value weighs what it would in the plain mean of so many.
    pub(super) fn wilder(period: usize) -> Self {
        Self::new(period, 1.0 / period as f64)
    }

    fn new(period: usize, weight: f64) -> Self {
        let stage = Stage::Beginning {
            sum: 0.0,
            taken: 0,
            period,
        };
        Self { weight, stage }
    }

    /// Takes the next value; the average, once it has begun.
    pub(super) fn push(&mut self, next: f64) -> Option<f64> {
        self.stage = match self.stage {
            Stage::Beginning { sum, taken, period } if taken + 1 < period => Stage::Beginning {
                sum: sum + next,
                taken: taken + 1,
                period,
            },
            Stage::Beginning { sum, period, .. } => Stage::Running((sum + next) / period as f64),
            // Written so, an average of equal values stays exactly that value.
            Stage::Running(average) => Stage::Running(average + self.weight * (next - average)),
        };
        match self.stage {
            Stage::Beginning { .. } => None,
            Stage::Running(average) => Some(average),
        }
    }
}
