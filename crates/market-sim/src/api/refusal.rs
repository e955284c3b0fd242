//! How each source says no, whatever the reason.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;

use super::{binance, cmc, coinbase, coingecko, finnhub, fng, kraken, taapi};
use crate::source::Source;

/// What stands in front of a provider writes when it refuses.
pub(super) const PAGE: &str = "<!DOCTYPE html><html><head><title>Attention</title></head>\
    <body><h1>Checking your browser</h1></body></html>";

/// A status with the error body that goes with it.
pub(super) fn with_status(source: Source, status: StatusCode) -> Response {
    // Binance's firewall is not Binance: it writes no JSON.
    if source == Source::Binance && status == StatusCode::FORBIDDEN {
        return (status, Html(PAGE)).into_response();
    }
    (status, Json(body(source, status))).into_response()
}

/// The answer to a call above the limit of so many in `window`.
pub(super) fn too_many(source: Source, window: Duration) -> Response {
    match source {
        Source::Kraken => Json(kraken::error_body("EAPI:Rate limit exceeded")).into_response(),
        Source::Cmc => {
            let body = cmc::error_body(cmc::limit_code(window));
            (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response()
        }
        _ => with_status(source, StatusCode::TOO_MANY_REQUESTS),
    }
}

fn body(source: Source, status: StatusCode) -> Value {
    match source {
        Source::Binance | Source::BinanceWs => binance::error_body(status),
        Source::CoinGecko => coingecko::error_body(status),
        Source::Fng => fng::error_body("the service is not available"),
        Source::Taapi => taapi::error_body("the request was not served"),
        Source::Cmc => cmc::error_body(cmc::status_code(status)),
        Source::Finnhub => finnhub::error_body("the request was not served"),
        Source::Coinbase => coinbase::error_body("the request was not served"),
        Source::Kraken if status == StatusCode::TOO_MANY_REQUESTS => {
            kraken::error_body("EGeneral:Too many requests")
        }
        Source::Kraken => kraken::error_body("EService:Unavailable"),
    }
}
