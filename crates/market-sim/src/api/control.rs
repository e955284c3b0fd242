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
use serde_json::{Map, Value, json};

use crate::fault::{Fault, Source};
use crate::options::SimTime;
use crate::world::World;

/// Fields that may be null, which is the same as not there.
const OPTIONAL: [&str; 3] = ["endpoint", "times", "retry_after"];

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
    order.check_against(&read(&body)?)?;
    let taken = world.inject(order.source, order.fault.clone());
    taken.map_err(|error| Complaint(error.to_string()))?;
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
    /// Refuses a body that says more than was read from it: a misspelt `times` would otherwise
    /// order the fault for ever. Serde cannot tell, for it denies no fields of a flat object.
    fn check_against(&self, body: &Map<String, Value>) -> Result<(), Complaint> {
        let read = json!(self);
        let is_left_out = |name: &str, value: &Value| value.is_null() && OPTIONAL.contains(&name);
        let unread = body
            .iter()
            .find(|(name, value)| read.get(name.as_str()).is_none() && !is_left_out(name, value));
        unread.map_or(Ok(()), |(name, _)| {
            let kind = &read["kind"];
            Err(Complaint(format!(
                "reading the body: a fault of kind {kind} has no field {name:?}"
            )))
        })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Complaint> {
    serde_json::from_slice(body).map_err(|error| Complaint(format!("reading the body: {error}")))
}
