//! How many bars pass before there is a value, and before it can be published.

use super::Indicator;

impl Indicator {
    /// How many bars pass before the first value: TA-Lib's word for the index of that value.
    ///
    /// ```
    /// # use dashboard::indicator::Indicator;
    /// assert_eq!(Indicator::DEFAULTS.map(Indicator::lookback), [14, 19, 19, 33, 19, 14, 17]);
    /// ```
    pub const fn lookback(self) -> usize {
        match self {
            Self::Rsi(period) => period.bars(),
            Self::Ema(period) | Self::Sma(period) => period.bars() - 1,
            Self::Macd(periods) => periods.slow().bars() + periods.signal().bars() - 2,
            Self::Bbands { period, .. } => period.bars() - 1,
            Self::Atr(period) => period.bars(),
            Self::Stoch {
                fast_k,
                slow_k,
                slow_d,
            } => fast_k.bars() + slow_k.bars() + slow_d.bars() - 3,
        }
    }

    /// How many closed bars a value needs to be published.
    ///
    /// Means over a window need the window. An exponential average never forgets where it began:
    /// after `m` more bars that still weighs `(1 - 2 / (n + 1))^m ≈ e^(-2m/n)`, and Wilder's
    /// `e^(-m/n)`. A value needs so many bars that it does not show in the fourth digit:
    ///
    /// | | bars | the beginning weighs | error, relative to the value |
    /// |---|---|---|---|
    /// | EMA | `5n - 1` | `e^-8` | 2e-5 for n = 20, 9e-5 for n = 200 |
    /// | ATR | `10n` | `e^-9` | 3e-5 for n = 14, 8e-5 for n = 100 |
    /// | RSI | `18n - 2` | `e^-17`, for a small share of little | 1e-7 |
    /// | MACD | `7 (slow + signal)` | `e^-12`, for a hundredth of the price | 3e-7 for 12-26-9, 2e-5 for 12-26-1 |
    ///
    /// The errors are those that 999 of 1,000 random walks with steps of 2 % stay below; the MACD's,
    /// which crosses zero, relative to at least a hundredth of the price. With longer periods they
    /// grow, to 3e-4 for EMA-500. EMA-200 needs just what one call for 1,000 candles has: the last
    /// of them is open.
    ///
    /// ```
    /// # use dashboard::indicator::Indicator;
    /// let needed = Indicator::DEFAULTS.map(Indicator::bars_needed);
    /// assert_eq!(needed, [250, 99, 20, 245, 20, 140, 18]);
    /// assert_eq!("ema:200".parse().map(Indicator::bars_needed), Ok(999));
    /// ```
    pub const fn bars_needed(self) -> usize {
        let settled = match self {
            Self::Rsi(period) => 18 * period.bars() - 2,
            Self::Ema(period) => 5 * period.bars() - 1,
            Self::Macd(periods) => 7 * (periods.slow().bars() + periods.signal().bars()),
            Self::Atr(period) => 10 * period.bars(),
            Self::Sma(_) | Self::Bbands { .. } | Self::Stoch { .. } => 0,
        };
        let first = self.lookback() + 1;
        if settled > first { settled } else { first }
    }
}
