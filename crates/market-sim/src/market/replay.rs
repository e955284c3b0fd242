//! Day candles read from a CSV of Binance klines.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::DAY_MS;
use super::bar::Bar;
use crate::amount::Amount;
use crate::error::SimError;

const COLUMNS: usize = 12;
/// Binance's own files count milliseconds until the end of 2024 and microseconds since.
const FIRST_MICROSECOND_STAMP: i64 = 100_000_000_000_000;

/// Consecutive day candles from a file.
#[derive(Debug)]
pub(crate) struct Replay {
    first_day: i64,
    /// Invariant: at least one, and one for each day from `first_day` on.
    bars: Vec<Bar>,
}

impl Replay {
    pub(crate) fn read(path: &Path) -> Result<Self, SimError> {
        let refused = |(line, reason)| SimError::Candle {
            path: path.to_owned(),
            line,
            reason,
        };
        let text = std::fs::read(path).map_err(|source| SimError::OpenCandles {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(refused)
    }

    /// The candles in `text`, or the line that is none and why.
    fn parse(text: &[u8]) -> Result<Self, (u64, String)> {
        let mut lines = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text);
        let mut found: Option<Self> = None;
        let mut record = StringRecord::new();
        loop {
            let line = lines.position().line();
            match lines.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return Err((line, error.to_string())),
            }
            let line = record.position().map_or(line, csv::Position::line);
            let is_heading = line == 1 && record.get(0).is_some_and(|cell| cell == "Open time");
            if is_heading {
                continue;
            }
            let (day, bar) = candle(&record).map_err(|reason| (line, reason))?;
            match &mut found {
                None => {
                    found = Some(Self {
                        first_day: day,
                        bars: vec![bar],
                    });
                }
                Some(replay) if day == replay.last_day() + 1 => replay.bars.push(bar),
                Some(_) => {
                    return Err((
                        line,
                        "open time is not the day after the line before".into(),
                    ));
                }
            }
        }
        found.ok_or_else(|| (1, "the file holds no candle".into()))
    }

    pub(super) fn first_day(&self) -> i64 {
        self.first_day
    }

    pub(super) fn last_day(&self) -> i64 {
        self.first_day + self.bars.len() as i64 - 1
    }

    /// The candle of a day between the first and the last.
    pub(super) fn day(&self, day: i64) -> Bar {
        self.bars[(day - self.first_day) as usize]
    }

    /// Noon (UTC) of the last candle's day.
    pub(crate) fn last_noon(&self) -> Timestamp {
        Timestamp::from_millisecond(self.last_day() * DAY_MS + DAY_MS / 2)
            .expect("the days were read from valid timestamps")
    }
}

fn candle(record: &StringRecord) -> Result<(i64, Bar), String> {
    if record.len() != COLUMNS {
        return Err(format!("{} columns instead of {COLUMNS}", record.len()));
    }
    let open_ms = moment(&record[0]).ok_or_else(|| format!("open time {:?}", &record[0]))?;
    let close_ms = moment(&record[6]).ok_or_else(|| format!("close time {:?}", &record[6]))?;
    if open_ms.rem_euclid(DAY_MS) != 0 || close_ms != open_ms + DAY_MS - 1 {
        return Err("not a whole day (UTC) from open time to close time".into());
    }
    let amount = |column: usize, name: &str| {
        Amount::parse(&record[column]).ok_or_else(|| format!("{name} {:?}", &record[column]))
    };
    let trades: u32 = record[8]
        .parse()
        .map_err(|_| format!("number of trades {:?}", &record[8]))?;
    let bar = Bar {
        open: amount(1, "open")?,
        high: amount(2, "high")?,
        low: amount(3, "low")?,
        close: amount(4, "close")?,
        volume: amount(5, "volume")?,
        turnover: amount(7, "quote volume")?,
        trades: trades.into(),
        taker_volume: amount(9, "taker base volume")?,
        taker_turnover: amount(10, "taker quote volume")?,
    };
    if bar.low == Amount::ZERO {
        return Err("low is zero".into());
    }
    if bar.low > bar.open.min(bar.close) || bar.high < bar.open.max(bar.close) {
        return Err("open or close lies outside low to high".into());
    }
    Ok((open_ms / DAY_MS, bar))
}

/// A moment as Binance's files write it (a count since 1970) or as text in UTC, in milliseconds.
fn moment(text: &str) -> Option<i64> {
    if let Ok(count) = text.parse::<i64>() {
        let ms = if count < FIRST_MICROSECOND_STAMP {
            count
        } else {
            count / 1_000
        };
        return in_calendar(Timestamp::from_millisecond(ms).ok()?);
    }
    let written: DateTime = text.strip_suffix(" UTC")?.parse().ok()?;
    in_calendar(written.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The moment in milliseconds, unless it is out of all reason: the years 1970 to 3000.
fn in_calendar(moment: Timestamp) -> Option<i64> {
    let last = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 1_030);
    (moment >= Timestamp::UNIX_EPOCH && moment < last).then(|| moment.as_millisecond())
}
