//! The control routes: faults, counters and the clock, over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::{Fault, FaultKind, Source};
use crate::options::SimTime;
use crate::world::World;

/// The longest latency that may be ordered, ten minutes: more is a hang, which there is too.
const MAX_LATENCY_MS: u128 = 600_000;

/// A fault and the source it is for, as one flat object.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    source: Source,
    #[serde(flatten)]
    fault: Fault,
}

/// What is to become of the clock.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Turn {
    RealTime,
    FrozenAt(Timestamp),
    RunningFrom(Timestamp),
    StepMs(i64),
}

/// What is wrong with a control request: 400 with a sentence.
#[derive(Debug)]
pub(super) struct Complaint(String);

impl IntoResponse for Complaint {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

pub(super) async fn description(State(world): State<Arc<World>>) -> Json<Value> {
    let prefixes = Source::ALL.map(|source| (source.name(), world.url(source.name())));
    let endpoints = Source::ALL.map(|source| (source.name(), source.endpoints()));
    Json(json!({
        "seed": world.market.seed(),
        "now": world.now(),
        "base_urls": BTreeMap::from(prefixes),
        "endpoints": BTreeMap::from(endpoints),
        "routes": {
            "GET /control/calls": "calls so far per endpoint, failed ones included",
            "GET /control/faults": "the faults on order",
            "POST /control/faults": {"examples": [
                {"source": "binance", "kind": "latency", "ms": 300},
                {"source": "coingecko", "kind": "status", "status": 429, "retry_after": 5},
                {"source": "binance", "kind": "poison", "value": "nan", "endpoint": "/api/v3/klines"},
                {"source": "fng", "kind": "hang", "times": 3},
            ], "kinds": [
                "latency", "status", "html", "garbage", "poison", "truncated", "hang", "reset",
                "empty", "oversized",
            ], "poisons": ["negative", "zero", "nan", "text", "huge", "null", "wrong_type"]},
            "DELETE /control/faults": "forgets the faults on order and nothing else",
            "POST /control/reset": "forgets faults, calls and used weight",
            "GET /control/clock": "the present, and how it runs",
            "POST /control/clock": {"examples": [
                "real_time",
                {"frozen_at": "2021-05-01T12:00:00Z"},
                {"running_from": "2021-05-01T12:00:00Z"},
                {"step_ms": 60_000},
            ]},
        },
    }))
}

pub(super) async fn calls(State(world): State<Arc<World>>) -> Json<BTreeMap<String, u64>> {
    Json(world.calls())
}

pub(super) async fn faults(State(world): State<Arc<World>>) -> Json<Vec<Order>> {
    let order = |(source, fault)| Order { source, fault };
    Json(world.faults().into_iter().map(order).collect())
}

pub(super) async fn inject(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<Json<Order>, Complaint> {
    let order: Order = read(&body)?;
    order.check()?;
    world.inject(order.source, order.fault.clone());
    Ok(Json(order))
}

pub(super) async fn clear(
    State(world): State<Arc<World>>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Complaint> {
    if query.is_some() {
        return Err(Complaint("this route takes no parameters".into()));
    }
    world.clear_faults();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reset(State(world): State<Arc<World>>) -> StatusCode {
    world.reset();
    StatusCode::NO_CONTENT
}

pub(super) async fn clock(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"now": world.now(), "time": world.time()}))
}

pub(super) async fn set_clock(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<Json<Value>, Complaint> {
    match read(&body)? {
        Turn::RealTime => world.set_time(SimTime::RealTime),
        Turn::FrozenAt(moment) => world.set_time(SimTime::FrozenAt(moment)),
        Turn::RunningFrom(moment) => world.set_time(SimTime::RunningFrom(moment)),
        Turn::StepMs(step) => world.step_time(SignedDuration::from_millis(step)),
    }
    Ok(clock(State(world)).await)
}

impl Order {
    fn check(&self) -> Result<(), Complaint> {
        let known = self.source.endpoints();
        if let Some(endpoint) = &self.fault.endpoint
            && !known.contains(&endpoint.as_str())
        {
            return Err(Complaint(format!(
                "endpoint {endpoint:?} is none of {known:?}"
            )));
        }
        match &self.fault.kind {
            FaultKind::Status { status, .. } if !(200..=599).contains(status) => Err(Complaint(
                format!("status {status} is not within 200 to 599"),
            )),
            FaultKind::Latency { delay } if delay.as_millis() > MAX_LATENCY_MS => {
                Err(Complaint(format!("ms is above {MAX_LATENCY_MS}")))
            }
            _ => Ok(()),
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Complaint> {
    serde_json::from_slice(body).map_err(|error| Complaint(format!("reading the body: {error}")))
}
