//! Indicators as text: `macd:12-26-9` in queries, its two halves in keys.

use std::{fmt, str::FromStr};

use super::{BadIndicator, Deviations, Indicator, MacdPeriods, Period};

impl Indicator {
    /// Its name, TA-Lib's in lower case: `macd`.
    ///
    /// ```
    /// # use dashboard::indicator::Indicator;
    /// assert_eq!(Indicator::RSI_14.name(), "rsi");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rsi(_) => "rsi",
            Self::Ema(_) => "ema",
            Self::Sma(_) => "sma",
            Self::Macd(_) => "macd",
            Self::Bbands { .. } => "bbands",
            Self::Atr(_) => "atr",
            Self::Stoch { .. } => "stoch",
        }
    }

    /// Its parameters, all of them, as a part of a key: `12-26-9`.
    ///
    /// ```
    /// # use dashboard::indicator::Indicator;
    /// assert_eq!("MACD".parse().map(Indicator::parameters), Ok("12-26-9".to_owned()));
    /// assert_eq!("bbands:20-2.50".parse().map(Indicator::parameters), Ok("20-2.5".to_owned()));
    /// ```
    pub fn parameters(self) -> String {
        match self {
            Self::Rsi(period) => period.to_string(),
            Self::Ema(period) | Self::Sma(period) | Self::Atr(period) => period.to_string(),
            Self::Macd(periods) => {
                let (fast, slow) = (periods.fast(), periods.slow());
                format!("{fast}-{slow}-{}", periods.signal())
            }
            Self::Bbands { period, deviations } => format!("{period}-{deviations}"),
            Self::Stoch {
                fast_k,
                slow_k,
                slow_d,
            } => format!("{fast_k}-{slow_k}-{slow_d}"),
        }
    }

    /// The same indicator with these parameters; what they leave out stays as it is here.
    fn with_parameters(self, text: &str) -> Result<Self, BadIndicator> {
        let mut parts = text.split('-');
        let mut next = || parts.next();
        let (indicator, most) = match self {
            Self::Rsi(period) => (Self::Rsi(period.replaced_by(next())?), 1),
            Self::Ema(period) => (Self::Ema(period.replaced_by(next())?), 1),
            Self::Sma(period) => (Self::Sma(period.replaced_by(next())?), 1),
            Self::Atr(period) => (Self::Atr(period.replaced_by(next())?), 1),
            Self::Macd(periods) => {
                let fast = periods.fast().replaced_by(next())?;
                let slow = periods.slow().replaced_by(next())?;
                let signal = periods.signal().replaced_by(next())?;
                (Self::Macd(MacdPeriods::new(fast, slow, signal)?), 3)
            }
            Self::Bbands { period, deviations } => {
                let period = period.replaced_by(next())?;
                let deviations = next().map_or(Ok(deviations), str::parse)?;
                (Self::Bbands { period, deviations }, 2)
            }
            Self::Stoch {
                fast_k,
                slow_k,
                slow_d,
            } => {
                let fast_k = fast_k.replaced_by(next())?;
                let slow_k = slow_k.replaced_by(next())?;
                let slow_d = slow_d.replaced_by(next())?;
                let stoch = Self::Stoch {
                    fast_k,
                    slow_k,
                    slow_d,
                };
                (stoch, 3)
            }
        };
        match next() {
            Some(_) => Err(BadIndicator::TooMany { most }),
            None => Ok(indicator),
        }
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name(), self.parameters())
    }
}

/// Takes a name in either case, alone or with parameters.
///
/// ```
/// # use dashboard::indicator::{BadIndicator, Indicator};
/// let written = |text: &str| text.parse().map(|indicator: Indicator| indicator.to_string());
/// assert_eq!(written("stoch"), Ok("stoch:14-3-3".to_owned()));
/// assert_eq!(written("stoch:5"), Ok("stoch:5-3-3".to_owned()));
/// assert_eq!(written("macd:26-12"), Err(BadIndicator::FastNotFaster));
/// assert_eq!(written("vwap"), Err(BadIndicator::UnknownName));
/// ```
impl FromStr for Indicator {
    type Err = BadIndicator;

    fn from_str(text: &str) -> Result<Self, BadIndicator> {
        let (name, parameters) = match text.split_once(':') {
            Some((name, parameters)) => (name, Some(parameters)),
            None => (text, None),
        };
        let default = Self::DEFAULTS
            .into_iter()
            .find(|indicator| name.eq_ignore_ascii_case(indicator.name()))
            .ok_or(BadIndicator::UnknownName)?;
        parameters.map_or(Ok(default), |text| default.with_parameters(text))
    }
}

impl<const LEAST: u16> Period<LEAST> {
    /// The period that is written here; this one where none is.
    fn replaced_by(self, part: Option<&str>) -> Result<Self, BadIndicator> {
        part.map_or(Ok(self), |text| {
            whole(text).map_or(Err(Self::OUT_OF_RANGE), Self::new)
        })
    }
}

impl FromStr for Deviations {
    type Err = BadIndicator;

    fn from_str(text: &str) -> Result<Self, BadIndicator> {
        let (units, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let scale = match decimals.len() {
            1 => 10,
            2 => 1,
            _ => return Err(BadIndicator::BadDeviations),
        };
        let hundredths = whole(units)
            .zip(whole(decimals))
            .and_then(|(units, decimals)| units.checked_mul(100)?.checked_add(decimals * scale))
            .ok_or(BadIndicator::BadDeviations)?;
        Self::from_hundredths(hundredths)
    }
}

/// Digits and nothing else: the parser alone would take a sign.
fn whole(text: &str) -> Option<u16> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().ok()).flatten()
}
