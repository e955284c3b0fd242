//! What has to be told of an outage, figure by figure and source by source.

use std::collections::HashMap;

use dashboard::market::figure::{Figure, Group, Reason, Source as Of};
use serde_json::{Value, json};

use super::{
    doubt::{is_doubted, said},
    failure::is_left_alone,
    queue::{Found, Known, Outage, figures, first},
    truth::Truths,
};

/// Two computations of one RSI, over different numbers of bars.
const RSI_TOLERANCE: f64 = 1e-6;
/// Two computations of one percentage.
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// What has to be told of one figure.
struct Expected {
    status: &'static str,
    source: Of,
    error: Option<Reason>,
    value: Option<Value>,
}

/// What the summary says otherwise than it should.
pub(crate) fn summary_flaws(
    summary: &Value,
    outage: &Outage,
    known: Known,
    truths: &Truths,
) -> Vec<String> {
    let mut flaws = Flaws::default();
    let mut sources: HashMap<Group, Vec<&str>> = HashMap::new();
    let mut is_partial = false;
    for figure in figures() {
        let expected = Expected::of(figure, outage, known, truths);
        flaws.check(summary, figure, &expected);
        is_partial |= !expected.is_whole(figure);
        let sources = sources.entry(figure.group()).or_default();
        let name = expected.source.name();
        if expected.value.is_some() && !sources.contains(&name) {
            sources.push(name);
        }
    }
    for (group, mut names) in sources {
        if names.is_empty() {
            names.push(asked_first(group).name());
        }
        let told = &summary["data_sources"][group.name()];
        flaws.expect(group.name(), told, &json!(names.join(",")));
    }
    flaws.expect(
        "partial_failure",
        &summary["partial_failure"],
        &json!(is_partial),
    );
    flaws.0
}

impl Expected {
    fn of(figure: Figure, outage: &Outage, known: Known, truths: &Truths) -> Self {
        let first = first(figure);
        let last_good = || truths.before.said(first, figure).clone();
        let is_doubted = is_doubted(figure, outage, known, truths);
        let (status, source, error, value) = match (outage.found(figure), known) {
            (Found::Said(of), _) if !is_doubted => {
                ("fresh", of, None, Some(said(truths, of, figure, outage)))
            }
            // Nobody knows who is right: what there is is shown, and marked.
            (Found::Said(of), Known::Nothing) => {
                let value = said(truths, of, figure, outage);
                ("stale", of, Some(Reason::SourcesDisagree), Some(value))
            }
            (Found::Said(_), Known::Everything) => {
                let error = Some(Reason::SourcesDisagree);
                ("stale", first, error, Some(last_good()))
            }
            (Found::Nothing(reason), Known::Everything) => {
                ("stale", first, Some(reason), Some(last_good()))
            }
            (Found::Nothing(reason), Known::Nothing) => ("missing", first, Some(reason), None),
        };
        Self {
            status,
            source,
            error,
            value,
        }
    }

    /// Whether nobody had to stand in.
    fn is_whole(&self, figure: Figure) -> bool {
        self.status == "fresh" && self.source == first(figure)
    }
}

/// What `/api/v1/sources` says otherwise than it should.
pub(crate) fn sources_flaws(
    sources: &Value,
    outage: &Outage,
    known: Known,
    calls_of: impl Fn(Of) -> u64,
) -> Vec<String> {
    let mut flaws = Flaws::default();
    let told = sources["sources"].as_array().expect("a list");
    for of in Of::ALL {
        let name = of.name();
        let told = told.iter().find(|one| one["source"] == name);
        let told = told.unwrap_or(&Value::Null);
        let troubles = outage.troubles(of);
        let is_asked = outage.is_asked(of);
        let was_asked = known == Known::Everything && Outage::none().is_asked(of);
        flaws.expect(&format!("state of {name}"), &told["state"], &json!("on"));
        flaws.expect(
            &format!("breaker of {name}"),
            &told["breaker"],
            &json!("closed"),
        );
        flaws.expect(
            &format!("calls of {name}"),
            &told["calls"],
            &json!(calls_of(of)),
        );
        if (calls_of(of) > 0) != (is_asked || was_asked) {
            flaws.add(format!("{name} was called {} times", calls_of(of)));
        }
        let error = &told["last_error"];
        if troubles.is_empty() {
            flaws.expect(&format!("error of {name}"), error, &Value::Null);
            flaws.expect(
                &format!("failed reads of {name}"),
                &told["failed_reads"],
                &json!(0),
            );
            let has_succeeded = json!(told["last_success"].is_string());
            let should = json!(is_asked || was_asked);
            flaws.expect(&format!("success of {name}"), &has_succeeded, &should);
        } else if !troubles.iter().any(|reason| *error == reason.code()) {
            flaws.add(format!(
                "error of {name} is {error} and none of {troubles:?}"
            ));
        }
        let is_cooling = json!(told["cooling_until"].is_string());
        let is_left_alone = outage.failing.contains(&of)
            && !troubles.is_empty()
            && is_left_alone(&outage.failure.0);
        flaws.expect(
            &format!("cooling of {name}"),
            &is_cooling,
            &json!(is_left_alone),
        );
    }
    flaws.0
}

#[derive(Default)]
struct Flaws(Vec<String>);

impl Flaws {
    fn check(&mut self, summary: &Value, figure: Figure, expected: &Expected) {
        let name = figure.name();
        let field = &summary["fields"][&name];
        let error = expected.error.map(Reason::code);
        for (member, value) in [
            ("status", json!(expected.status)),
            ("source", json!(expected.source.name())),
            ("error", json!(error)),
            ("quote", quote(figure, expected.source)),
        ] {
            self.expect(&format!("{member} of {name}"), &field[member], &value);
        }
        let told = summary.pointer(&format!("/{}", name.replace('.', "/")));
        let told = told.unwrap_or(&Value::Null);
        if !is_same(figure, told, expected.value.as_ref()) {
            self.add(format!("{name} is {told} and not {:?}", expected.value));
        }
        if let Some(alias) = figure.alias() {
            self.expect(alias, &summary[alias], told);
        }
    }

    fn add(&mut self, flaw: String) {
        self.0.push(flaw);
    }

    fn expect(&mut self, what: &str, told: &Value, expected: &Value) {
        if told != expected {
            self.add(format!("{what} is {told} and not {expected}"));
        }
    }
}

/// Who is named where nobody says anything.
fn asked_first(group: Group) -> Of {
    let mut figures = figures().into_iter();
    let figure = figures.find(|figure| figure.group() == group);
    first(figure.expect("a group has figures"))
}

fn quote(figure: Figure, of: Of) -> Value {
    match figure {
        Figure::Price(_) if of == Of::Binance => json!("USDT"),
        Figure::Price(_) | Figure::FundPrice(_) => json!("USD"),
        _ => Value::Null,
    }
}

fn is_same(figure: Figure, told: &Value, expected: Option<&Value>) -> bool {
    let Some(expected) = expected else {
        return told.is_null();
    };
    match (told.as_f64(), expected.as_f64()) {
        (Some(told), Some(expected)) => {
            let tolerance = match figure {
                Figure::BtcRsi14 => RSI_TOLERANCE,
                _ => expected.abs() * RELATIVE_TOLERANCE,
            };
            (told - expected).abs() <= tolerance
        }
        _ => told == expected,
    }
}
