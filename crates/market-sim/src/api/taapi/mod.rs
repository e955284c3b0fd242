//! TAAPI.io in its classic generation: indicators over our own candles.

mod bulk;
mod calculation;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::Call;
use crate::keys::TAAPI_SECRET;
use crate::scene::Scene;
use calculation::{Parameters, Series};

/// Why a call is not served.
#[derive(Debug)]
enum Refusal {
    WrongSecret,
    NoSuchPath,
    /// With a sentence.
    Bad(String),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, sentence) = match self {
            Self::WrongSecret => (
                StatusCode::UNAUTHORIZED,
                "the secret is not known".to_owned(),
            ),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no such indicator".to_owned()),
            Self::Bad(sentence) => (StatusCode::BAD_REQUEST, sentence),
        };
        (status, Json(error_body(&sentence))).into_response()
    }
}

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    let body = match call.endpoint {
        "/bulk" => bulk::answer(scene, &call.body),
        _ => single(scene, call),
    };
    body.map(Json).into_response()
}

pub(super) fn error_body(sentence: &str) -> Value {
    json!({"error": sentence})
}

fn single(scene: &Scene<'_>, call: &Call) -> Result<Value, Refusal> {
    check_secret(call.param("secret"))?;
    let indicator = call.endpoint.strip_prefix('/').ok_or(Refusal::NoSuchPath)?;
    let parameters: Parameters = call.params().cloned().unwrap_or_default();
    let text = |name: &str| parameters.get(name).map(String::as_str);
    let series = Series::read(text("exchange"), text("symbol"), text("interval"));
    series
        .and_then(|series| calculation::result(scene, &series, indicator, &parameters))
        .map_err(Refusal::Bad)
}

fn check_secret(secret: Option<&str>) -> Result<(), Refusal> {
    match secret {
        Some(TAAPI_SECRET) => Ok(()),
        _ => Err(Refusal::WrongSecret),
    }
}
