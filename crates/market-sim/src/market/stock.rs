//! Three funds of the US stock market, which trade for some hours on weekdays.

use crate::noise::{Octave, mix, octaves};

const DAY_S: i64 = 86_400;
/// 9:30 to 16:00 in New York in winter; nobody here moves the clock in March.
const OPEN_S: i64 = 14 * 3_600 + 1_800;
const CLOSE_S: i64 = 21 * 3_600;
/// High and low are those of the prices this far apart, and of the last one.
const STEP_S: i64 = 60;
/// Keys below the seed that belong to no coin.
const STOCKS: u64 = 102;

/// Waves of the logarithm of a price, in days: steadier than coins.
const WAVES: [Octave; 6] = [
    Octave {
        period: 0.02,
        swing: 0.0008,
    },
    Octave {
        period: 0.11,
        swing: 0.0015,
    },
    Octave {
        period: 1.0,
        swing: 0.004,
    },
    Octave {
        period: 9.0,
        swing: 0.015,
    },
    Octave {
        period: 61.0,
        swing: 0.04,
    },
    Octave {
        period: 400.0,
        swing: 0.08,
    },
];

/// A fund that follows an index.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stock {
    Spy,
    Qqq,
    Dia,
}

/// A day of trading up to a moment, in dollars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) last: f64,
    /// The last price of the session before.
    pub(crate) previous: f64,
    /// When the last trade was, in seconds since 1970.
    pub(crate) at_s: i64,
}

impl Stock {
    pub(crate) fn from_symbol(symbol: &str) -> Option<Self> {
        match symbol {
            "SPY" => Some(Self::Spy),
            "QQQ" => Some(Self::Qqq),
            "DIA" => Some(Self::Dia),
            _ => None,
        }
    }

    /// The session that runs now, or the last one.
    pub(crate) fn session(self, seed: u64, now_s: i64) -> Session {
        let day = weekday_until((now_s - OPEN_S).div_euclid(DAY_S));
        let opened_s = day * DAY_S + OPEN_S;
        let at_s = now_s.min(day * DAY_S + CLOSE_S);
        let price = |moment_s: i64| self.price(seed, moment_s);
        let steps = (opened_s..at_s).step_by(STEP_S as usize);
        let prices = || steps.clone().chain([at_s]).map(price);
        Session {
            open: price(opened_s),
            high: prices().fold(f64::MIN, f64::max),
            low: prices().fold(f64::MAX, f64::min),
            last: price(at_s),
            previous: price(weekday_until(day - 1) * DAY_S + CLOSE_S),
            at_s,
        }
    }

    /// In whole cents.
    fn price(self, seed: u64, moment_s: i64) -> f64 {
        let level = match self {
            Self::Spy => 600.0,
            Self::Qqq => 510.0,
            Self::Dia => 430.0,
        };
        let key = mix(mix(seed, STOCKS), self as u64);
        let place = moment_s as f64 / DAY_S as f64;
        (level * octaves(key, place, &WAVES).exp() * 100.0).round() / 100.0
    }
}

/// The day, or the Friday before it; days are counted from 1970, which began on a Thursday.
fn weekday_until(day: i64) -> i64 {
    match (day + 3).rem_euclid(7) {
        saturday_or_sunday @ 5..=6 => day - (saturday_or_sunday - 4),
        _ => day,
    }
}
