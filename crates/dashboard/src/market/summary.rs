//! The summary that is cached, served and broadcast: its stored form, and its JSON.

use std::sync::OnceLock;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use super::{
    figure::{Figure, Group, Reading, Sample, State, Value},
    source::Source,
    stock::Fund,
};

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

    /// Whether some source failed: a figure is stale or missing, or another source stood in.
    pub fn is_partial(&self) -> bool {
        self.readings.iter().any(|reading| match &reading.state {
            State::Fresh(sample) => sample.source != reading.figure.group().first_source(),
            State::Stale(..) | State::Missing(_) => true,
        })
    }

    /// Who said a group's figures; who would be asked first, if nobody did.
    pub fn sources_of(&self, group: Group) -> Vec<Source> {
        let of_group = self.readings.iter().filter(|r| r.figure.group() == group);
        let mut sources = Vec::new();
        for sample in of_group.filter_map(|reading| reading.state.sample()) {
            if !sources.contains(&sample.source) {
                sources.push(sample.source);
            }
        }
        if sources.is_empty() {
            sources.push(group.first_source());
        }
        sources
    }
}

/// The JSON of a summary.
struct Rendered<'a>(&'a Summary);

impl Serialize for Rendered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let summary = self.0;
        let mut map = serializer.serialize_map(None)?;
        let flat = |reading: &&Reading| reading.figure.group() != Group::UsStocks;
        for reading in summary.readings.iter().filter(flat) {
            let value = reading.state.sample().map(|sample| &sample.value);
            map.serialize_entry(&reading.figure.name(), &RenderedValue(value))?;
            if let Some(alias) = reading.figure.alias() {
                map.serialize_entry(alias, &RenderedValue(value))?;
            }
        }
        map.serialize_entry(Group::UsStocks.name(), &RenderedFunds(summary))?;
        map.serialize_entry("fetch_duration_ms", &summary.fetch_duration_ms)?;
        map.serialize_entry("partial_failure", &summary.is_partial())?;
        map.serialize_entry("last_updated", &summary.last_updated)?;
        map.serialize_entry("data_sources", &RenderedSources(summary))?;
        map.serialize_entry("fields", &RenderedFields(summary))?;
        map.end()
    }
}

/// By what they are traded as; empty without a key.
struct RenderedFunds<'a>(&'a Summary);

impl Serialize for RenderedFunds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for fund in Fund::ALL {
            let state = |figure| self.0.state(figure);
            let (Some(price), Some(change)) = (
                state(Figure::FundPrice(fund)),
                state(Figure::FundChange(fund)),
            ) else {
                continue;
            };
            map.serialize_entry(
                fund.code(),
                &RenderedFund {
                    fund,
                    price,
                    change,
                },
            )?;
        }
        map.end()
    }
}

struct RenderedFund<'a> {
    fund: Fund,
    price: &'a State,
    change: &'a State,
}

impl Serialize for RenderedFund<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = |state: &'_ State| state.sample().map(|sample| sample.value.clone());
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", self.fund.name())?;
        map.serialize_entry("price", &RenderedValue(value(self.price).as_ref()))?;
        map.serialize_entry(
            "change_percent",
            &RenderedValue(value(self.change).as_ref()),
        )?;
        map.end()
    }
}

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

struct RenderedSources<'a>(&'a Summary);

impl Serialize for RenderedSources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_shown = |group: &Group| {
            let mut readings = self.0.readings.iter();
            readings.any(|reading| reading.figure.group() == *group)
        };
        let mut map = serializer.serialize_map(None)?;
        for group in Group::ALL.into_iter().filter(is_shown) {
            match self.0.origin {
                Origin::Live => {
                    let names = self.0.sources_of(group).into_iter().map(Source::name);
                    let names: Vec<&str> = names.collect();
                    map.serialize_entry(group.name(), &names.join(","))?;
                }
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
        let source = sample.map_or(reading.figure.group().first_source(), |sample| {
            sample.source
        });
        Self {
            status: reading.state.status(),
            source: match summary.origin {
                Origin::Live => source.name(),
                Origin::Simulated => "simulated",
            },
            observed_at: sample.map(|sample| sample.observed_at),
            age_ms: sample.map(|sample| age_ms(sample, summary.last_updated)),
            quote: reading.figure.quote(source),
            error: reading.state.reason().map(super::figure::Reason::code),
        }
    }
}

/// A source's clock may run ahead of ours: an age is never negative.
fn age_ms(sample: &Sample, at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond() - sample.observed_at.as_millisecond()).unwrap_or(0)
}
