//! The one place where a key is made.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use crate::{indicator::Indicator, market::symbol::Symbol};

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
    Minute30,
    Hour1,
    Hour4,
    Hour6,
    Hour12,
    Day1,
    Week1,
    Month1,
}

/// A word that names no span of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown interval")]
pub struct UnknownInterval;

impl Interval {
    /// Every span, from the shortest.
    pub const ALL: [Self; 11] = [
        Self::Minute1,
        Self::Minute5,
        Self::Minute15,
        Self::Minute30,
        Self::Hour1,
        Self::Hour4,
        Self::Hour6,
        Self::Hour12,
        Self::Day1,
        Self::Week1,
        Self::Month1,
    ];

    /// How it is written in keys and queries.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Minute1 => "1m",
            Self::Minute5 => "5m",
            Self::Minute15 => "15m",
            Self::Minute30 => "30m",
            Self::Hour1 => "1h",
            Self::Hour4 => "4h",
            Self::Hour6 => "6h",
            Self::Hour12 => "12h",
            Self::Day1 => "1d",
            Self::Week1 => "1w",
            Self::Month1 => "1mo",
        }
    }

    /// The last millisecond of a bar that begins with this one; none beyond the end of time.
    pub fn end_ms(self, open_ms: i64) -> Option<i64> {
        let minutes = match self {
            Self::Minute1 => 1,
            Self::Minute5 => 5,
            Self::Minute15 => 15,
            Self::Minute30 => 30,
            Self::Hour1 => 60,
            Self::Hour4 => 240,
            Self::Hour6 => 360,
            Self::Hour12 => 720,
            Self::Day1 => 1_440,
            Self::Week1 => 10_080,
            Self::Month1 => return month_after(open_ms)?.checked_sub(1),
        };
        open_ms.checked_add(minutes * 60_000 - 1)
    }
}

/// Months differ in length; exchanges cut them at midnight UTC.
fn month_after(open_ms: i64) -> Option<i64> {
    let open = Timestamp::from_millisecond(open_ms).ok()?;
    let next = open.to_zoned(TimeZone::UTC).checked_add(1.month()).ok()?;
    Some(next.timestamp().as_millisecond())
}

impl FromStr for Interval {
    type Err = UnknownInterval;

    fn from_str(text: &str) -> Result<Self, UnknownInterval> {
        // Case counts: elsewhere `1M` is a month.
        let named = Self::ALL.into_iter().find(|span| span.code() == text);
        named.ok_or(UnknownInterval)
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

    /// An indicator over bars of a span: of a day, unless a fifth part says otherwise.
    pub fn indicator(symbol: Symbol, indicator: Indicator, interval: Interval) -> Key {
        let (name, parameters) = (indicator.name(), indicator.parameters());
        let key = format!("indicator:{symbol}:{name}:{parameters}");
        Key(match interval {
            Interval::Day1 => key,
            other => format!("{key}:{}", other.code()),
        })
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
        let macd = "macd".parse().unwrap();
        assert_eq!(
            CacheKeys::indicator(Symbol::Btc, macd, Interval::Day1).as_str(),
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
    fn a_span_is_read_as_it_is_written_and_a_capital_letter_is_another_word() {
        for span in Interval::ALL {
            assert_eq!(span.code().parse(), Ok(span));
        }
        assert_eq!("1M".parse::<Interval>(), Err(UnknownInterval));
    }

    #[test]
    fn a_month_ends_where_the_calendar_says() {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let february = Interval::Month1.end_ms(ms("2024-02-01T00:00:00Z"));
        assert_eq!(february, Some(ms("2024-02-29T23:59:59.999Z")));
        assert_eq!(Interval::Minute1.end_ms(0), Some(59_999));
        assert_eq!(Interval::Day1.end_ms(i64::MAX), None);
    }

    #[test]
    fn a_day_is_the_interval_that_needs_no_fifth_part() {
        let key = |interval| CacheKeys::indicator(Symbol::Btc, Indicator::RSI_14, interval);
        assert_eq!(key(Interval::Day1).as_str(), "indicator:btc:rsi:14");
        assert_eq!(key(Interval::Hour4).as_str(), "indicator:btc:rsi:14:4h");
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
