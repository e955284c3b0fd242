//! What one call sees: the market as its source tells it, at one moment.

use std::time::Duration;

use jiff::Timestamp;

use crate::amount::Amount;
use crate::coin::Coin;
use crate::market::{Bar, DAY_MS, Interval, Life, Market, Range, Session, Stock, mood};

/// The percentage of a source that tells the truth.
pub(crate) const TRUE: u32 = 100;

/// What one call sees: the market as its source tells it, at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    market: &'a Market,
    now: Timestamp,
    percent: u32,
}

/// A bar with its place in time; what lies after now is not in it yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candle {
    pub(crate) open_ms: i64,
    /// The last millisecond that belongs to it.
    pub(crate) close_ms: i64,
    pub(crate) bar: Bar,
}

impl<'a> Scene<'a> {
    /// All prices are so many hundredths of the market's.
    pub(crate) fn new(market: &'a Market, now: Timestamp, percent: u32) -> Self {
        Self {
            market,
            now,
            percent,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.market.seed()
    }

    /// The same market at another moment.
    pub(crate) fn at(self, moment_ms: i64) -> Self {
        let now = Timestamp::from_millisecond(moment_ms).unwrap_or(self.now);
        Self { now, ..self }
    }

    /// The same market so long ago.
    pub(crate) fn ago(self, by: Duration) -> Self {
        let now = self.now.checked_sub(by).unwrap_or(self.now);
        Self { now, ..self }
    }

    pub(crate) fn life(&self, coin: Coin) -> Life {
        self.market.life(coin)
    }

    /// Now, or the nearest moment at which the coin is traded.
    pub(crate) fn last_ms(&self, coin: Coin) -> i64 {
        self.market.traded_at(coin, self.now_ms())
    }

    /// The latest price.
    pub(crate) fn price(&self, coin: Coin) -> Amount {
        self.span(coin, self.now_ms(), self.now_ms()).close
    }

    /// All trades from one moment to another, both included: at least the tick of the second.
    pub(crate) fn span(&self, coin: Coin, from_ms: i64, to_ms: i64) -> Bar {
        let bar = self.market.span(coin, from_ms, to_ms);
        if self.percent == TRUE {
            bar
        } else {
            bar.scaled(self.percent)
        }
    }

    /// The rolling day up to the last trade.
    pub(crate) fn day(&self, coin: Coin) -> Bar {
        let last_ms = self.last_ms(coin);
        self.span(coin, last_ms - DAY_MS, last_ms)
    }

    /// The day so far, since midnight (UTC).
    pub(crate) fn today(&self, coin: Coin) -> Bar {
        let last_ms = self.last_ms(coin);
        self.span(coin, last_ms.div_euclid(DAY_MS) * DAY_MS, last_ms)
    }

    /// The bars that a range names, ascending; the last one may still be open.
    pub(crate) fn candles(&self, coin: Coin, range: &Range) -> Vec<Candle> {
        let opens = range.opens(self.life(coin), self.now_ms());
        let candle = |open_ms| self.candle(coin, range.interval, open_ms);
        opens.into_iter().map(candle).collect()
    }

    /// The bar that opens at a moment.
    pub(crate) fn candle(&self, coin: Coin, interval: Interval, open_ms: i64) -> Candle {
        let close_ms = interval.next_open(open_ms) - 1;
        Candle {
            open_ms,
            close_ms,
            bar: self.span(coin, open_ms, close_ms.min(self.now_ms())),
        }
    }

    /// The number of the latest trade. Ten million are set aside for each day, so that it grows with
    /// time and nobody has to add up years to know it.
    pub(crate) fn last_trade(&self, coin: Coin) -> i64 {
        let day = self.last_ms(coin).div_euclid(DAY_MS);
        day * 10_000_000 + self.today(coin).trades as i64
    }

    /// The Fear & Greed value of a day, counted from 1970.
    pub(crate) fn mood(&self, day: i64) -> u8 {
        mood(self.seed(), day)
    }

    /// The session of a fund that runs now, or the last one.
    pub(crate) fn session(&self, stock: Stock) -> Session {
        let session = stock.session(self.seed(), self.now.as_second());
        let factor = f64::from(self.percent) / f64::from(TRUE);
        Session {
            open: session.open * factor,
            high: session.high * factor,
            low: session.low * factor,
            last: session.last * factor,
            previous: session.previous * factor,
            at_s: session.at_s,
        }
    }
}
