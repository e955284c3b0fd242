//! Binance spot, the public REST part of it.

mod klines;
mod query;
mod rules;
mod ticker;
mod weight;

pub(super) mod day;

use std::time::Duration;

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::Call;
use crate::scene::Scene;
use crate::world::World;
use query::Params;
use weight::Excess;

pub(crate) use weight::Meter;

const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");

pub(super) fn answer(world: &World, scene: &Scene<'_>, call: &Call) -> Response {
    let (used, verdict) = world.meter().charge(weight::of(call), world.steady());
    let mut response = match verdict {
        Ok(()) => served(scene, call),
        Err(excess) => refused(scene, excess),
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
        502 => (-1006, "The backend gave an answer that was not expected."),
        503 => (-1008, "The server is overloaded."),
        504 => (-1007, "The backend did not answer in time."),
        _ => (-1000, "Something went wrong."),
    };
    json!({"code": code, "msg": message})
}

fn served(scene: &Scene<'_>, call: &Call) -> Response {
    let known: &[&str] = match call.endpoint {
        "/api/v3/ping" | "/api/v3/time" => &[],
        "/api/v3/exchangeInfo" => &["symbol", "symbols", "permissions", "symbolStatus"],
        "/api/v3/ticker/price" => &["symbol", "symbols", "symbolStatus"],
        "/api/v3/ticker/24hr" => &["symbol", "symbols", "symbolStatus", "type"],
        "/api/v3/avgPrice" => &["symbol"],
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
    let body = Params::of(call, known).and_then(|params| match call.endpoint {
        "/api/v3/ping" => Ok(json!({})),
        "/api/v3/time" => Ok(json!({"serverTime": scene.now_ms()})),
        "/api/v3/exchangeInfo" => rules::trading_rules(scene, &params),
        "/api/v3/ticker/price" => ticker::prices(scene, &params),
        "/api/v3/ticker/24hr" => ticker::days(scene, &params),
        "/api/v3/avgPrice" => ticker::average(scene, &params),
        _ => klines::bars(scene, &params),
    });
    body.map(Json).into_response()
}

fn refused(scene: &Scene<'_>, excess: Excess) -> Response {
    let (status, wait) = match excess {
        Excess::TooMuch(wait) => (StatusCode::TOO_MANY_REQUESTS, wait),
        Excess::Banned(wait) => (StatusCode::IM_A_TEAPOT, wait),
    };
    let seconds = whole_seconds(wait);
    let mut body = error_body(status);
    if status == StatusCode::IM_A_TEAPOT {
        let until_ms = scene.now_ms().saturating_add(seconds as i64 * 1_000);
        body["msg"] = json!(format!(
            "Too much request weight used; banned until {until_ms}."
        ));
    }
    let headers = [(RETRY_AFTER, seconds.to_string())];
    (status, headers, Json(body)).into_response()
}

/// Rounded up: whoever waits exactly this long must not come too early.
fn whole_seconds(wait: Duration) -> u128 {
    wait.as_millis().div_ceil(1_000)
}
