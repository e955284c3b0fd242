//! The closed list of candle lengths.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::DAY_MS;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// 1970 began on a Thursday, four days before the first Monday.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// A candle length of Binance's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interval {
    /// Bars of `length_ms`, one of which opens at `anchor_ms`.
    Even { length_ms: i64, anchor_ms: i64 },
    /// Calendar months.
    Month,
}

impl Interval {
    /// The interval called `name`; names are case-sensitive (`1m` is a minute, `1M` a month).
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let length_ms = match name {
            "1s" => 1_000,
            "1m" => MINUTE_MS,
            "3m" => 3 * MINUTE_MS,
            "5m" => 5 * MINUTE_MS,
            "15m" => 15 * MINUTE_MS,
            "30m" => 30 * MINUTE_MS,
            "1h" => HOUR_MS,
            "2h" => 2 * HOUR_MS,
            "4h" => 4 * HOUR_MS,
            "6h" => 6 * HOUR_MS,
            "8h" => 8 * HOUR_MS,
            "12h" => 12 * HOUR_MS,
            "1d" => DAY_MS,
            "3d" => 3 * DAY_MS,
            "1w" => {
                return Some(Self::Even {
                    length_ms: 7 * DAY_MS,
                    anchor_ms: FIRST_MONDAY_MS,
                });
            }
            "1M" => return Some(Self::Month),
            _ => return None,
        };
        Some(Self::Even {
            length_ms,
            anchor_ms: 0,
        })
    }

    /// Bars of so many seconds, counted from 1970.
    pub(crate) fn of_seconds(seconds: i64) -> Self {
        Self::Even {
            length_ms: seconds * 1_000,
            anchor_ms: 0,
        }
    }

    /// When the bar that holds this moment opens.
    pub(crate) fn open_of(self, moment_ms: i64) -> i64 {
        match self {
            Self::Even {
                length_ms,
                anchor_ms,
            } => (moment_ms - anchor_ms).div_euclid(length_ms) * length_ms + anchor_ms,
            Self::Month => start_of(month_of(moment_ms)),
        }
    }

    /// When the bar after the one that opens at `open_ms` opens.
    pub(crate) fn next_open(self, open_ms: i64) -> i64 {
        match self {
            Self::Even { length_ms, .. } => open_ms + length_ms,
            // The longest month is a day shorter than this, and no two months fit into it.
            Self::Month => start_of(month_of(open_ms + 32 * DAY_MS)),
        }
    }
}

fn month_of(moment_ms: i64) -> Date {
    let moment = Timestamp::from_millisecond(moment_ms)
        .expect("moments are clamped to the life of a coin, which ends in the year 4000");
    let day = moment.to_zoned(TimeZone::UTC).date();
    date(day.year(), day.month(), 1)
}

fn start_of(month: Date) -> i64 {
    let midnight = month
        .to_zoned(TimeZone::UTC)
        .expect("every date up to the year 4000 has a midnight in UTC");
    midnight.timestamp().as_millisecond()
}
