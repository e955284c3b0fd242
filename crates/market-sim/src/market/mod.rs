//! The one market behind every endpoint: prices as a pure function of seed, coin and moment.
//!
//! A day's candle is known first (from the seed or from a file) and is cut into hours, minutes,
//! seconds and ticks on demand, so any span of time is summed up exactly, at little cost, and
//! alike for every endpoint that asks.

mod bar;
mod cut;
mod interval;
mod memo;
mod range;
mod replay;
mod seeded;
mod stock;

pub(crate) use bar::Bar;
pub(crate) use interval::Interval;
pub(crate) use range::Range;
pub(crate) use replay::Replay;
pub(crate) use seeded::mood;
pub(crate) use stock::{Session, Stock};

use crate::coin::Coin;
use cut::{Node, TICK_MS};
use memo::Memo;

/// Length of a day in milliseconds.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Binance opened on 17 August 2017; no coin has candles before that day.
const FIRST_SEEDED_DAY: i64 = 17_395;
/// The year 4000: far enough to be for ever, near enough that no sum over it overflows.
const LAST_SEEDED_DAY: i64 = 741_442;

/// The one market behind every endpoint.
#[derive(Debug)]
pub(crate) struct Market {
    seed: u64,
    replay: Option<Replay>,
    memo: Memo,
}

/// The time in which a coin is traded, in milliseconds: from the first, before the second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

impl Market {
    pub(crate) fn new(seed: u64, replay: Option<Replay>) -> Self {
        Self {
            seed,
            replay,
            memo: Memo::default(),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn life(&self, coin: Coin) -> Life {
        let (first_day, last_day) = match self.replay_of(coin) {
            Some(replay) => (replay.first_day(), replay.last_day()),
            None => (FIRST_SEEDED_DAY, LAST_SEEDED_DAY),
        };
        Life {
            from_ms: first_day * DAY_MS,
            until_ms: (last_day + 1) * DAY_MS,
        }
    }

    /// `now_ms`, or the nearest moment at which the coin is traded.
    pub(crate) fn traded_at(&self, coin: Coin, now_ms: i64) -> i64 {
        let life = self.life(coin);
        now_ms.clamp(life.from_ms, life.until_ms - 1)
    }

    /// All trades from one moment to another, both included: at least the tick of the second, and
    /// outside the coin's life the nearest one.
    pub(crate) fn span(&self, coin: Coin, from_ms: i64, to_ms: i64) -> Bar {
        let to_ms = self.traded_at(coin, to_ms);
        let from_ms = self.traded_at(coin, from_ms).min(to_ms);
        let from = from_ms.div_euclid(TICK_MS) * TICK_MS;
        let until = to_ms.div_euclid(TICK_MS) * TICK_MS + TICK_MS;
        let mut sum = None;
        for day in from.div_euclid(DAY_MS)..=(until - 1).div_euclid(DAY_MS) {
            let bar = self.day(coin, day);
            let whole = Node::of_day(self.day_key(coin, day), day, (bar, coin.tick()));
            whole.add_to(&mut sum, &(from..until), &self.memo);
        }
        sum.expect("the span holds at least one tick, and every day within the life has a candle")
    }

    fn day(&self, coin: Coin, day: i64) -> Bar {
        match self.replay_of(coin) {
            Some(replay) => replay.day(day),
            None => seeded::day(self.seed, coin, day),
        }
    }

    fn day_key(&self, coin: Coin, day: i64) -> u64 {
        crate::noise::mix(seeded::coin_key(self.seed, coin), day as u64)
    }

    fn replay_of(&self, coin: Coin) -> Option<&Replay> {
        self.replay.as_ref().filter(|_| coin == Coin::Btc)
    }
}
