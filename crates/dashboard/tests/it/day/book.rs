//! What the market truly said.

use std::collections::HashSet;

use dashboard::market::figure::Source as Of;
use market_sim::Source;
use serde_json::Value;

use crate::stand::simulated;

/// Every number that a source said while it did not lie.
#[derive(Debug, Default)]
pub(crate) struct Book(HashSet<(Source, u64)>);

impl Book {
    /// Candles are left out: what is made of them is reckoned anew by who checks it.
    pub(crate) fn note(&mut self, source: Source, path: &str, body: &[u8]) {
        let is_candles = ["klines", "candles", "OHLC"]
            .iter()
            .any(|word| path.ends_with(word));
        if is_candles {
            return;
        }
        // What is no JSON is no number either.
        if let Ok(json) = serde_json::from_slice(body) {
            self.note_all(source, &json);
        }
    }

    pub(crate) fn has(&self, source: Of, number: f64) -> bool {
        self.0.contains(&(simulated(source), number.to_bits()))
    }

    fn note_all(&mut self, source: Source, json: &Value) {
        match json {
            Value::Array(items) => items.iter().for_each(|item| self.note_all(source, item)),
            Value::Object(fields) => {
                fields
                    .values()
                    .for_each(|field| self.note_all(source, field));
                // Coinbase has no change over 24 hours, but what it is made of.
                let field = |name: &str| fields.get(name).and_then(number);
                if let (Some(open), Some(last)) = (field("open"), field("last")) {
                    self.note_number(source, (last - open) / open * 100.0);
                }
            }
            leaf => {
                if let Some(number) = number(leaf) {
                    self.note_number(source, number);
                }
            }
        }
    }

    fn note_number(&mut self, source: Source, number: f64) {
        self.0.insert((source, number.to_bits()));
    }
}

/// Numbers stand in texts, too.
fn number(json: &Value) -> Option<f64> {
    match json {
        Value::String(text) => text.parse().ok(),
        json => json.as_f64(),
    }
}
