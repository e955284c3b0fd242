//! Coinbase Exchange: the same market in dollars, at a share of the trades.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::USER_AGENT;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::call::Call;
use super::moment::iso;
use crate::amount::Amount;
use crate::coin::Coin;
use crate::listing::Listing;
use crate::market::{DAY_MS, Interval, Range};
use crate::noise::{mix, unit};
use crate::scene::{Candle, Scene};

/// What part of the trades take place here, in percent.
const SHARE: u32 = 20;
const MAX_CANDLES: usize = 300;
const GRANULARITIES: [i64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];
/// Coins of less turnover a day have minutes without a trade, one in so many.
const BUSY_TURNOVER: f64 = 1.0e8;
const QUIET_MINUTES: f64 = 1.0 / 20.0;

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    let refused =
        |status: StatusCode, message: &str| (status, Json(error_body(message))).into_response();
    if !call.headers.contains_key(USER_AGENT) {
        return refused(StatusCode::BAD_REQUEST, "there is no User-Agent");
    }
    let Some(listing) = Listing::of_coinbase(&call.id) else {
        return refused(StatusCode::NOT_FOUND, "NotFound");
    };
    match call.endpoint {
        "/products/{id}/ticker" => Json(ticker(scene, listing.coin)).into_response(),
        "/products/{id}/stats" => Json(stats(scene, listing.coin)).into_response(),
        _ => match range_of(call) {
            Ok(range) => Json(candles(scene, listing.coin, &range)).into_response(),
            Err(message) => refused(StatusCode::BAD_REQUEST, message),
        },
    }
}

pub(super) fn error_body(message: &str) -> Value {
    json!({"message": message})
}

fn ticker(scene: &Scene<'_>, coin: Coin) -> Value {
    let day = scene.day(coin);
    let size = unit(mix(scene.seed(), scene.last_ms(coin) as u64));
    let size = Amount::from_f64((10.0 + 3_000.0 * size) / day.close.as_f64());
    json!({
        "trade_id": scene.last_trade(coin),
        "price": day.close.short(),
        "size": size.to_string(),
        "time": iso(scene.last_ms(coin)),
        "bid": day.close.short(),
        "ask": (day.close + coin.tick()).short(),
        "volume": day.volume.scaled(SHARE).to_string(),
        "rfq_volume": "0.00000000",
    })
}

fn stats(scene: &Scene<'_>, coin: Coin) -> Value {
    let day = scene.day(coin);
    let last_ms = scene.last_ms(coin);
    let month = scene.span(coin, last_ms - 30 * DAY_MS, last_ms);
    json!({
        "open": day.open.short(),
        "high": day.high.short(),
        "low": day.low.short(),
        "last": day.close.short(),
        "volume": day.volume.scaled(SHARE).to_string(),
        "volume_30day": month.volume.scaled(SHARE).to_string(),
    })
}

/// Newest first, and none for a minute without a trade.
fn candles(scene: &Scene<'_>, coin: Coin, range: &Range) -> Value {
    let candles = scene.candles(coin, range);
    let traded = candles
        .iter()
        .rev()
        .filter(|candle| is_traded(scene, coin, candle));
    let row = |candle: &Candle| {
        let bar = candle.bar;
        json!([
            candle.open_ms / 1_000,
            bar.low.as_f64(),
            bar.high.as_f64(),
            bar.open.as_f64(),
            bar.close.as_f64(),
            bar.volume.scaled(SHARE).as_f64(),
        ])
    };
    traded.map(row).collect()
}

fn is_traded(scene: &Scene<'_>, coin: Coin, candle: &Candle) -> bool {
    let is_minute = candle.close_ms - candle.open_ms < 60_000;
    let key = mix(mix(scene.seed(), coin.number()), candle.open_ms as u64);
    !is_minute || coin.traits().turnover >= BUSY_TURNOVER || unit(key) >= QUIET_MINUTES
}

/// Which candles are wanted, or what is wrong with the request.
fn range_of(call: &Call) -> Result<Range, &'static str> {
    let granularity: i64 = call
        .param("granularity")
        .unwrap_or("60")
        .parse()
        .map_err(|_| "the granularity is not a number")?;
    if !GRANULARITIES.contains(&granularity) {
        return Err("the granularity is not one of those there are");
    }
    let interval = Interval::of_seconds(granularity);
    let (Some(start), Some(end)) = (call.param("start"), call.param("end")) else {
        // One of them alone says nothing.
        return Ok(Range::newest(interval, MAX_CANDLES));
    };
    let start_ms = moment_ms(start).ok_or("the start is not a time")?;
    let end_ms = moment_ms(end).ok_or("the end is not a time")?;
    if end_ms < start_ms {
        return Err("the end is before the start");
    }
    if (end_ms - start_ms) / 1_000 / granularity > MAX_CANDLES as i64 {
        return Err("that is more than 300 candles");
    }
    Ok(Range {
        interval,
        start_ms: Some(start_ms),
        end_ms,
        limit: MAX_CANDLES,
    })
}

/// Seconds since 1970, or a time as in RFC 3339.
fn moment_ms(text: &str) -> Option<i64> {
    let moment = match text.parse() {
        Ok(seconds) => Timestamp::from_second(seconds).ok()?,
        Err(_) => text.parse().ok()?,
    };
    Some(moment.as_millisecond())
}
