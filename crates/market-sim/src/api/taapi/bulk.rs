//! Several calculations at once; one that fails says so beside the others.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::calculation::{self, Parameters, Series};
use super::{Refusal, check_secret};
use crate::scene::Scene;

const MAX_CALCULATIONS: usize = 20;

#[derive(Deserialize)]
struct Bulk {
    secret: Option<String>,
    construct: Constructs,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Constructs {
    One(Construct),
    Several(Vec<Construct>),
}

/// Calculations over the same candles.
#[derive(Deserialize)]
struct Construct {
    exchange: String,
    symbol: String,
    interval: String,
    indicators: Vec<Map<String, Value>>,
}

pub(super) fn answer(scene: &Scene<'_>, body: &[u8]) -> Result<Value, Refusal> {
    let unreadable = |error: serde_json::Error| Refusal::Bad(format!("reading the body: {error}"));
    let bulk: Bulk = serde_json::from_slice(body).map_err(unreadable)?;
    check_secret(bulk.secret.as_deref())?;
    let constructs = match bulk.construct {
        Constructs::One(construct) => vec![construct],
        Constructs::Several(constructs) => constructs,
    };
    let wanted: usize = constructs
        .iter()
        .map(|construct| construct.indicators.len())
        .sum();
    if wanted > MAX_CALCULATIONS {
        return Err(Refusal::Bad(format!(
            "more than {MAX_CALCULATIONS} calculations"
        )));
    }
    let results = constructs
        .iter()
        .flat_map(|construct| construct.results(scene));
    Ok(json!({"data": results.collect::<Vec<_>>()}))
}

impl Construct {
    fn results(&self, scene: &Scene<'_>) -> Vec<Value> {
        let result = |indicator: &Map<String, Value>| {
            let parameters = as_text(indicator);
            let (result, errors) = match self.result(scene, &parameters) {
                Ok(result) => (result, Vec::new()),
                Err(sentence) => (json!({}), vec![sentence]),
            };
            json!({"id": self.id(indicator, &parameters), "result": result, "errors": errors})
        };
        self.indicators.iter().map(result).collect()
    }

    fn result(&self, scene: &Scene<'_>, parameters: &Parameters) -> Result<Value, String> {
        let name = parameters
            .get("indicator")
            .ok_or("the indicator is not named")?;
        let series = Series::read(
            Some(&self.exchange),
            Some(&self.symbol),
            Some(&self.interval),
        )?;
        calculation::result(scene, &series, name, parameters)
    }

    /// The id that was given, or one made of everything that was asked for.
    fn id(&self, indicator: &Map<String, Value>, parameters: &Parameters) -> String {
        let text = |name: &str| parameters.get(name).map_or("", String::as_str);
        if !text("id").is_empty() {
            return text("id").to_owned();
        }
        let mut parts = vec![
            self.exchange.as_str(),
            &self.symbol,
            &self.interval,
            text("indicator"),
        ];
        let own = indicator
            .keys()
            .filter(|name| !["id", "indicator", "backtrack"].contains(&name.as_str()));
        parts.extend(own.map(|name| text(name)));
        parts.push(match text("backtrack") {
            "" => "0",
            back => back,
        });
        parts.join("_")
    }
}

/// The parameters as a query would have them.
fn as_text(indicator: &Map<String, Value>) -> Parameters {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    indicator
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}
