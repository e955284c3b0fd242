//! Cutting a candle into the shorter candles it is made of.
//!
//! The parts open where the whole opens, close where it closes, and one of them touches its high
//! and another its low; so whatever is put together from parts equals the whole exactly.

use std::ops::Range;

use super::DAY_MS;
use super::bar::Bar;
use super::memo::Memo;
use crate::amount::Amount;
use crate::noise::{mix, signed, unit};

/// A price holds for this long.
pub(super) const TICK_MS: i64 = 250;

/// Day, hour, minute, second, tick.
const LENGTHS_MS: [i64; 5] = [DAY_MS, 3_600_000, 60_000, 1_000, TICK_MS];
const TICK_LEVEL: usize = LENGTHS_MS.len() - 1;

/// A candle with its place in time.
#[derive(Debug)]
pub(super) struct Node {
    bar: Bar,
    key: u64,
    start_ms: i64,
    level: usize,
    /// The price step of the coin.
    tick: Amount,
}

impl Node {
    /// The whole day, in prices of multiples of `tick`.
    pub(super) fn of_day(key: u64, day: i64, (bar, tick): (Bar, Amount)) -> Self {
        Self {
            bar,
            key,
            start_ms: day * DAY_MS,
            level: 0,
            tick,
        }
    }

    /// What tells it from every other node of the market.
    pub(super) fn identity(&self) -> (u64, usize) {
        (self.key, self.level)
    }

    /// Adds to `sum` what of this candle lies within the milliseconds of `window`, whose ends are
    /// whole ticks.
    pub(super) fn add_to(&self, sum: &mut Option<Bar>, window: &Range<i64>, memo: &Memo) {
        let end_ms = self.start_ms + LENGTHS_MS[self.level];
        if end_ms <= window.start || window.end <= self.start_ms {
            return;
        }
        if window.start <= self.start_ms && end_ms <= window.end {
            *sum = Some(sum.map_or(self.bar, |before| before.joined(self.bar)));
            return;
        }
        for part in memo.parts(self).iter() {
            part.add_to(sum, window, memo);
        }
    }

    /// The shorter candles that it is made of. Dear: ask the memo.
    pub(super) fn parts(&self) -> Vec<Self> {
        let level = self.level + 1;
        let length_ms = LENGTHS_MS[level];
        let (count, tick) = ((LENGTHS_MS[self.level] / length_ms) as usize, self.tick);
        let shapes = if level == TICK_LEVEL {
            ticks(&self.bar, self.key)
        } else {
            shapes(&self.bar, self.key, Grid { count, tick })
        };
        let place = |(number, bar)| Self {
            bar,
            key: mix(self.key, number as u64),
            start_ms: self.start_ms + number as i64 * length_ms,
            level,
            tick,
        };
        let bars = shares(&self.bar, self.key, &shapes);
        bars.into_iter().enumerate().map(place).collect()
    }
}

/// How many parts, and the price step of their borders.
#[derive(Clone, Copy)]
struct Grid {
    count: usize,
    tick: Amount,
}

/// The prices of one part; the volumes come from [`shares`].
struct Shape {
    open: Amount,
    high: Amount,
    low: Amount,
    close: Amount,
}

/// Prices of the parts: a zigzag from the open over both extremes to the close, with noise.
fn shapes(whole: &Bar, key: u64, grid: Grid) -> Vec<Shape> {
    let extremes = Extremes::of(key, grid.count);
    // Ranges of real candles grow with about the root of their length.
    let swing = (whole.high - whole.low).as_f64() / (grid.count as f64).sqrt();
    let within = |price: f64| Amount::rounded_to(price, grid.tick).clamp(whole.low, whole.high);
    let border = |number: usize| match number {
        0 => whole.open,
        last if last == grid.count => whole.close,
        _ => {
            let noise = 1.1 * swing * signed(mix(key, 1_000 + number as u64));
            within(reflected(
                extremes.zigzag(whole, grid.count, number as f64) + noise,
                whole,
            ))
        }
    };
    let shape = |number: usize| {
        let (open, close) = (border(number), border(number + 1));
        let wick = |salt: u64| 0.9 * swing * unit(mix(key, salt + number as u64)).powi(2);
        let high = within(open.max(close).as_f64() + wick(2_000))
            .max(open)
            .max(close);
        let low = within(open.min(close).as_f64() - wick(3_000))
            .min(open)
            .min(close);
        Shape {
            open,
            high: if number == extremes.high {
                whole.high
            } else {
                high
            },
            low: if number == extremes.low {
                whole.low
            } else {
                low
            },
            close,
        }
    };
    (0..grid.count).map(shape).collect()
}

/// A price beyond an extreme turned back by as much: cut off there, it would often stand still.
fn reflected(price: f64, whole: &Bar) -> f64 {
    let (low, high) = (whole.low.as_f64(), whole.high.as_f64());
    if price > high {
        2.0 * high - price
    } else if price < low {
        2.0 * low - price
    } else {
        price
    }
}

