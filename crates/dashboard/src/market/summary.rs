//! The summary that is cached, served and broadcast: its stored form, and its JSON.

use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use super::figure::{Figure, Group, Reading, Sample, State, Value};

/// Whether figures come from the real world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The market APIs.
    Live,
    /// The simulator; every name of a source says so.
    Simulated,
}

/// All figures of one round. Never changes once made: what grows with time is told by the cache.
///
/// The stored form is plain, because postcard does not describe itself; the JSON is rendered from
/// it by [`Summary::body`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    pub(crate) origin: Origin,
    pub(crate) fetch_duration_ms: u64,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub(crate) last_updated: Timestamp,
    pub(crate) readings: Vec<Reading>,
    /// Encoded at most once per value, by whoever needs it first.
    #[serde(skip)]
    body: OnceLock<Bytes>,
}

impl PartialEq for Summary {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin
            && self.fetch_duration_ms == other.fetch_duration_ms
            && self.last_updated == other.last_updated
            && self.readings == other.readings
    }
}

impl Summary {
    pub(crate) fn new(
        origin: Origin,
        last_updated: Timestamp,
        fetch_duration_ms: u64,
        readings: Vec<Reading>,
    ) -> Self {
        Self {
            origin,
            fetch_duration_ms,
            last_updated,
            readings,
            body: OnceLock::new(),
        }
    }

    /// The JSON, as spec'd for `DashboardSummary`. Encoded once; later calls hand out the same bytes.
    pub fn body(&self) -> Bytes {
        self.body
            .get_or_init(|| {
                let encoded = serde_json::to_vec(&Rendered(self))
                    .expect("string keys and plain values always encode");
                Bytes::from(encoded)
            })
            .clone()
    }

    /// When it was made.
    pub const fn last_updated(&self) -> Timestamp {
        self.last_updated
    }

    /// Whether the figures are simulated.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Every figure, in the order of the JSON.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// One figure's state.
    pub fn state(&self, figure: Figure) -> Option<&State> {
        self.readings
            .iter()
            .find(|r| r.figure == figure)
            .map(|r| &r.state)
    }

    /// Whether some figure is missing.
    pub fn has_missing(&self) -> bool {
        self.readings
            .iter()
            .any(|r| matches!(r.state, State::Missing(_)))
    }

    /// Whether any figure has a value.
    pub fn has_value(&self) -> bool {
        self.readings.iter().any(|r| r.state.sample().is_some())
    }

    /// Whether some figure is stale or missing.
    pub fn is_partial(&self) -> bool {
        self.readings
            .iter()
            .any(|r| !matches!(r.state, State::Fresh(_)))
    }
}

/// The JSON of a summary.
struct Rendered<'a>(&'a Summary);

impl Serialize for Rendered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let summary = self.0;
        let mut map = serializer.serialize_map(None)?;
        for reading in &summary.readings {
            let value = reading.state.sample().map(|sample| &sample.value);
            map.serialize_entry(&reading.figure.name(), &RenderedValue(value))?;
            if let Some(alias) = reading.figure.alias() {
                map.serialize_entry(alias, &RenderedValue(value))?;
            }
        }
        map.serialize_entry("us_stock_indices", &NoIndices {})?;
        map.serialize_entry("fetch_duration_ms", &summary.fetch_duration_ms)?;
        map.serialize_entry("partial_failure", &summary.is_partial())?;
        map.serialize_entry("last_updated", &summary.last_updated)?;
        map.serialize_entry("data_sources", &RenderedSources(summary.origin))?;
        map.serialize_entry("fields", &RenderedFields(summary))?;
        map.end()
    }
}

/// Empty without a Finnhub key, and no slice asks Finnhub yet.
#[derive(Serialize)]
struct NoIndices {}

struct RenderedValue<'a>(Option<&'a Value>);

impl Serialize for RenderedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_none(),
            Some(Value::Number(number)) => serializer.serialize_f64(*number),
            Some(Value::Whole(number)) => serializer.serialize_u32(*number),
            Some(Value::Text(text)) => serializer.serialize_str(text),
        }
    }
}

struct RenderedSources(Origin);

impl Serialize for RenderedSources {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for group in Group::ALL {
            match self.0 {
                Origin::Live => map.serialize_entry(group.name(), group.source().name())?,
                Origin::Simulated => map.serialize_entry(group.name(), "simulated")?,
            }
        }
        map.end()
    }
}

struct RenderedFields<'a>(&'a Summary);

impl Serialize for RenderedFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for reading in &self.0.readings {
            let field = Field::of(reading, self.0);
            map.serialize_entry(&reading.figure.name(), &field)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Field {
    status: &'static str,
    source: &'static str,
    observed_at: Option<Timestamp>,
    age_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Field {
    fn of(reading: &Reading, summary: &Summary) -> Self {
        let sample = reading.state.sample();
        Self {
            status: reading.state.status(),
            source: match summary.origin {
                Origin::Live => reading.figure.group().source().name(),
                Origin::Simulated => "simulated",
            },
            observed_at: sample.map(|sample| sample.observed_at),
            age_ms: sample.map(|sample| age_ms(sample, summary.last_updated)),
            quote: reading.figure.quote(),
            error: reading.state.reason().map(super::figure::Reason::code),
        }
    }
}

/// A source's clock may run ahead of ours: an age is never negative.
fn age_ms(sample: &Sample, at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond() - sample.observed_at.as_millisecond()).unwrap_or(0)
}
