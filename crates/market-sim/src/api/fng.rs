//! alternative.me: the Fear & Greed index, one value a day.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::call::Call;
use crate::market::DAY_MS;
use crate::scene::Scene;

/// The index began on 1 February 2018.
const FIRST_DAY: i64 = 17_563;
const SECONDS_PER_DAY: i64 = DAY_MS / 1_000;

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    if call.endpoint != "/fng/" {
        return (StatusCode::NOT_FOUND, Json(error_body("no such path"))).into_response();
    }
    match index(scene, call) {
        Ok(body) => Json(body).into_response(),
        Err(complaint) => (StatusCode::BAD_REQUEST, Json(error_body(&complaint))).into_response(),
    }
}

/// The error body: the usual one, without values.
pub(super) fn error_body(message: &str) -> Value {
    json!({"name": "Fear and Greed Index", "data": [], "metadata": {"error": message}})
}

/// The newest values, newest first, or what is wrong with the request.
fn index(scene: &Scene<'_>, call: &Call) -> Result<Value, String> {
    if call.params().is_none() {
        return Err("the query cannot be read".into());
    }
    let text = |name: &str| call.param(name);
    if !matches!(text("format"), None | Some("" | "json")) {
        return Err("only the format json is simulated".into());
    }
    let wanted: i64 = text("limit")
        .unwrap_or("1")
        .parse()
        .map_err(|_| "limit is not a number")?;
    let pattern = match text("date_format") {
        None | Some("") => None,
        Some("us") => Some("%m-%d-%Y"),
        Some("cn" | "kr") => Some("%Y-%m-%d"),
        Some("world") => Some("%d-%m-%Y"),
        Some(other) => return Err(format!("unknown date_format {other:?}")),
    };

    let now = scene.now();
    let today = now.as_second().div_euclid(SECONDS_PER_DAY);
    let oldest = if wanted <= 0 {
        FIRST_DAY
    } else {
        today.saturating_sub(wanted - 1)
    };
    let value = |day: i64| {
        let mut value = value(scene.mood(day), day, pattern);
        if day == today {
            let left = (today + 1) * SECONDS_PER_DAY - now.as_second();
            value["time_until_update"] = json!(left.to_string());
        }
        value
    };
    let data: Vec<Value> = (oldest.max(FIRST_DAY)..=today).rev().map(value).collect();
    Ok(json!({"name": "Fear and Greed Index", "data": data, "metadata": {"error": null}}))
}

fn value(mood: u8, day: i64, pattern: Option<&str>) -> Value {
    let seconds = day * SECONDS_PER_DAY;
    let timestamp = match pattern {
        None => seconds.to_string(),
        Some(pattern) => Timestamp::from_second(seconds)
            .expect("the day holds the present or is earlier, and after 2018")
            .to_zoned(TimeZone::UTC)
            .strftime(pattern)
            .to_string(),
    };
    json!({
        "value": mood.to_string(),
        "value_classification": label(mood),
        "timestamp": timestamp,
    })
}

/// The borders are not documented; these fit the samples seen.
fn label(mood: u8) -> &'static str {
    match mood {
        0..=25 => "Extreme Fear",
        26..=46 => "Fear",
        47..=54 => "Neutral",
        55..=75 => "Greed",
        _ => "Extreme Greed",
    }
}
