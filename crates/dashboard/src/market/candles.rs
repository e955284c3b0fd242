//! Candles: the input of indicators, checked for gaps before anything is computed from them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{figure::Reason, source::Source};
use crate::cache::keys::Interval;

/// One bar. Invariant: prices are finite and more than zero, the highest and the lowest enclose the
/// others, the volume is finite and not negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// Its first millisecond since 1970.
    pub open_ms: i64,
    /// Its last millisecond since 1970.
    pub close_ms: i64,
    /// The first price in it.
    pub open: f64,
    /// The highest.
    pub high: f64,
    /// The lowest.
    pub low: f64,
    /// The last price in it, so far.
    pub close: f64,
    /// What was traded in it, in the coin.
    pub volume: f64,
}

impl Bar {
    /// Whether its prices can belong together.
    pub(crate) fn checked(self) -> Result<Self, Reason> {
        let encloses =
            self.low <= self.open.min(self.close) && self.high >= self.open.max(self.close);
        if encloses {
            Ok(self)
        } else {
            Err(Reason::OutOfRange)
        }
    }
}

/// The bars of one market, oldest first.
///
/// Invariant: each bar begins where the one before it ended; `closed` ends with the newest bar that
/// was closed by the source's own time, and `open` is the one after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candles {
    /// Who published them.
    pub source: Source,
    /// The closed bars.
    pub closed: Vec<Bar>,
    /// The bar that goes on, where the source sends it.
    pub open: Option<Bar>,
    /// When they reached us.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub received_at: Timestamp,
}

impl Candles {
    /// Parts the bars that were closed before the source's own time from the open one, and checks
    /// that they join.
    ///
    /// # Errors
    /// `BarsBroken` for a gap, a duplicate, a bar out of order, or an end that lies too far back.
    pub fn of(
        bars: Vec<Bar>,
        interval: Interval,
        source: Source,
        source_time: Timestamp,
        received_at: Timestamp,
    ) -> Result<Self, Reason> {
        let now_ms = source_time.as_millisecond();
        let end_of = |open_ms| interval.end_ms(open_ms).ok_or(Reason::OutOfRange);
        for bar in &bars {
            if bar.close_ms != end_of(bar.open_ms)? {
                return Err(Reason::BarsBroken);
            }
        }
        let joins = |pair: &[Bar]| pair[1].open_ms == pair[0].close_ms + 1;
        if !bars.windows(2).all(joins) {
            return Err(Reason::BarsBroken);
        }
        let is_closed = |bar: &Bar| bar.close_ms < now_ms;
        let mut closed = bars;
        let mut open = closed.split_off(closed.partition_point(is_closed));
        if open.len() > 1 {
            // Bars of the future.
            return Err(Reason::BarsBroken);
        }
        if let Some(last) = closed.last()
            && end_of(last.close_ms + 1)? < now_ms
        {
            return Err(Reason::BarsBroken);
        }
        Ok(Self {
            source,
            closed,
            open: open.pop(),
            received_at,
        })
    }

    /// The closing prices of the closed bars.
    pub fn closes(&self) -> Vec<f64> {
        self.closed.iter().map(|bar| bar.close).collect()
    }

    /// When the newest closed bar ended.
    pub fn bar_time(&self) -> Option<Timestamp> {
        self.closed
            .last()
            .and_then(|bar| Timestamp::from_millisecond(bar.close_ms).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn days(numbers: &[i64]) -> Vec<Bar> {
        let bar = |&n: &i64| Bar {
            open_ms: n * DAY_MS,
            close_ms: (n + 1) * DAY_MS - 1,
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: 0.0,
        };
        numbers.iter().map(bar).collect()
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn checked(bars: Vec<Bar>, now_ms: i64) -> Result<(usize, bool), Reason> {
        {
            let now = at(now_ms);
            let candles = Candles::of(bars, Interval::Day1, Source::Binance, now, now)?;
            Ok((candles.closed.len(), candles.open.is_some()))
        }
    }

    #[test]
    fn a_bar_is_closed_once_the_source_is_past_its_last_millisecond() {
        let close_ms = 103 * DAY_MS - 1;
        assert_eq!(checked(days(&[100, 101, 102]), close_ms), Ok((2, true)));
        assert_eq!(
            checked(days(&[100, 101, 102]), close_ms + 1),
            Ok((3, false))
        );
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