/// Prices of the four ticks of a second: open, both extremes, close.
fn ticks(whole: &Bar, key: u64) -> Vec<Shape> {
    let (first, second) = if key & 1 == 0 {
        (whole.high, whole.low)
    } else {
        (whole.low, whole.high)
    };
    let flat = |price| Shape {
        open: price,
        high: price,
        low: price,
        close: price,
    };
    [whole.open, first, second, whole.close]
        .into_iter()
        .map(flat)
        .collect()
}

/// Which parts touch the high and the low of the whole.
struct Extremes {
    high: usize,
    low: usize,
}

impl Extremes {
    fn of(key: u64, count: usize) -> Self {
        // A fifth of the whole between them keeps a single part from spanning the full range.
        let gap = (count / 5).max(1);
        let first = (unit(mix(key, 10)) * (count - gap) as f64) as usize;
        let room = count - first - gap;
        let second = first + gap + (unit(mix(key, 11)) * room as f64) as usize;
        if mix(key, 12) & 1 == 0 {
            Self {
                high: first,
                low: second,
            }
        } else {
            Self {
                high: second,
                low: first,
            }
        }
    }

    /// The straight path open, extreme, extreme, close, at a border counted in parts.
    fn zigzag(&self, whole: &Bar, count: usize, place: f64) -> f64 {
        let high = (self.high as f64 + 0.5, whole.high.as_f64());
        let low = (self.low as f64 + 0.5, whole.low.as_f64());
        let (first, second) = if self.high < self.low {
            (high, low)
        } else {
            (low, high)
        };
        let start = (0.0, whole.open.as_f64());
        let end = (count as f64, whole.close.as_f64());
        let (left, right) = if place < first.0 {
            (start, first)
        } else if place < second.0 {
            (first, second)
        } else {
            (second, end)
        };
        left.1 + (right.1 - left.1) * (place - left.0) / (right.0 - left.0)
    }
}

/// The parts with the volumes of the whole dealt out among them, to the last unit.
fn shares(whole: &Bar, key: u64, shapes: &[Shape]) -> Vec<Bar> {
    let middles: Vec<f64> = shapes
        .iter()
        .map(|shape| (shape.high + shape.low).as_f64() / 2.0)
        .collect();
    let coins = busyness(whole, key, &middles);
    let money: Vec<f64> = coins
        .iter()
        .zip(&middles)
        .map(|(coins, price)| coins * price)
        .collect();

    let volume = dealt(whole.volume.units(), &coins);
    let taker_volume = dealt(whole.taker_volume.units(), &coins);
    let trades = dealt(whole.trades, &coins);
    let turnover = dealt(whole.turnover.units(), &money);
    let taker_turnover = dealt(whole.taker_turnover.units(), &money);
    let part = |(number, shape): (usize, &Shape)| Bar {
        open: shape.open,
        high: shape.high,
        low: shape.low,
        close: shape.close,
        volume: Amount::from_units(volume[number]),
        turnover: Amount::from_units(turnover[number]),
        trades: trades[number],
        taker_volume: Amount::from_units(taker_volume[number]),
        taker_turnover: Amount::from_units(taker_turnover[number]),
    };
    shapes.iter().enumerate().map(part).collect()
}

/// How busy each part is: random, and tilted toward high or low prices until the average price
/// over the parts is that of the whole. So every part is traded at prices it had.
fn busyness(whole: &Bar, key: u64, middles: &[f64]) -> Vec<f64> {
    let weight = |number: usize| 0.4 + unit(mix(key, 4_000 + number as u64));
    let weights: Vec<f64> = (0..middles.len()).map(weight).collect();
    let over = |value: &dyn Fn(f64) -> f64| -> f64 {
        weights
            .iter()
            .zip(middles)
            .map(|(weight, middle)| weight * value(*middle))
            .sum()
    };
    let all = over(&|_| 1.0);
    let mean = over(&|middle| middle) / all;
    let spread = over(&|middle| (middle - mean).powi(2)) / all;
    if spread == 0.0 {
        return weights;
    }
    let tilt = (whole.average().as_f64() - mean) / spread;
    // No part may be left without trades, let alone with fewer than none.
    let tilted = |middle: f64| (1.0 + tilt * (middle - mean)).max(0.05);
    weights
        .iter()
        .zip(middles)
        .map(|(weight, middle)| weight * tilted(*middle))
        .collect()
}

/// `total` dealt out by weight. Differences of running sums, so the parts add up to it exactly.
fn dealt(total: i128, weights: &[f64]) -> Vec<i128> {
    let all: f64 = weights.iter().sum();
    let last = weights.len() - 1;
    let (mut running, mut given) = (0.0, 0);
    let share = |(number, weight): (usize, &f64)| {
        running += weight;
        let upto = if number == last {
            total
        } else {
            (total as f64 * (running / all)) as i128
        };
        // Rounding of large totals must not make the last share negative.
        let upto = upto.min(total);
        let share = upto - given;
        given = upto;
        share
    };
    weights.iter().enumerate().map(share).collect()
}
