//! Faults as they show in an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::refusal::{self, PAGE};
use super::spoil::Spoiler;
use super::{bomb, odd_body};
use crate::fault::{FaultKind, RetryAfter, in_header};
use crate::source::Source;
use crate::wire::Breakage;
use crate::world::World;

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const GARBAGE: &str = r#"{"symbol":"BTCUSDT","lastPrice":"1}, ]"#;

/// A fault on one call.
#[derive(Debug)]
pub(super) struct Breakdown {
    pub(super) fault: FaultKind,
    pub(super) source: Source,
    /// `None` where there is no connection that could break.
    pub(super) breakage: Option<Breakage>,
    pub(super) world: Arc<World>,
}

impl Breakdown {
    pub(super) async fn played(self, right: impl FnOnce() -> Response) -> Response {
        match self.fault {
            // These two are dealt with before; the rest of the call goes on.
            FaultKind::Latency { .. } | FaultKind::Behind { .. } | FaultKind::Skew { .. } => {
                right()
            }
            FaultKind::Status {
                status,
                retry_after,
            } => refused(self.source, status, retry_after.as_ref()),
            FaultKind::RateLimit { seconds, .. } => {
                refusal::too_many(self.source, Duration::from_secs(seconds.into()))
            }
            FaultKind::Pending => {
                let body = json!({"pending": true, "key": "simulated"});
                (StatusCode::ACCEPTED, Json(body)).into_response()
            }
            FaultKind::Canned { status, body } => canned(status, body),
            FaultKind::Redirect { to } => {
                let mut response = StatusCode::FOUND.into_response();
                // A fault whose address is no header is not taken in the first place.
                if let Some(to) = in_header(&to) {
                    response.headers_mut().insert(LOCATION, to);
                }
                response
            }
            FaultKind::Html => Html(PAGE).into_response(),
            FaultKind::Garbage => ([(CONTENT_TYPE, JSON)], GARBAGE).into_response(),
            FaultKind::Poison { value } => {
                spoiled(right(), &Spoiler::all(self.source, value)).await
            }
            FaultKind::PoisonField { field, value } => {
                spoiled(right(), &Spoiler::field(self.source, value, &field)).await
            }
            FaultKind::Truncated => {
                let whole = body_of(right()).await;
                with_length(whole.len(), odd_body::first_half(&whole))
            }
            FaultKind::Drip { pause } => {
                let whole = body_of(right()).await;
                let length = whole.len();
                with_length(length, odd_body::dripping(whole, pause, self.world))
            }
            FaultKind::Hang => std::future::pending().await,
            FaultKind::Reset => {
                let Some(breakage) = self.breakage else {
                    return Body::from_stream(odd_body::cut_off()).into_response();
                };
                breakage.order();
                // Never sent: writing its first byte is what ends the connection.
                StatusCode::OK.into_response()
            }
            FaultKind::Empty => ([(CONTENT_TYPE, JSON)], "").into_response(),
            FaultKind::Oversized => {
                ([(CONTENT_TYPE, JSON)], odd_body::endless_array()).into_response()
            }
            FaultKind::GzipBomb => {
                let headers = [(CONTENT_TYPE, JSON), (CONTENT_ENCODING, GZIP)];
                (headers, bomb::gzip()).into_response()
            }
        }
    }
}

fn refused(source: Source, status: u16, retry_after: Option<&RetryAfter>) -> Response {
    let mut response = refusal::with_status(source, known(status));
    // A fault whose wait is no header is not taken in the first place.
    if let Some(wait) = retry_after.and_then(RetryAfter::header) {
        response.headers_mut().insert(RETRY_AFTER, wait);
    }
    response
}

fn canned(status: u16, body: String) -> Response {
    let is_json = serde_json::from_str::<Value>(&body).is_ok();
    if is_json {
        (known(status), [(CONTENT_TYPE, JSON)], body).into_response()
    } else {
        (known(status), Html(body)).into_response()
    }
}

/// The status, which was checked when it was ordered.
fn known(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn spoiled(right: Response, spoiler: &Spoiler<'_>) -> Response {
    let (head, body) = right.into_parts();
    let bytes = body_of(Response::new(body)).await;
    // Read from our own answer a moment ago; an error answer is JSON as well.
    let mut body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    spoiler.spoil(&mut body);
    let mut response = Json(body).into_response();
    *response.status_mut() = head.status;
    response
}

fn with_length(length: usize, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, JSON),
        (CONTENT_LENGTH, HeaderValue::from(length)),
    ];
    (headers, body).into_response()
}

/// The whole body of an answer.
pub(super) async fn body_of(response: Response) -> Bytes {
    to_bytes(response.into_body(), usize::MAX)
        .await
        // What was built in memory cannot fail to be read; what was to be cut off is.
        .unwrap_or_default()
}
