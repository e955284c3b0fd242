//! Candles: the input of indicators, checked for gaps before anything is computed from them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    checked::{decimal, millis, positive},
    figure::Reason,
};

/// One bar. Only what indicators read is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Its first millisecond since 1970.
    pub open_ms: i64,
    /// Its last millisecond since 1970.
    pub close_ms: i64,
    /// The last price in it. Invariant: finite, more than zero.
    pub close: f64,
}

/// The closed bars of one market, oldest first.
///
/// Invariant: each bar begins where the one before it ended, and the last one is the newest that
/// was closed by the source's own time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candles {
    /// The bars.
    pub bars: Vec<Bar>,
    /// When they reached us.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub received_at: Timestamp,
}

impl Candles {
    /// Keeps the bars that were closed before the source's own time, and checks that they join.
    ///
    /// # Errors
    /// `BarsBroken` for a gap, a duplicate, a bar out of order, or an end that lies too far back.
    pub fn from_bars(
        bars: Vec<Bar>,
        span_ms: i64,
        source_time: Timestamp,
        received_at: Timestamp,
    ) -> Result<Self, Reason> {
        let now_ms = source_time.as_millisecond();
        let is_whole = |bar: &Bar| bar.close_ms == bar.open_ms + span_ms - 1;
        let joins = |pair: &[Bar]| pair[1].open_ms == pair[0].open_ms + span_ms;
        if !bars.iter().all(is_whole) || !bars.windows(2).all(joins) {
            return Err(Reason::BarsBroken);
        }
        let closed: Vec<Bar> = bars
            .into_iter()
            .filter(|bar| bar.close_ms < now_ms)
            .collect();
        let is_current = closed
            .last()
            .is_none_or(|bar| now_ms - bar.close_ms <= span_ms);
        if is_current {
            Ok(Self {
                bars: closed,
                received_at,
            })
        } else {
            Err(Reason::BarsBroken)
        }
    }

    /// The closing prices.
    pub fn closes(&self) -> Vec<f64> {
        self.bars.iter().map(|bar| bar.close).collect()
    }

    /// When the newest closed bar ended.
    pub fn bar_time(&self) -> Option<Timestamp> {
        self.bars
            .last()
            .and_then(|bar| Timestamp::from_millisecond(bar.close_ms).ok())
    }
}

/// Reads one of Binance's rows of twelve; the prices are decimals in strings.
///
/// # Errors
/// Why the row is not a bar.
pub(crate) fn bar(row: &[Json]) -> Result<Bar, Reason> {
    let price = |index: usize| decimal(row.get(index)).and_then(positive);
    let time = |index: usize| {
        let ms = row
            .get(index)
            .and_then(Json::as_i64)
            .ok_or(Reason::NotDecodable)?;
        millis(ms).map(Timestamp::as_millisecond)
    };
    let (open, high, low, close) = (price(1)?, price(2)?, price(3)?, price(4)?);
    let is_sane = low <= open.min(close) && high >= open.max(close);
    if !is_sane {
        return Err(Reason::OutOfRange);
    }
    Ok(Bar {
        open_ms: time(0)?,
        close_ms: time(6)?,
        close,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn days(numbers: &[i64]) -> Vec<Bar> {
        let bar = |&n: &i64| Bar {
            open_ms: n * DAY_MS,
            close_ms: (n + 1) * DAY_MS - 1,
            close: 1.0,
        };
        numbers.iter().map(bar).collect()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn checked(bars: Vec<Bar>, now_ms: i64) -> Result<usize, Reason> {
        Candles::from_bars(bars, DAY_MS, at(now_ms), at(now_ms)).map(|candles| candles.bars.len())
    }

    #[test]
    fn a_bar_is_closed_once_the_source_is_past_its_last_millisecond() {
        let close_ms = 103 * DAY_MS - 1;
        assert_eq!(checked(days(&[100, 101, 102]), close_ms), Ok(2));
        assert_eq!(checked(days(&[100, 101, 102]), close_ms + 1), Ok(3));
    }

    #[test]
    fn gaps_duplicates_and_disorder_are_refused() {
        let now = 103 * DAY_MS + 5;
        for numbers in [[100, 102, 103], [100, 100, 101], [101, 100, 102]] {
            assert_eq!(
                checked(days(&numbers), now),
                Err(Reason::BarsBroken),
                "{numbers:?}"
            );
        }
    }

    #[test]
    fn bars_that_end_long_ago_are_refused() {
        assert_eq!(
            checked(days(&[100, 101]), 104 * DAY_MS),
            Err(Reason::BarsBroken)
        );
    }

    #[test]
    fn a_bar_of_another_length_is_refused() {
        let mut bars = days(&[100, 101]);
        bars[1].close_ms -= 1;
        assert_eq!(checked(bars, 102 * DAY_MS), Err(Reason::BarsBroken));
    }
}
