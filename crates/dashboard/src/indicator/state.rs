//! An indicator on its way through the bars, and what it says on each.

use serde::{Deserialize, Serialize};

use super::{
    Indicator, Ohlc, atr::Atr, bollinger::Bollinger, ema::Average, macd::Macd, rsi::Rsi, sma::Sma,
    stochastic::Stochastic,
};

/// What an indicator says on a bar. Invariant: finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Of the RSI, the averages and the ATR.
    Number(f64),
    /// Of the MACD.
    Macd {
        /// The fast average less the slow one.
        macd: f64,
        /// The average of that.
        signal: f64,
        /// How far the one is above the other.
        histogram: f64,
    },
    /// Of the Bollinger bands.
    Bands {
        /// The middle and the deviations.
        upper: f64,
        /// The mean.
        middle: f64,
        /// The middle less the deviations.
        lower: f64,
    },
    /// Of the stochastic.
    Stochastic {
        /// %K, 0 to 100.
        k: f64,
        /// %D, the mean of %K.
        d: f64,
    },
}

impl Value {
    /// Its numbers with their names, in TA-Lib's order.
    ///
    /// ```
    /// # use dashboard::indicator::Value;
    /// let named: Vec<_> = Value::Stochastic { k: 80.0, d: 75.0 }.named().collect();
    /// assert_eq!(named, [("k", 80.0), ("d", 75.0)]);
    /// assert_eq!(Value::Number(54.2).named().next(), Some(("value", 54.2)));
    /// ```
    pub fn named(self) -> impl Iterator<Item = (&'static str, f64)> {
        let named = match self {
            Self::Number(value) => [Some(("value", value)), None, None],
            Self::Macd {
                macd,
                signal,
                histogram,
            } => [
                Some(("macd", macd)),
                Some(("signal", signal)),
                Some(("histogram", histogram)),
            ],
            Self::Bands {
                upper,
                middle,
                lower,
            } => [
                Some(("upper", upper)),
                Some(("middle", middle)),
                Some(("lower", lower)),
            ],
            Self::Stochastic { k, d } => [Some(("k", k)), Some(("d", d)), None],
        };
        named.into_iter().flatten()
    }
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// The series is too short.
    #[error("{need} closed bars are needed, and there are {have}")]
    TooFewBars {
        /// Bars that were there.
        have: usize,
        /// Bars that had to be there.
        need: usize,
    },
    /// Nothing moved, so there is nothing that gains or lies between extremes.
    #[error("the price did not move, so the indicator has no value")]
    Flat,
}

/// An indicator on its way through closed bars, oldest first.
///
/// Cost of a bar: a few dozen operations, two combinations for each bar of a window on average; no
/// allocation.
///
/// ```
/// # use dashboard::indicator::{Indicator, Ohlc, Value};
/// let mut state = "sma:2".parse().map(Indicator::start)?;
/// let [first, second, open] = [1.0, 2.0, 6.0].map(|close| Ohlc::from_price(close).expect("finite"));
/// assert!(state.push(first).is_err(), "one bar is no two");
/// assert_eq!(state.push(second), Ok(Value::Number(1.5)));
/// // The open bar is looked at as often as it changes, and is not one of the closed ones.
/// assert_eq!(state.peek(open), Ok(Value::Number(4.0)));
/// assert_eq!(state.latest(), Ok(Value::Number(1.5)));
/// assert_eq!(state.bars(), 2);
/// # Ok::<(), dashboard::indicator::BadIndicator>(())
/// ```
#[derive(Clone, Debug)]
pub struct State {
    indicator: Indicator,
    bars: usize,
    arithmetic: Arithmetic,
    latest: Result<Value, NoValue>,
}

#[derive(Clone, Debug)]
enum Arithmetic {
    Rsi(Rsi),
    Ema(Average),
    Sma(Sma),
    Macd(Macd),
    Bbands(Bollinger),
    Atr(Atr),
    Stoch(Stochastic),
}

impl State {
    pub(super) fn new(indicator: Indicator) -> Self {
        let arithmetic = match indicator {
            Indicator::Rsi(period) => Arithmetic::Rsi(Rsi::new(period)),
            Indicator::Ema(period) => Arithmetic::Ema(Average::exponential(period.bars())),
            Indicator::Sma(period) => Arithmetic::Sma(Sma::new(period)),
            Indicator::Macd(periods) => Arithmetic::Macd(Macd::new(periods)),
            Indicator::Bbands { period, deviations } => {
                Arithmetic::Bbands(Bollinger::new(period, deviations))
            }
            Indicator::Atr(period) => Arithmetic::Atr(Atr::new(period)),
            Indicator::Stoch {
                fast_k,
                slow_k,
                slow_d,
            } => Arithmetic::Stoch(Stochastic::new(fast_k, slow_k, slow_d)),
        };
        let need = indicator.lookback() + 1;
        Self {
            indicator,
            bars: 0,
            arithmetic,
            latest: Err(NoValue::TooFewBars { have: 0, need }),
        }
    }

    /// Takes the next closed bar, and says what the indicator is on it, as TA-Lib has it.
    ///
    /// # Errors
    /// `TooFewBars` up to [`Indicator::lookback`], `Flat` where nothing moved; the bar is taken
    /// all the same.
    pub fn push(&mut self, closed: Ohlc) -> Result<Value, NoValue> {
        self.bars += 1;
        let (have, need) = (self.bars, self.indicator.lookback() + 1);
        self.latest = match self.arithmetic.push(&closed) {
            Some(value) => Ok(value),
            None if have < need => Err(NoValue::TooFewBars { have, need }),
            None => Err(NoValue::Flat),
        };
        self.latest
    }

    /// What [`push`](Self::push) would say of this bar, which is not taken.
    ///
    /// Cost: a copy of the windows, which allocates; meant for one look a change of the open bar.
    ///
    /// # Errors
    /// As of [`push`](Self::push).
    pub fn peek(&self, open: Ohlc) -> Result<Value, NoValue> {
        self.clone().push(open)
    }

    /// What the indicator was on the last bar that was taken.
    ///
    /// # Errors
    /// As of [`push`](Self::push).
    pub const fn latest(&self) -> Result<Value, NoValue> {
        self.latest
    }

    /// How many bars were taken.
    pub const fn bars(&self) -> usize {
        self.bars
    }

    /// Whether enough bars were taken for values to be published.
    ///
    /// ```
    /// # use dashboard::indicator::{Indicator, Ohlc};
    /// let mut state = "ema:2".parse().map(Indicator::start)?;
    /// let settled_after = (1..).find(|&price| {
    ///     let _ = state.push(Ohlc::from_price(f64::from(price)).expect("finite"));
    ///     state.is_settled()
    /// });
    /// assert_eq!(settled_after, Some(9));
    /// # Ok::<(), dashboard::indicator::BadIndicator>(())
    /// ```
    pub const fn is_settled(&self) -> bool {
        self.bars >= self.indicator.bars_needed()
    }
}

impl Arithmetic {
    /// None while it warms up, and where nothing moved.
    fn push(&mut self, bar: &Ohlc) -> Option<Value> {
        match self {
            Self::Rsi(rsi) => rsi.push(bar.close()).map(Value::Number),
            Self::Ema(ema) => ema.push(bar.close()).map(Value::Number),
            Self::Sma(sma) => sma.push(bar.close()).map(Value::Number),
            Self::Macd(macd) => macd.push(bar.close()),
            Self::Bbands(bands) => bands.push(bar.close()),
            Self::Atr(atr) => atr.push(bar).map(Value::Number),
            Self::Stoch(stochastic) => stochastic.push(bar),
        }
    }
}
