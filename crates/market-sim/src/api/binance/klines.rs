//! Binance's candles.

use serde_json::{Value, json};

use super::query::{Params, Refusal};
use crate::market::{Interval, Range};
use crate::scene::{Candle, Scene};

const DEFAULT_LIMIT: i64 = 500;
const MAX_LIMIT: i64 = 1_000;

pub(super) fn bars(scene: &Scene<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
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
    let range = Range {
        interval,
        start_ms: params.number("startTime")?,
        end_ms: params.number("endTime")?.unwrap_or(i64::MAX),
        limit: limit as usize,
    };
    let candles = scene.candles(coin, &range);
    Ok(candles.into_iter().map(tuple).collect())
}

/// A bar in Binance's form.
fn tuple(candle: Candle) -> Value {
    let bar = candle.bar;
    json!([
        candle.open_ms,
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
        candle.close_ms,
        bar.turnover.to_string(),
        bar.trades as i64,
        bar.taker_volume.to_string(),
        bar.taker_turnover.to_string(),
        "0",
    ])
}
