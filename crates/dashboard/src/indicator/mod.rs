//! Technical indicators over closed bars, by TA-Lib's conventions.
//!
//! An [`Indicator`] says which one, with its parameters, and is read from text such as `macd:12-26-9`. It
//! turns bars into a [`Value`]: all at once ([`Indicator::value`], [`Indicator::series`]) or one
//! after another ([`Indicator::start`], [`State::push`]); the former is the latter, repeated.
//!
//! Everything here is arithmetic: it knows no source, no clock and no cache. Where TA-Lib answers
//! with a made-up number (the RSI of a series that never moved), the answer here is [`NoValue`].
//!
//! ```
//! use dashboard::indicator::{Indicator, NoValue, Ohlc, Value};
//!
//! let sma: Indicator = "sma:3".parse()?;
//! let bars = [1.0, 2.0, 6.0].map(|close| Ohlc::from_price(close).expect("finite"));
//! assert_eq!(sma.value(bars), Ok(Value::Number(3.0)));
//! assert_eq!(sma.value(bars[..2].to_vec()), Err(NoValue::TooFewBars { have: 2, need: 3 }));
//! # Ok::<(), dashboard::indicator::BadIndicator>(())
//! ```

pub use self::{
    ohlc::{BadBar, Ohlc},
    parameter::{BadIndicator, Deviations, MacdPeriods, Period},
    state::{NoValue, State, Value},
};

mod ohlc;
mod parameter;
mod text;
mod warm_up;

mod state;

mod atr;
mod bollinger;
mod macd;
mod rsi;
mod sma;
mod stochastic;

mod ema;
mod window;

/// An indicator and its parameters.
///
/// Its text is its name and its parameters, `macd:12-26-9`; parameters that are left out from the
/// right have their defaults ([`DEFAULTS`](Self::DEFAULTS)). Equal indicators are the same
/// computation, so it serves as a key.
///
/// ```
/// # use dashboard::indicator::{Indicator, Ohlc, Value};
/// let bars = [
///     Ohlc::new(10.0, 13.0, 9.0, 12.0),
///     Ohlc::new(12.0, 14.0, 10.0, 10.0),
///     Ohlc::new(10.0, 17.0, 10.0, 16.0),
/// ];
/// let on_last = |text: &str| {
///     let indicator: Indicator = text.parse().expect("one of ours");
///     let last = indicator.series(bars.map(|bar| bar.expect("in order"))).last();
///     last.expect("three bars").expect("three are enough")
/// };
/// assert_eq!(on_last("rsi:2"), Value::Number(75.0)); // 6 up, 2 down
/// assert_eq!(on_last("ema:2"), Value::Number(11.0 + 2.0 / 3.0 * 5.0));
/// assert_eq!(on_last("sma:2"), Value::Number(13.0));
/// let macd = on_last("macd:2-3-1");
/// let difference = 13.0 - 38.0 / 3.0;
/// assert_eq!(macd, Value::Macd { macd: difference, signal: difference, histogram: 0.0 });
/// let bands = on_last("bbands:2-2");
/// assert_eq!(bands, Value::Bands { upper: 19.0, middle: 13.0, lower: 7.0 });
/// assert_eq!(on_last("atr:2"), Value::Number(5.5)); // ranges 4 and 7
/// assert_eq!(on_last("stoch:2-1-1"), Value::Stochastic { k: 600.0 / 7.0, d: 600.0 / 7.0 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Indicator {
    /// Relative strength index, 0 to 100: the average gain's share in the average gain and loss of
    /// the closes, in percent. Wilder, "New Concepts in Technical Trading Systems", 1978. `rsi:14`.
    ///
    /// The averages begin as the plain means of the first `n` changes; then the newest weighs
    /// `1 / n`. No value where no close ever differed from the one before it.
    Rsi(Period<2>),
    /// Exponential moving average of the closes, in their currency. `ema:20`.
    ///
    /// It begins as the plain mean of the first `n` closes; then the newest weighs `2 / (n + 1)`.
    Ema(Period<1>),
    /// Simple moving average: the plain mean of the last `n` closes, in their currency. `sma:20`.
    Sma(Period<1>),
    /// Moving average convergence and divergence, in the currency of the closes: a fast EMA less a
    /// slow one, the EMA of that as signal, and how far apart the two are. Appel, "The Moving
    /// Average Convergence-Divergence Trading Method", 1979. `macd:12-26-9`.
    ///
    /// Both EMAs begin on the same bar, the last of the slow one's first `n`, each as the mean of
    /// its own number of closes that end there. The signal begins as the mean of the first lines.
    Macd(MacdPeriods),
    /// Bollinger bands, in the currency of the closes: their SMA, and so many standard deviations
    /// above and below it. Bollinger, "Bollinger on Bollinger Bands", 2001. `bbands:20-2`.
    ///
    /// The deviation is the population's: the sum of squares is divided by `n`, not `n - 1`.
    Bbands {
        /// Bars of mean and deviation.
        period: Period<2>,
        /// How far the bands lie from the middle.
        deviations: Deviations,
    },
    /// Average true range, in the currency of the prices: Wilder's average of how far each bar
    /// reached, counted from the close before it. Wilder, 1978. `atr:14`.
    ///
    /// It begins as the plain mean of the first `n` ranges; then the newest weighs `1 / n`. The
    /// first bar has no range: nothing closed before it.
    Atr(Period<1>),
    /// Slow stochastic, 0 to 100: where the close lies between the lowest low and the highest high,
    /// in percent, smoothed into %K, and again into %D, with plain means. Lane, "Lane's
    /// Stochastics", 1984. `stoch:14-3-3`.
    ///
    /// No value while a bar takes part whose highs and lows span nothing.
    Stoch {
        /// Bars of the lowest low and the highest high.
        fast_k: Period<1>,
        /// Bars of the mean that is %K.
        slow_k: Period<1>,
        /// Bars of the mean of %K that is %D.
        slow_d: Period<1>,
    },
}

