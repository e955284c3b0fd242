//! Binance spot, the public REST part of it.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::gate::Call;
use super::query::{Params, Refusal, Selection};
use super::weight::{Excess, LIMIT};
use super::{klines, ticker};
use crate::clock::steady_now;
use crate::coin::Coin;
use crate::world::World;

const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");

pub(super) fn answer(world: &World, call: &Call) -> Response {
    let (used, verdict) = world.meter().charge(weight(call), steady_now());
    let mut response = match verdict {
        Ok(()) => served(world, call),
        Err(excess) => refused(excess),
    };
    response
        .headers_mut()
        .insert(USED_WEIGHT, HeaderValue::from(used));
    response
}

/// The error body that goes with a status.
pub(super) fn error_body(status: StatusCode) -> Value {
    let (code, message) = match status.as_u16() {
        418 | 429 => (-1003, "Too much request weight used."),
        451 => (0, "Not served in this region."),
        400..=499 => (-1100, "The request was refused."),
        503 => (-1008, "The server is overloaded."),
        504 => (-1007, "The backend did not answer in time."),
        _ => (-1000, "Something went wrong."),
    };
    json!({"code": code, "msg": message})
}

/// The coins that a selection stands for.
pub(super) fn each(selection: Selection, one: impl Fn(Coin) -> Value) -> Value {
    match selection {
        Selection::One(coin) => one(coin),
        Selection::List(coins) => coins.into_iter().map(one).collect(),
        Selection::All => Coin::ALL.into_iter().map(one).collect(),
    }
}

fn served(world: &World, call: &Call) -> Response {
    let known: &[&str] = match call.endpoint {
        "/api/v3/ping" | "/api/v3/time" => &[],
        "/api/v3/exchangeInfo" => &["symbol", "symbols", "permissions", "symbolStatus"],
        "/api/v3/ticker/price" => &["symbol", "symbols", "symbolStatus"],
        "/api/v3/ticker/24hr" => &["symbol", "symbols", "symbolStatus", "type"],
        "/api/v3/klines" => &[
            "symbol",
            "interval",
            "startTime",
            "endTime",
            "timeZone",
            "limit",
        ],
        _ => {
            return (
                StatusCode::NOT_FOUND,
                Json(error_body(StatusCode::NOT_FOUND)),
            )
                .into_response();
        }
    };
    let body = Params::of(&call.uri, known).and_then(|params| match call.endpoint {
        "/api/v3/ping" => Ok(json!({})),
        "/api/v3/time" => Ok(json!({"serverTime": world.now_ms()})),
        "/api/v3/exchangeInfo" => trading_rules(world, &params),
        "/api/v3/ticker/price" => ticker::prices(world, &params),
        "/api/v3/ticker/24hr" => ticker::days(world, &params),
        _ => klines::bars(world, &params),
    });
    body.map(Json).into_response()
}

fn refused(excess: Excess) -> Response {
    let (status, wait) = match excess {
        Excess::TooMuch(wait) => (StatusCode::TOO_MANY_REQUESTS, wait),
        Excess::Banned(wait) => (StatusCode::IM_A_TEAPOT, wait),
    };
    // Rounded up: whoever waits exactly this long must not come too early.
    let seconds = wait.as_millis().div_ceil(1_000);
    let headers = [(RETRY_AFTER, seconds.to_string())];
    (status, headers, Json(error_body(status))).into_response()
}

/// What a call costs, whether or not it is answered.
fn weight(call: &Call) -> u32 {
    let has = |name: &str| {
        let pairs = call.uri.query().unwrap_or_default().split('&');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .any(|(key, _)| key == name)
    };
    match call.endpoint {
        "/api/v3/exchangeInfo" => 20,
        "/api/v3/klines" => 2,
        "/api/v3/ticker/price" if has("symbol") => 2,
        "/api/v3/ticker/price" => 4,
        // There are fewer than 21 symbols, so any list costs what one symbol does.
        "/api/v3/ticker/24hr" if has("symbol") || has("symbols") => 2,
        "/api/v3/ticker/24hr" => 80,
        _ => 1,
    }
}

fn trading_rules(world: &World, params: &Params) -> Result<Value, Refusal> {
    ticker::check_status(params)?;
    let selection = match params.selection()? {
        Selection::One(coin) => Selection::List(vec![coin]),
        many => many,
    };
    Ok(json!({
        "timezone": "UTC",
        "serverTime": world.now_ms(),
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": LIMIT},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
        ],
        "exchangeFilters": [],
        "symbols": each(selection, rules_of),
    }))
}

fn rules_of(coin: Coin) -> Value {
    json!({
        "symbol": coin.symbol(),
        "status": "TRADING",
        "baseAsset": coin.traits().asset.to_uppercase(),
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": true,
        "ocoAllowed": true,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [{
            "filterType": "PRICE_FILTER",
            "minPrice": coin.tick().to_string(),
            "maxPrice": "1000000.00000000",
            "tickSize": coin.tick().to_string(),
        }],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    })
}
