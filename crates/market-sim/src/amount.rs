//! Prices and volumes as Binance writes them: decimals with eight places.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// One unit of the eighth decimal place.
const UNITS_PER_ONE: i128 = 100_000_000;
const PLACES: usize = 8;
/// Twelve digits before the point hold every real figure and keep products far from overflow.
const MAX_WHOLE_DIGITS: usize = 12;

/// A decimal with eight places; arithmetic on it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Amount(i128);

impl Amount {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn from_units(units: i128) -> Self {
        Self(units)
    }

    pub(crate) const fn units(self) -> i128 {
        self.0
    }

    pub(crate) fn from_f64(value: f64) -> Self {
        Self((value * UNITS_PER_ONE as f64).round() as i128)
    }

    pub(crate) fn as_f64(self) -> f64 {
        self.0 as f64 / UNITS_PER_ONE as f64
    }

    /// The multiple of `step` nearest to `value`.
    pub(crate) fn rounded_to(value: f64, step: Self) -> Self {
        let steps = (value * UNITS_PER_ONE as f64 / step.0 as f64).round();
        Self(steps as i128 * step.0)
    }

    /// So many hundredths of it.
    pub(crate) fn scaled(self, percent: u32) -> Self {
        Self(self.0 * i128::from(percent) / 100)
    }

    /// With this many places, at most eight; the rest is cut off.
    pub(crate) fn places(self, places: usize) -> String {
        let text = self.to_string();
        text[..text.len() - PLACES + places.min(PLACES)].to_owned()
    }

    /// Without zeros that say nothing, but with two places at least.
    pub(crate) fn short(self) -> String {
        let text = self.to_string();
        let least = text.len() - PLACES + 2;
        let trimmed = text.trim_end_matches('0').len();
        text[..trimmed.max(least)].to_owned()
    }

    /// The number in `text`, if it is an unsigned decimal of at most eight places.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > MAX_WHOLE_DIGITS || fraction.len() > PLACES {
            return None;
        }
        if !is_number(whole) || !is_number(fraction) {
            return None;
        }
        format!("{whole}{fraction:0<PLACES$}")
            .parse()
            .ok()
            .map(Self)
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.abs();
        let (whole, fraction) = (units / UNITS_PER_ONE, units % UNITS_PER_ONE);
        write!(out, "{sign}{whole}.{fraction:0PLACES$}")
    }
}