impl Indicator {
    /// The most common of all, and the one of the summary.
    pub const RSI_14: Self = Self::DEFAULTS[0];

    /// Each indicator with the parameters that it has when none are named.
    ///
    /// ```
    /// # use dashboard::indicator::Indicator;
    /// let texts = Indicator::DEFAULTS.map(|indicator| indicator.to_string()).join(",");
    /// assert_eq!(texts, "rsi:14,ema:20,sma:20,macd:12-26-9,bbands:20-2,atr:14,stoch:14-3-3");
    /// ```
    pub const DEFAULTS: [Self; 7] = [
        Self::Rsi(Period(14)),
        Self::Ema(Period(20)),
        Self::Sma(Period(20)),
        Self::Macd(MacdPeriods::DEFAULT),
        Self::Bbands {
            period: Period(20),
            deviations: Deviations::DEFAULT,
        },
        Self::Atr(Period(14)),
        Self::Stoch {
            fast_k: Period(14),
            slow_k: Period(3),
            slow_d: Period(3),
        },
    ];

    /// The value on the last of these closed bars, oldest first, to be published.
    ///
    /// Cost: one pass; nothing is kept of the bars but a window.
    ///
    /// # Errors
    /// `TooFewBars` below [`bars_needed`](Self::bars_needed), `Flat` where nothing moved.
    ///
    /// ```
    /// # use dashboard::indicator::{Indicator, NoValue, Ohlc, Value};
    /// let rising = (0..250).map(|day| Ohlc::from_price(f64::from(day)).expect("finite"));
    /// assert_eq!(Indicator::RSI_14.value(rising.clone()), Ok(Value::Number(100.0)));
    /// let too_few = NoValue::TooFewBars { have: 249, need: 250 };
    /// assert_eq!(Indicator::RSI_14.value(rising.skip(1)), Err(too_few));
    /// let still = [Ohlc::from_price(7.0).expect("finite"); 250];
    /// assert_eq!(Indicator::RSI_14.value(still), Err(NoValue::Flat));
    /// ```
    pub fn value(self, closed: impl IntoIterator<Item = Ohlc>) -> Result<Value, NoValue> {
        self.settled(closed)?.latest()
    }

    /// The value as it would be, did the open bar close as it stands. The closed bars alone have to
    /// be enough.
    ///
    /// # Errors
    /// As of [`value`](Self::value).
    ///
    /// ```
    /// # use dashboard::indicator::{Indicator, Ohlc, Value};
    /// let sma: Indicator = "sma:2".parse()?;
    /// let [first, second, open] = [1.0, 2.0, 6.0].map(|close| Ohlc::from_price(close).expect("finite"));
    /// assert_eq!(sma.live_value([first, second], open), Ok(Value::Number(4.0)));
    /// # Ok::<(), dashboard::indicator::BadIndicator>(())
    /// ```
    pub fn live_value(
        self,
        closed: impl IntoIterator<Item = Ohlc>,
        open: Ohlc,
    ) -> Result<Value, NoValue> {
        self.settled(closed)?.peek(open)
    }

    /// The value on each of these closed bars, as TA-Lib has it: from its first index on, whether or
    /// not it can still be seen where the series began.
    ///
    /// ```
    /// # use dashboard::indicator::{Indicator, Ohlc, Value};
    /// let sma: Indicator = "sma:2".parse()?;
    /// let bars = [1.0, 2.0, 6.0].map(|close| Ohlc::from_price(close).expect("finite"));
    /// let values: Vec<_> = sma.series(bars).map(Result::ok).collect();
    /// assert_eq!(values, [None, Some(Value::Number(1.5)), Some(Value::Number(4.0))]);
    /// # Ok::<(), dashboard::indicator::BadIndicator>(())
    /// ```
    pub fn series(
        self,
        closed: impl IntoIterator<Item = Ohlc>,
    ) -> impl Iterator<Item = Result<Value, NoValue>> {
        let mut state = self.start();
        closed.into_iter().map(move |bar| state.push(bar))
    }

    /// The computation before its first bar. Its windows are allocated here and never grow.
    ///
    /// ```
    /// # use dashboard::indicator::{Indicator, NoValue};
    /// let state = Indicator::RSI_14.start();
    /// assert_eq!(state.latest(), Err(NoValue::TooFewBars { have: 0, need: 15 }));
    /// ```
    pub fn start(self) -> State {
        State::new(self)
    }

    fn settled(self, closed: impl IntoIterator<Item = Ohlc>) -> Result<State, NoValue> {
        let mut state = self.start();
        for bar in closed {
            let _ = state.push(bar);
        }
        let (have, need) = (state.bars(), self.bars_needed());
        if have < need {
            Err(NoValue::TooFewBars { have, need })
        } else {
            Ok(state)
        }
    }
}
