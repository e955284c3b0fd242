//! Parameters of indicators: checked when they are made, so that no computation checks them again.

use std::fmt;

/// What is not an indicator, or not one of its parameters. The message says what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIndicator {
    /// A name that is none of ours.
    #[error("unknown indicator: rsi, ema, sma, macd, bbands, atr and stoch are taken")]
    UnknownName,
    /// A period that is no whole number, or out of range.
    #[error("a period here is a whole number of bars from {least} to {most}")]
    BadPeriod {
        /// The shortest that is taken.
        least: u16,
        /// The longest.
        most: u16,
    },
    /// A width of the bands that is no such decimal.
    #[error("the deviations of bbands are 0.1 to 10, with at most two decimals")]
    BadDeviations,
    /// A fast average that would be no faster than the slow one.
    #[error("the fast period of macd is less than its slow one, as in macd:12-26-9")]
    FastNotFaster,
    /// More parameters than the indicator has.
    #[error("too many parameters: at most {most} are taken, joined by -")]
    TooMany {
        /// How many it has.
        most: usize,
    },
}

/// A number of bars, from `LEAST` to [`MOST`](Self::MOST).
///
/// `LEAST` is TA-Lib's: two where one bar would leave nothing to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period<const LEAST: u16>(pub(super) u16);

impl<const LEAST: u16> Period<LEAST> {
    /// The longest. More than two years of days; it bounds what a window holds.
    pub const MOST: u16 = 500;

    /// A period of so many bars.
    ///
    /// # Errors
    /// `BadPeriod` when it is out of range.
    ///
    /// ```
    /// # use dashboard::indicator::{BadIndicator, Period};
    /// assert_eq!(Period::<2>::new(14).map(Period::bars), Ok(14));
    /// assert_eq!(Period::<2>::new(1), Err(BadIndicator::BadPeriod { least: 2, most: 500 }));
    /// assert!(Period::<1>::new(1).is_ok());
    /// assert!(Period::<1>::new(501).is_err());
    /// ```
    pub const fn new(bars: u16) -> Result<Self, BadIndicator> {
        if LEAST <= bars && bars <= Self::MOST {
            Ok(Self(bars))
        } else {
            Err(Self::OUT_OF_RANGE)
        }
    }

    pub(super) const OUT_OF_RANGE: BadIndicator = BadIndicator::BadPeriod {
        least: LEAST,
        most: Self::MOST,
    };

    /// How many bars.
    pub const fn bars(self) -> usize {
        self.0 as usize
    }
}

impl<const LEAST: u16> fmt::Display for Period<LEAST> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The periods of the MACD.
///
/// Invariant: the fast one is shorter than the slow one. (TA-Lib swaps them silently.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacdPeriods {
    fast: Period<2>,
    slow: Period<2>,
    signal: Period<1>,
}

impl MacdPeriods {
    pub(super) const DEFAULT: Self = Self {
        fast: Period(12),
        slow: Period(26),
        signal: Period(9),
    };

    /// These periods.
    ///
    /// # Errors
    /// `FastNotFaster` when the first is not shorter than the second.
    ///
    /// ```
    /// # use dashboard::indicator::{BadIndicator, MacdPeriods, Period};
    /// let (fast, slow, signal) = (Period::new(12)?, Period::new(26)?, Period::new(9)?);
    /// assert_eq!(MacdPeriods::new(fast, slow, signal)?.slow(), slow);
    /// assert_eq!(MacdPeriods::new(slow, slow, signal), Err(BadIndicator::FastNotFaster));
    /// # Ok::<(), BadIndicator>(())
    /// ```
    pub const fn new(
        fast: Period<2>,
        slow: Period<2>,
        signal: Period<1>,
    ) -> Result<Self, BadIndicator> {
        if fast.0 < slow.0 {
            Ok(Self { fast, slow, signal })
        } else {
            Err(BadIndicator::FastNotFaster)
        }
    }

    /// Of the EMA that follows the closes fast.
    pub const fn fast(self) -> Period<2> {
        self.fast
    }

    /// Of the EMA that follows them slowly.
    pub const fn slow(self) -> Period<2> {
        self.slow
    }

    /// Of the EMA of their difference.
    pub const fn signal(self) -> Period<1> {
        self.signal
    }
}

/// How many standard deviations the Bollinger bands lie from their middle.
///
/// In hundredths, so that it can be compared and stand in a key; its text has no zeros at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deviations(u16);

impl Deviations {
    pub(super) const DEFAULT: Self = Self(200);

    /// So many hundredths of a standard deviation, from 10 to 1,000.
    ///
    /// # Errors
    /// `BadDeviations` when it is out of range.
    ///
    /// ```
    /// # use dashboard::indicator::Deviations;
    /// assert_eq!(Deviations::from_hundredths(250).map(|width| width.to_string()), Ok("2.5".to_owned()));
    /// assert!(Deviations::from_hundredths(9).is_err());
    /// assert!(Deviations::from_hundredths(1_001).is_err());
    /// ```
    pub const fn from_hundredths(hundredths: u16) -> Result<Self, BadIndicator> {
        if 10 <= hundredths && hundredths <= 1_000 {
            Ok(Self(hundredths))
        } else {
            Err(BadIndicator::BadDeviations)
        }
    }

    /// What a standard deviation is multiplied by.
    ///
    /// ```
    /// # use dashboard::indicator::Deviations;
    /// assert_eq!("2.5".parse().map(Deviations::factor), Ok(2.5));
    /// ```
    pub fn factor(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Deviations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The shortest decimal that reads back as the same number, which hundredths have.
        self.factor().fmt(f)
    }
}
