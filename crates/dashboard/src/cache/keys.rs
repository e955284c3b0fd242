//! The one place where a key is made.

use std::fmt;

use crate::market::symbol::Symbol;

/// A checked key: parts of 1 to 64 of `a-z 0-9 . _ -`, joined by colons.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

/// A part that cannot stand in a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of a key is 1 to 64 of a-z 0-9 . _ -")]
pub struct BadKey;

/// Which cache a key belongs to: its first part tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Dashboard,
    Market,
    Candles,
    Indicator,
    Report,
    General,
}

impl Key {
    /// Takes a whole key, as an operator or a caller of `cache_or_compute` writes it.
    ///
    /// # Errors
    /// When a part is empty, longer than 64 bytes, or has another character.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        text.split(':').try_for_each(check)?;
        Ok(Self(text.to_owned()))
    }

    /// Which cache it belongs to.
    pub fn kind(&self) -> Kind {
        match self.0.split(':').next() {
            Some("dashboard") => Kind::Dashboard,
            Some("market") => Kind::Market,
            Some("candles") => Kind::Candles,
            Some("indicator") => Kind::Indicator,
            Some("report") => Kind::Report,
            _ => Kind::General,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Spans of a candle; a closed list, in which a month cannot be taken for a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Interval {
    Minute1,
    Minute5,
    Minute15,
    Hour1,
    Hour4,
    Day1,
    Week1,
    Month1,
}

impl Interval {
    /// How it is written in keys and queries.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Minute1 => "1m",
            Self::Minute5 => "5m",
            Self::Minute15 => "15m",
            Self::Hour1 => "1h",
            Self::Hour4 => "4h",
            Self::Day1 => "1d",
            Self::Week1 => "1w",
            Self::Month1 => "1mo",
        }
    }
}

/// Makes every key of the service.
#[derive(Clone, Copy, Debug)]
pub struct CacheKeys;

impl CacheKeys {
    /// The assembled summary.
    pub fn dashboard_summary() -> Key {
        Key("dashboard:summary".to_owned())
    }

    /// The last good figures, for an instance that starts while its sources are dead.
    pub fn dashboard_live() -> Key {
        Key("dashboard:live".to_owned())
    }

    /// Market data of one coin.
    pub fn market_data(symbol: Symbol) -> Key {
        Key(format!("market:{symbol}"))
    }

    /// Candles of one coin.
    pub fn candles(symbol: Symbol, interval: Interval) -> Key {
        Key(format!("candles:{symbol}:{}", interval.code()))
    }

    /// A report on a coin over a time frame.
    ///
    /// # Errors
    /// When a part cannot stand in a key.
    pub fn crypto_report(symbol: &str, timeframe: &str) -> Result<Key, BadKey> {
        joined(&["report", symbol, timeframe])
    }

    /// An indicator over daily bars; several parameters are joined by `-`.
    ///
    /// # Errors
    /// When a part cannot stand in a key.
    pub fn technical_indicator(symbol: &str, indicator: &str, period: &str) -> Result<Key, BadKey> {
        joined(&["indicator", symbol, indicator, period])
    }

    /// An indicator over bars of another span.
    ///
    /// # Errors
    /// When a part cannot stand in a key.
    pub fn technical_indicator_with(
        symbol: &str,
        indicator: &str,
        period: &str,
        interval: Interval,
    ) -> Result<Key, BadKey> {
        match interval {
            Interval::Day1 => Self::technical_indicator(symbol, indicator, period),
            other => joined(&["indicator", symbol, indicator, period, other.code()]),
        }
    }
}

/// Symbols and indicator names come in either case; a key knows one.
fn joined(parts: &[&str]) -> Result<Key, BadKey> {
    let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    lower.iter().try_for_each(|part| check(part))?;
    Ok(Key(lower.join(":")))
}

fn check(part: &str) -> Result<(), BadKey> {
    let is_fine = (1..=64).contains(&part.len())
        && part
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if is_fine { Ok(()) } else { Err(BadKey) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_the_specification_writes_them() {
        assert_eq!(CacheKeys::dashboard_summary().as_str(), "dashboard:summary");
        assert_eq!(CacheKeys::market_data(Symbol::Link).as_str(), "market:link");
        assert_eq!(
            CacheKeys::crypto_report("BTC", "1d").unwrap().as_str(),
            "report:btc:1d"
        );
        assert_eq!(
            CacheKeys::technical_indicator("btc", "MACD", "12-26-9")
                .unwrap()
                .as_str(),
            "indicator:btc:macd:12-26-9"
        );
        assert_eq!(
            CacheKeys::candles(Symbol::Btc, Interval::Day1).as_str(),
            "candles:btc:1d"
        );
    }

    #[test]
    fn a_month_and_a_minute_have_different_keys() {
        let month = CacheKeys::candles(Symbol::Btc, Interval::Month1);
        let minute = CacheKeys::candles(Symbol::Btc, Interval::Minute1);
        assert_ne!(month, minute);
    }

    #[test]
    fn a_day_is_the_interval_that_needs_no_fifth_part() {
        let key = |interval| CacheKeys::technical_indicator_with("btc", "rsi", "14", interval);
        assert_eq!(
            key(Interval::Day1).unwrap().as_str(),
            "indicator:btc:rsi:14"
        );
        assert_eq!(
            key(Interval::Hour4).unwrap().as_str(),
            "indicator:btc:rsi:14:4h"
        );
    }

    #[test]
    fn a_part_that_could_change_the_key_is_refused() {
        let long = "x".repeat(65);
        for part in ["", "a:b", "a b", "é", "*", "../x", "a{b}", long.as_str()] {
            assert_eq!(
                CacheKeys::crypto_report(part, "1d"),
                Err(BadKey),
                "{part:?}"
            );
        }
        assert_eq!(Key::parse("dashboard::x"), Err(BadKey));
    }
}
