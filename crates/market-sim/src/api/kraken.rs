//! Kraken: the same market in dollars, under names of its own; failures come with HTTP 200.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::call::Call;
use crate::amount::Amount;
use crate::coin::Coin;
use crate::listing::{LISTINGS, Listing, Pair};
use crate::market::{Bar, Interval, Range};
use crate::scene::{Candle, Scene};

/// What part of the trades take place here, in percent.
const SHARE: u32 = 5;
const MAX_ROWS: usize = 720;
/// In minutes.
const INTERVALS: [i64; 9] = [1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600];

const UNKNOWN_PAIR: &str = "EQuery:Unknown asset pair";
const BAD_ARGUMENTS: &str = "EGeneral:Invalid arguments";

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    let result = match call.endpoint {
        "/0/public/Ticker" => tickers(scene, call),
        "/0/public/OHLC" => rows(scene, call),
        _ => {
            let body = error_body("EGeneral:Unknown method");
            return (StatusCode::NOT_FOUND, Json(body)).into_response();
        }
    };
    let body = match result {
        Ok(result) => json!({"error": [], "result": result}),
        Err(error) => error_body(error),
    };
    Json(body).into_response()
}

pub(super) fn error_body(error: &str) -> Value {
    json!({"error": [error]})
}

fn tickers(scene: &Scene<'_>, call: &Call) -> Result<Value, &'static str> {
    let pairs: Vec<(Coin, Pair)> = match call.param("pair") {
        None => LISTINGS
            .iter()
            .filter_map(|listing| Some((listing.coin, listing.kraken?)))
            .collect(),
        // One that is not known fails the whole list.
        Some(names) => names
            .split(',')
            .map(|name| Listing::of_kraken(name).ok_or(UNKNOWN_PAIR))
            .collect::<Result<_, _>>()?,
    };
    let entry = |(coin, pair): (Coin, Pair)| (pair.key.to_owned(), ticker(scene, coin));
    let tickers: Map<String, Value> = pairs.into_iter().map(entry).collect();
    Ok(Value::Object(tickers))
}

fn ticker(scene: &Scene<'_>, coin: Coin) -> Value {
    let (today, day) = (scene.today(coin), scene.day(coin));
    let both = |figure: fn(Bar) -> String| json!([figure(today), figure(day)]);
    let trades = |bar: Bar| bar.trades as i64 * i64::from(SHARE) / 100;
    json!({
        "a": [price(day.close + coin.tick()), "1", "1.000"],
        "b": [price(day.close), "1", "1.000"],
        "c": [price(day.close), "0.01000000"],
        "v": both(|bar| bar.volume.scaled(SHARE).to_string()),
        "p": both(|bar| price(bar.average())),
        "t": [trades(today), trades(day)],
        "l": both(|bar| price(bar.low)),
        "h": both(|bar| price(bar.high)),
        "o": price(today.open),
    })
}

fn rows(scene: &Scene<'_>, call: &Call) -> Result<Value, &'static str> {
    let name = call.param("pair").ok_or(BAD_ARGUMENTS)?;
    let (coin, pair) = Listing::of_kraken(name).ok_or(UNKNOWN_PAIR)?;
    let number = |name: &str, default: i64| {
        call.param(name)
            .map_or(Ok(default), |text| text.parse().map_err(|_| BAD_ARGUMENTS))
    };
    let minutes = number("interval", 1)?;
    if !INTERVALS.contains(&minutes) {
        return Err(BAD_ARGUMENTS);
    }
    let since_s = number("since", 0)?;
    let range = Range::newest(Interval::of_seconds(minutes * 60), MAX_ROWS);
    let candles = scene.candles(coin, &range);
    // The one that `since` names is wanted too.
    let wanted = candles
        .iter()
        .filter(|candle| candle.open_ms / 1_000 >= since_s);
    let rows: Vec<Value> = wanted.map(row).collect();
    // What a client is to ask for next: the last row that is finished.
    let finished = candles
        .iter()
        .rev()
        .find(|candle| candle.close_ms < scene.now_ms());
    let last = finished.map_or(0, |candle| candle.open_ms / 1_000);
    Ok(json!({pair.key: rows, "last": last}))
}

fn row(candle: &Candle) -> Value {
    let bar = candle.bar;
    json!([
        candle.open_ms / 1_000,
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        price(bar.average()),
        bar.volume.scaled(SHARE).to_string(),
        bar.trades as i64 * i64::from(SHARE) / 100,
    ])
}

/// With as many places as the finest step of a price has.
fn price(amount: Amount) -> String {
    amount.places(5)
}
