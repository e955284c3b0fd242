//! Wrong values in a right answer.

use serde_json::{Value, json};

use crate::fault::Poison;
use crate::source::Source;

/// Fields that are no figures: times, counts and texts a client may need to get as far as the figures.
const NO_FIGURES: [&str; 12] = [
    "symbol",
    "updated_at",
    "last_updated_at",
    "timestamp",
    "time_until_update",
    "openTime",
    "closeTime",
    "market_cap_rank",
    "trade_id",
    "status",
    "backtrack",
    "t",
];

/// The first whole number in a tuple that is at least this is its time, in seconds or milliseconds.
const FIRST_MOMENT: i64 = 1_000_000_000;

/// Which values become what.
#[derive(Debug)]
pub(super) struct Spoiler<'a> {
    source: Source,
    poison: Poison,
    /// `None`: all figures.
    field: Option<&'a str>,
}

impl<'a> Spoiler<'a> {
    pub(super) fn all(source: Source, poison: Poison) -> Self {
        Self {
            source,
            poison,
            field: None,
        }
    }

    pub(super) fn field(source: Source, poison: Poison, field: &'a str) -> Self {
        Self {
            source,
            poison,
            field: Some(field),
        }
    }

    pub(super) fn spoil(&self, value: &mut Value) {
        match self.field {
            None => self.spoil_figures(value),
            Some(field) => self.spoil_field(value, field),
        }
    }

    fn spoil_figures(&self, value: &mut Value) {
        match value {
            Value::Array(items) => {
                let is_tuple = items.len() > 1;
                let has_time = is_tuple && items[0].as_i64().is_some_and(|at| at >= FIRST_MOMENT);
                let figures = items.iter_mut().skip(usize::from(has_time));
                figures.for_each(|item| self.spoil_figures(item));
            }
            Value::Object(fields) => {
                let figures = fields
                    .iter_mut()
                    .filter(|(name, _)| !NO_FIGURES.contains(&name.as_str()));
                figures.for_each(|(_, field)| self.spoil_figures(field));
            }
            leaf if self.is_figure(leaf) => *leaf = self.spoiled(leaf),
            _ => {}
        }
    }

    fn spoil_field(&self, value: &mut Value, field: &str) {
        match value {
            Value::Array(items) => {
                for (place, item) in items.iter_mut().enumerate() {
                    if item.is_object() || item.is_array() {
                        self.spoil_field(item, field);
                    } else if place.to_string() == field {
                        *item = self.spoiled(item);
                    }
                }
            }
            Value::Object(fields) => {
                for (name, item) in fields.iter_mut() {
                    if name == field {
                        *item = self.spoiled(item);
                    } else {
                        self.spoil_field(item, field);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether this is a figure. Who writes figures as text uses numbers for times and counts.
    fn is_figure(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text.parse::<f64>().is_ok(),
            Value::Number(_) => !matches!(
                self.source,
                Source::Binance | Source::BinanceWs | Source::Fng | Source::Kraken
            ),
            _ => false,
        }
    }

    fn spoiled(&self, right: &Value) -> Value {
        match (self.poison, right) {
            (Poison::Negative, Value::String(text)) => {
                json!(format!("-{}", text.trim_start_matches('-')))
            }
            (Poison::Negative, number) => json!(-number.as_f64().unwrap_or(1.0).abs()),
            (Poison::Zero, Value::String(_)) => json!("0.00000000"),
            (Poison::Zero, _) => json!(0),
            (Poison::Nan, _) => json!("NaN"),
            (Poison::Text, _) => json!("abc"),
            (Poison::Empty, _) => json!(""),
            (Poison::Huge, _) => json!("1e999"),
            (Poison::Null, _) => Value::Null,
            (Poison::WrongType, Value::String(text)) => {
                json!(text.parse::<f64>().unwrap_or_default())
            }
            (Poison::WrongType, other) => json!(other.to_string()),
            (Poison::Listed, right) => json!([right]),
        }
    }
}
