//! Faults as they show on the wire.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::{Value, json};

use super::gate::Call;
use super::{binance, coingecko, fng};
use crate::fault::{FaultKind, Poison, RetryAfter, Source};
use crate::wire::Breakage;

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
const GARBAGE: &str = r#"{"symbol":"BTCUSDT","lastPrice":"1}, ]"#;
const PAGE: &str = "<!DOCTYPE html><html><head><title>Attention</title></head>\
    <body><h1>Checking your browser</h1></body></html>";

/// The oversized body: a number inside an array that does not end.
const CHUNK: Bytes = Bytes::from_static(&[b'1'; 65_536]);
const CHUNKS: usize = 128;

/// Fields that are no figures: times and texts a client may need to get as far as the figures.
const NO_FIGURES: [&str; 6] = [
    "symbol",
    "updated_at",
    "timestamp",
    "time_until_update",
    "openTime",
    "closeTime",
];

/// A fault on one call.
pub(super) struct Breakdown<'a> {
    pub(super) fault: FaultKind,
    pub(super) call: &'a Call,
    pub(super) breakage: Breakage,
}

impl Breakdown<'_> {
    pub(super) async fn played(self, right: impl FnOnce() -> Response) -> Response {
        match self.fault {
            FaultKind::Latency { .. } => right(),
            FaultKind::Status {
                status,
                retry_after,
            } => refusal(self.call.source, status, retry_after.as_ref()),
            FaultKind::Html => Html(PAGE).into_response(),
            FaultKind::Garbage => ([(CONTENT_TYPE, JSON)], GARBAGE).into_response(),
            FaultKind::Poison { value } => poisoned(right(), self.call.source, value).await,
            FaultKind::Truncated => truncated(right()).await,
            FaultKind::Hang => std::future::pending().await,
            FaultKind::Reset => {
                self.breakage.order();
                // Never sent: writing its first byte is what ends the connection.
                StatusCode::OK.into_response()
            }
            FaultKind::Empty => ([(CONTENT_TYPE, JSON)], "").into_response(),
            FaultKind::Oversized => ([(CONTENT_TYPE, JSON)], endless_array()).into_response(),
        }
    }
}

fn refusal(source: Source, status: u16, retry_after: Option<&RetryAfter>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match source {
        Source::Binance => binance::error_body(status),
        Source::CoinGecko => coingecko::error_body(status),
        Source::Fng => fng::error_body("the service is not available"),
    };
    let mut response = (status, Json(body)).into_response();
    // A fault whose wait is no header is not taken in the first place.
    if let Some(wait) = retry_after.and_then(RetryAfter::header) {
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    response
}

async fn poisoned(right: Response, source: Source, poison: Poison) -> Response {
    let (head, body) = right.into_parts();
    let bytes = body_of(body).await;
    // Read from our own answer a moment ago; an error answer is JSON as well.
    let mut body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    spoil(&mut body, &Spoiler { source, poison });
    (head, Json(body)).into_response()
}

struct Spoiler {
    source: Source,
    poison: Poison,
}

impl Spoiler {
    /// Whether this is a figure: Binance and alternative.me write those as text.
    fn is_figure(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text.parse::<f64>().is_ok(),
            Value::Number(_) => self.source == Source::CoinGecko,
            _ => false,
        }
    }

    fn spoiled(&self, figure: &Value) -> Value {
        match (self.poison, figure) {
            (Poison::Negative, Value::String(text)) => {
                json!(format!("-{}", text.trim_start_matches('-')))
            }
            (Poison::Negative, number) => json!(-number.as_f64().unwrap_or(1.0).abs()),
            (Poison::Zero, Value::String(_)) => json!("0.00000000"),
            (Poison::Zero, _) => json!(0),
            (Poison::Nan, _) => json!("NaN"),
            (Poison::Text, _) => json!("abc"),
            (Poison::Huge, _) => json!("1e999"),
            (Poison::Null, _) => Value::Null,
            (Poison::WrongType, Value::String(text)) => {
                json!(text.parse::<f64>().unwrap_or_default())
            }
            (Poison::WrongType, number) => json!(number.to_string()),
        }
    }
}

fn spoil(value: &mut Value, spoiler: &Spoiler) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, spoiler)),
        Value::Object(fields) => {
            let figures = fields
                .iter_mut()
                .filter(|(name, _)| !NO_FIGURES.contains(&name.as_str()));
            figures.for_each(|(_, field)| spoil(field, spoiler));
        }
        leaf if spoiler.is_figure(leaf) => *leaf = spoiler.spoiled(leaf),
        _ => {}
    }
}

async fn truncated(right: Response) -> Response {
    let whole = body_of(right.into_body()).await;
    let half = whole.slice(..whole.len() / 2);
    let parts = unfold(Some(half), |part| async {
        let Some(part) = part else {
            // Lets the connection flush the half before it learns that there is no more.
            tokio::task::yield_now().await;
            return None;
        };
        Some((Ok::<_, std::convert::Infallible>(part), None))
    });
    let headers = [
        (CONTENT_TYPE, JSON),
        (CONTENT_LENGTH, HeaderValue::from(whole.len())),
    ];
    (headers, Body::from_stream(parts)).into_response()
}

fn endless_array() -> Body {
    Body::from_stream(unfold(0, |sent| async move {
        let chunk = if sent == 0 {
            Bytes::from_static(b"[1")
        } else {
            CHUNK
        };
        (sent <= CHUNKS).then_some((Ok::<_, std::convert::Infallible>(chunk), sent + 1))
    }))
}

async fn body_of(body: Body) -> Bytes {
    to_bytes(body, usize::MAX)
        .await
        .expect("a body that was built in memory cannot fail to be read")
}
