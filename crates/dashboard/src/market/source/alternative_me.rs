//! alternative.me: the Fear & Greed index, one value a day.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::Source;
use crate::market::{
    batch::Batch,
    checked::{decimal, label, seconds},
    error::UpstreamError,
    figure::{Figure, Group, Reason, Value},
    upstream::{Ask, Upstream},
};

/// The source is asked again at the latest after this, whatever it says.
const LONGEST: Duration = Duration::from_secs(3_600);
/// What the source may take to publish after the moment that it names.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    error: Option<Json>,
}

#[derive(Deserialize)]
struct Entry {
    value: Option<Json>,
    value_classification: Option<Json>,
    timestamp: Option<Json>,
    time_until_update: Option<Json>,
}

/// The newest value, with the label as received: the borders between labels are not documented.
pub(crate) async fn fear_greed(
    upstream: &Upstream,
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let ask = Ask::new(Group::FearGreed, "/fng/").query("limit", "1");
    let answer: Answer = upstream.read(&ask, deadline).await?;
    let error = answer.metadata.and_then(|metadata| metadata.error);
    if error.is_some_and(|error| !error.is_null()) {
        return Err(UpstreamError::Rejected(Reason::Refused));
    }
    let entry = answer
        .data
        .first()
        .ok_or(UpstreamError::Rejected(Reason::NotInAnswer))?;
    let at = whole::<i64>(entry.timestamp.as_ref()).and_then(seconds);
    let value = decimal(entry.value.as_ref()).and_then(index);
    let text = label(entry.value_classification.as_ref());
    // The label names the value: neither is taken without the other.
    let both = value.and_then(|value| Ok((value, named(value, text?)?, at?)));
    let now = upstream.now();
    let mut batch = Batch::new();
    let number = both
        .as_ref()
        .map(|(value, _, at)| (Value::Whole(*value), *at));
    let number = number.map_err(|reason| *reason);
    batch.note(Figure::FearGreed, Source::AlternativeMe, now, number);
    let text = both.map(|(_, text, at)| (Value::Text(text), at));
    batch.note(Figure::FearGreedLabel, Source::AlternativeMe, now, text);
    let said = whole::<u64>(entry.time_until_update.as_ref()).ok();
    let lasts = said.map_or(LONGEST, |s| {
        Duration::from_secs(s).saturating_add(GRACE).min(LONGEST)
    });
    batch.lasts = Some(lasts);
    batch.or_rejected()
}

/// A whole number from 0 to 100.
fn index(number: f64) -> Result<u32, Reason> {
    (0..=100)
        .find(|&whole| f64::from(whole) == number)
        .ok_or(Reason::OutOfRange)
}

/// The label, if it can be the value's: whatever the borders are, the ends of the scale are extreme.
fn named(value: u32, label: String) -> Result<String, Reason> {
    let is_end = matches!(value, 0 | 100);
    if is_end && !label.starts_with("Extreme") {
        return Err(Reason::OutOfRange);
    }
    Ok(label)
}

/// Every number of this source is a string.
fn whole<T: std::str::FromStr>(json: Option<&Json>) -> Result<T, Reason> {
    let json = json
        .filter(|json| !json.is_null())
        .ok_or(Reason::NotInAnswer)?;
    let text = json.as_str().ok_or(Reason::NotDecodable)?;
    text.trim().parse().map_err(|_| Reason::NotDecodable)
}
