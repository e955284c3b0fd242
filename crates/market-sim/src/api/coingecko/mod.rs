//! CoinGecko: the global figures and the coins, derived from the same prices.

mod charts;
mod coins;
mod global;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::Call;
use crate::coin::Coin;
use crate::keys::COINGECKO_API_KEY;
use crate::listing::Listing;
use crate::scene::Scene;
use crate::totals::dollars_per;

const DEMO_KEY: &str = "x-cg-demo-api-key";
const PRO_KEY: &str = "x-cg-pro-api-key";

/// Why a call is not served.
#[derive(Debug)]
enum Refusal {
    /// With a sentence.
    Bad(String),
    UnknownCoin,
    NoSuchPath,
    WrongKey,
    /// A key of the paid plan, which has a host of its own.
    WrongHost,
    /// More history than the plan has.
    BeyondPlan,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let with_code = |code: u32, message: &str| json!({"error": {"status": {"error_code": code, "error_message": message}}});
        let (status, body) = match self {
            Self::Bad(sentence) => (StatusCode::BAD_REQUEST, json!({"error": sentence})),
            Self::UnknownCoin => (StatusCode::NOT_FOUND, json!({"error": "no such coin"})),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, json!({"error": "no such path"})),
            Self::WrongKey => (
                StatusCode::UNAUTHORIZED,
                with_code(10_002, "The key is not known."),
            ),
            Self::WrongHost => (
                StatusCode::BAD_REQUEST,
                with_code(10_010, "This key belongs to another host."),
            ),
            Self::BeyondPlan => (
                StatusCode::UNAUTHORIZED,
                with_code(10_012, "The plan has the last 365 days."),
            ),
        };
        (status, Json(body)).into_response()
    }
}

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    let body = check_key(call).and_then(|()| match call.endpoint {
        "/api/v3/ping" => Ok(json!({"gecko_says": "(V3) To the Moon!"})),
        "/api/v3/global" => Ok(global::figures(scene)),
        "/api/v3/simple/price" => coins::prices(scene, call),
        "/api/v3/coins/markets" => coins::markets(scene, call),
        "/api/v3/coins/{id}/market_chart" => charts::history(scene, call),
        "/api/v3/coins/{id}/ohlc" => charts::candles(scene, call),
        _ => Err(Refusal::NoSuchPath),
    });
    body.map(Json).into_response()
}

/// The error body that goes with a status.
pub(super) fn error_body(status: StatusCode) -> Value {
    let message = match status {
        StatusCode::TOO_MANY_REQUESTS => "You have exceeded the rate limit.",
        _ => "The request was not served.",
    };
    json!({"status": {"error_code": status.as_u16(), "error_message": message}})
}

/// Calls without a key are served as well.
fn check_key(call: &Call) -> Result<(), Refusal> {
    if call.headers.contains_key(PRO_KEY) {
        return Err(Refusal::WrongHost);
    }
    match call.headers.get(DEMO_KEY) {
        Some(key) if key != COINGECKO_API_KEY => Err(Refusal::WrongKey),
        _ => Ok(()),
    }
}

/// A figure as CoinGecko writes it: an integer wherever it happens to be whole.
fn figure(value: f64) -> Value {
    // Beyond this a double cannot tell whole numbers apart.
    const LARGEST_WHOLE: f64 = 9e15;
    if value.fract() == 0.0 && value.abs() < LARGEST_WHOLE {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// Dollars per unit of the currency in which an answer is wanted.
fn dollars_per_wanted(scene: &Scene<'_>, call: &Call) -> Result<f64, Refusal> {
    let currency = call
        .param("vs_currency")
        .ok_or_else(|| Refusal::Bad("missing parameter vs_currency".into()))?;
    dollars_per(scene, currency).ok_or_else(|| Refusal::Bad("invalid vs_currency".into()))
}

/// The coin in the path.
fn coin_of(call: &Call) -> Result<Coin, Refusal> {
    Listing::of_gecko(&call.id)
        .map(|listing| listing.coin)
        .ok_or(Refusal::UnknownCoin)
}
