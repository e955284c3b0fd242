//! One figure as the page shows it: its text, its age, and why it is not newer.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;

use crate::market::figure::{Figure, Reason, State, Value};
use crate::market::summary::{Origin, Summary};

use super::numbers::{self, NOTHING};

/// A figure, ready for the template.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Its name in the JSON.
    pub(crate) name: String,
    /// The number behind the text, if it is one.
    pub(crate) number: Option<f64>,
    /// What is read.
    pub(crate) text: String,
    /// `up`, `down` or `flat`, for figures that are a change.
    pub(crate) way: &'static str,
    /// What stands beside it about its age.
    pub(crate) mark: Mark,
}

/// What is said of the age and the state of a figure, or of figures that stand together.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    /// The names of the figures in the JSON, with spaces between them.
    pub(crate) names: String,
    /// `fresh`, `stale` or `missing`.
    pub(crate) status: &'static str,
    /// When the source says it was so.
    observed_at: Option<Timestamp>,
    /// Age and state in words.
    pub(crate) text: String,
    /// What the pointer is told.
    pub(crate) title: String,
    /// Why it is stale or missing; empty if it is neither.
    pub(crate) why: String,
}

impl Shown {
    /// `form` writes a number; a text is shown as it was received.
    pub(crate) fn of(
        summary: &Summary,
        figure: Figure,
        form: fn(f64) -> String,
        now: Timestamp,
    ) -> Self {
        let state = summary
            .state(figure)
            .unwrap_or(&State::Missing(Reason::NotAskedYet));
        let sample = state.sample();
        let number = match sample.map(|sample| &sample.value) {
            Some(Value::Number(number)) => Some(*number),
            Some(Value::Whole(number)) => Some(f64::from(*number)),
            Some(Value::Text(_)) | None => None,
        };
        let text = match (number, sample.map(|sample| &sample.value)) {
            (Some(number), _) => form(number),
            (None, Some(Value::Text(text))) => text.clone(),
            (None, _) => NOTHING.to_owned(),
        };
        let age = sample
            .map(|sample| age_at(sample.observed_at, now))
            .unwrap_or_default();
        let source = match summary.origin() {
            Origin::Live => sample
                .map_or(figure.group().first_source(), |sample| sample.source)
                .name(),
            Origin::Simulated => "simulated",
        };
        let why = state
            .reason()
            .map(|reason| format!("{source}: {}", words(reason)));
        let mark = Mark {
            names: figure.name(),
            status: state.status(),
            observed_at: sample.map(|sample| sample.observed_at),
            text: match state {
                State::Fresh(_) => format!("{age} ago"),
                State::Stale(..) => format!("stale {age}"),
                State::Missing(_) => "missing".to_owned(),
            },
            title: why.clone().unwrap_or_else(|| format!("Source: {source}")),
            why: why.unwrap_or_default(),
        };
        Self {
            name: figure.name(),
            way: number.map_or("flat", numbers::direction),
            number,
            text,
            mark,
        }
    }
}

impl Mark {
    /// The mark of two figures that stand together: that of the worse, or else of the older.
    /// `static/freshness.js` picks the same one.
    pub(crate) fn of_pair(first: &Shown, second: &Shown) -> Self {
        let (first, second) = (&first.mark, &second.mark);
        let worst = if second.rank() < first.rank() {
            second
        } else {
            first
        };
        Self {
            names: format!("{} {}", first.names, second.names),
            ..worst.clone()
        }
    }

    /// When the source says it was so; RFC 3339 or empty.
    pub(crate) fn moment(&self) -> String {
        self.observed_at
            .map(|moment| moment.to_string())
            .unwrap_or_default()
    }

    /// The worse, the lower.
    fn rank(&self) -> (Reverse<usize>, Option<Timestamp>) {
        let badness = ["fresh", "stale", "missing"]
            .iter()
            .position(|status| *status == self.status);
        (Reverse(badness.unwrap_or(0)), self.observed_at)
    }
}

/// The age of `moment`; a source's clock may run ahead of ours, which is no age.
pub(crate) fn age_at(moment: Timestamp, now: Timestamp) -> String {
    let millis = now.as_millisecond() - moment.as_millisecond();
    numbers::age(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// Every reason; one that is added and forgotten here is shown by its code.
pub(crate) const REASONS: [Reason; 21] = [
    Reason::NotAskedYet,
    Reason::TimedOut,
    Reason::NotReachable,
    Reason::RateLimited,
    Reason::CoolingDown,
    Reason::BreakerOpen,
    Reason::OverBudget,
    Reason::NotReady,
    Reason::Refused,
    Reason::ServerFailed,
    Reason::Redirected,
    Reason::TooLarge,
    Reason::NotDecodable,
    Reason::OutOfRange,
    Reason::NotInAnswer,
    Reason::TooFewBars,
    Reason::BarsBroken,
    Reason::FlatWindow,
    Reason::SourcesDisagree,
    Reason::TooOld,
    Reason::Failed,
];

/// A reason, for people.
pub(crate) fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::NotAskedYet => "not asked yet",
        Reason::TimedOut => "no answer in time",
        Reason::NotReachable => "not reachable",
        Reason::RateLimited => "asked us to slow down",
        Reason::CoolingDown => "left alone for a while, as it asked",
        Reason::BreakerOpen => "left alone after repeated failures",
        Reason::OverBudget => "not asked, to keep within its limits",
        Reason::NotReady => "still computing",
        Reason::Refused => "refused the request",
        Reason::ServerFailed => "failed on its side",
        Reason::Redirected => "sent us elsewhere",
        Reason::TooLarge => "answer too large",
        Reason::NotDecodable => "answer not understood",
        Reason::OutOfRange => "answer out of range",
        Reason::NotInAnswer => "not in the answer",
        Reason::TooFewBars => "too few closed bars",
        Reason::BarsBroken => "bars with gaps",
        Reason::FlatWindow => "price did not move",
        Reason::SourcesDisagree => "contradicted by another source",
        Reason::TooOld => "not renewed in time",
        Reason::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, status: &'static str, second: Option<i64>) -> Shown {
        let why = if status == "fresh" { "" } else { name };
        Shown {
            name: name.to_owned(),
            number: None,
            text: String::new(),
            way: "flat",
            mark: Mark {
                names: name.to_owned(),
                status,
                observed_at: second.map(|s| Timestamp::from_second(s).expect("a small number")),
                text: status.to_owned(),
                title: why.to_owned(),
                why: why.to_owned(),
            },
        }
    }

    #[test]
    fn a_pair_is_marked_by_its_worse_figure_in_either_order() {
        let fresh = shown("fresh", "fresh", Some(9));
        let stale = shown("stale", "stale", Some(5));
        let older = shown("older", "stale", Some(3));
        let missing = shown("missing", "missing", None);
        for (better, worse) in [
            (&fresh, &stale),
            (&fresh, &missing),
            (&stale, &older),
            (&stale, &missing),
        ] {
            for (first, second) in [(better, worse), (worse, better)] {
                let mark = Mark::of_pair(first, second);
                assert_eq!(mark.status, worse.mark.status);
                assert_eq!(mark.why, worse.name);
                assert_eq!(mark.moment(), worse.mark.moment());
                assert_eq!(mark.names, format!("{} {}", first.name, second.name));
            }
        }
    }
}
