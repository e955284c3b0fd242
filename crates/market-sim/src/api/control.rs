//! The control routes: faults, counters and the clock, over HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::SignedDuration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::options::SimTime;
use crate::source::Source;
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
#[serde(
    untagged,
    expecting = "this is none of the examples that GET /control has"
)]
enum Turn {
    Set(SimTime),
    Move(Move),
}

/// Where the present goes from where it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Move {
    /// How many times normal speed.
    Speed(u32),
    StepMs(i64),
}

/// What is to become of all open streams.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StreamOrder {
    /// They end without a word.
    Drop,
    /// They announce their end.
    Shutdown,
}

/// What is wrong with a control request: 400 with a sentence.
#[derive(Debug)]
pub(super) struct Complaint(String);

impl IntoResponse for Complaint {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

pub(super) async fn calls(
    State(world): State<Arc<World>>,
    RawQuery(query): RawQuery,
) -> Result<Json<BTreeMap<String, u64>>, Complaint> {
    match query.as_deref() {
        None => Ok(Json(world.calls())),
        Some("by=source") => {
            let entry = |source: Source| (source.name().to_owned(), world.calls_of(source));
            Ok(Json(Source::ALL.into_iter().map(entry).collect()))
        }
        Some(_) => Err(Complaint("this route takes by=source and no more".into())),
    }
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

pub(super) async fn streams(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"open": world.open_streams()}))
}

pub(super) async fn order_streams(
    State(world): State<Arc<World>>,
    body: Bytes,
) -> Result<StatusCode, Complaint> {
    match read(&body)? {
        StreamOrder::Drop => world.drop_streams(),
        StreamOrder::Shutdown => world.announce_shutdown(),
    }
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
        Turn::Set(time) => world.set_time(time),
        Turn::Move(Move::Speed(speed)) => {
            let moment = world.now();
            world.set_time(SimTime::FastFrom { moment, speed });
        }
        Turn::Move(Move::StepMs(step)) => world.step_time(SignedDuration::from_millis(step)),
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
