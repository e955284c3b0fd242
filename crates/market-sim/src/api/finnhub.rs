//! Finnhub: quotes of three funds of the US stock market.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::Call;
use crate::keys::FINNHUB_API_KEY;
use crate::market::Stock;
use crate::scene::Scene;

const TOKEN: &str = "x-finnhub-token";

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    let refused =
        |status: StatusCode, message: &str| (status, Json(error_body(message))).into_response();
    match call.header(TOKEN).or_else(|| call.param("token")) {
        Some(FINNHUB_API_KEY) => {}
        // As odd as it is, this is what the real one does.
        Some("") => return refused(StatusCode::TOO_MANY_REQUESTS, "the limit is reached"),
        _ => return refused(StatusCode::UNAUTHORIZED, "the token is not known"),
    }
    if call.endpoint != "/api/v1/quote" {
        return refused(StatusCode::NOT_FOUND, "no such path");
    }
    match call.param("symbol") {
        None | Some("") => refused(StatusCode::BAD_REQUEST, "there is no symbol"),
        Some(symbol) => Json(quote(scene, symbol)).into_response(),
    }
}

pub(super) fn error_body(message: &str) -> Value {
    json!({"error": message})
}

fn quote(scene: &Scene<'_>, symbol: &str) -> Value {
    // What it does not know is no error: it is worth nothing.
    let Some(stock) = Stock::from_symbol(symbol) else {
        return json!({
            "c": 0, "d": null, "dp": null, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0,
        });
    };
    let session = scene.session(stock);
    let change = session.last - session.previous;
    json!({
        "c": session.last,
        "d": in_places(change, 100.0),
        "dp": in_places(change / session.previous * 100.0, 10_000.0),
        "h": session.high,
        "l": session.low,
        "o": session.open,
        "pc": session.previous,
        "t": session.at_s,
    })
}

/// Rounded to a fraction of one, so that no tail of binary digits shows.
fn in_places(value: f64, parts_of_one: f64) -> f64 {
    (value * parts_of_one).round() / parts_of_one
}
