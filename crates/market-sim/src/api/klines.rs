//! Binance's candles.

use serde_json::{Value, json};

use super::query::{Params, Refusal};
use crate::coin::Coin;
use crate::market::{Interval, Life};
use crate::world::World;

const DEFAULT_LIMIT: i64 = 500;
const MAX_LIMIT: i64 = 1_000;

pub(super) fn bars(world: &World, params: &Params) -> Result<Value, Refusal> {
    let coin = params.coin()?;
    let interval = Interval::parse(params.needed("interval")?).ok_or_else(Refusal::bad_interval)?;
    let limit = params.number("limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Refusal::bad_value("limit"));
    }
    // Bars begin at midnight UTC here; other time zones would need bars of their own.
    if !matches!(
        params.text("timeZone"),
        None | Some("0" | "00:00" | "+00:00")
    ) {
        return Err(Refusal::bad_value("timeZone"));
    }
    let life = world.market.life(coin);
    let now_ms = world.now_ms();
    let range = Range {
        interval,
        life,
        start_ms: params.number("startTime")?,
        last_ms: params
            .number("endTime")?
            .unwrap_or(i64::MAX)
            .min(now_ms)
            .min(life.until_ms - 1),
        limit: limit as usize,
    };
    let opens = range.opens();
    Ok(opens
        .into_iter()
        .map(|open_ms| tuple(world, coin, (interval, open_ms, now_ms)))
        .collect())
}

/// Which bars are wanted.
struct Range {
    interval: Interval,
    life: Life,
    start_ms: Option<i64>,
    /// The latest moment at which a wanted bar may open.
    last_ms: i64,
    limit: usize,
}

impl Range {
    /// The times at which the wanted bars open, ascending.
    fn opens(&self) -> Vec<i64> {
        // The first bar of a week or month may open before the coin was first traded.
        let first = self.interval.open_of(self.life.from_ms);
        if self.last_ms < self.life.from_ms {
            return Vec::new();
        }
        let Some(start_ms) = self.start_ms else {
            return self.newest(first);
        };
        // Clamped before any arithmetic: a start may be as large as a number can be.
        let start_ms = start_ms.clamp(first, self.last_ms.saturating_add(1));
        let held = self.interval.open_of(start_ms);
        let from = if held < start_ms {
            self.interval.next_open(held)
        } else {
            held
        };
        let next = |open: &i64| Some(self.interval.next_open(*open));
        std::iter::successors(Some(from), next)
            .take_while(|open| *open <= self.last_ms)
            .take(self.limit)
            .collect()
    }

    fn newest(&self, first: i64) -> Vec<i64> {
        let before = |open: &i64| Some(self.interval.open_of(*open - 1));
        let mut opens: Vec<i64> =
            std::iter::successors(Some(self.interval.open_of(self.last_ms)), before)
                .take_while(|open| *open >= first)
                .take(self.limit)
                .collect();
        opens.reverse();
        opens
    }
}

/// A bar in Binance's form; what lies after now is not in it yet.
fn tuple(world: &World, coin: Coin, (interval, open_ms, now_ms): (Interval, i64, i64)) -> Value {
    let close_ms = interval.next_open(open_ms) - 1;
    let bar = world.market.span(coin, open_ms, close_ms.min(now_ms));
    json!([
        open_ms,
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
        close_ms,
        bar.turnover.to_string(),
        bar.trades as i64,
        bar.taker_volume.to_string(),
        bar.taker_turnover.to_string(),
        "0",
    ])
}
