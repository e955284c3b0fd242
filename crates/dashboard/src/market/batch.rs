//! What one or more sources gave for a group of figures.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;

use super::{
    error::UpstreamError,
    figure::{Figure, Reason, Sample, Value},
    source::Source,
};

/// A figure's value and when it was so, or why there is none.
pub(crate) type Checked = Result<(Value, Timestamp), Reason>;

/// For each figure a sample, or why there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) figures: HashMap<Figure, Result<Sample, Reason>>,
    /// How long the source itself says that this lasts.
    pub(crate) lasts: Option<Duration>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Writes down what a source said of a figure. What is past its hard time when it comes is none.
    pub(crate) fn note(
        &mut self,
        figure: Figure,
        source: Source,
        received_at: Timestamp,
        checked: Checked,
    ) {
        let sample = checked.map(|(value, observed_at)| Sample {
            value,
            source,
            observed_at,
            received_at,
        });
        let group = figure.group();
        let timely = sample.and_then(|sample| {
            if sample.age(group, received_at) <= group.hard() {
                Ok(sample)
            } else {
                Err(Reason::TooOld)
            }
        });
        self.figures.insert(figure, timely);
    }

    pub(crate) fn has_value(&self) -> bool {
        self.figures.values().any(Result::is_ok)
    }

    /// The figures without a value.
    pub(crate) fn lacks<'a>(&'a self, wanted: &'a [Figure]) -> impl Iterator<Item = Figure> + 'a {
        let has = |figure: &Figure| matches!(self.figures.get(figure), Some(Ok(_)));
        wanted.iter().copied().filter(move |figure| !has(figure))
    }

    /// An answer with nothing good in it is a failed read.
    pub(crate) fn or_rejected(self) -> Result<Self, UpstreamError> {
        if self.has_value() {
            return Ok(self);
        }
        let reasons = self.figures.values().filter_map(|read| read.as_ref().err());
        let first = reasons.copied().next().unwrap_or(Reason::NotInAnswer);
        Err(UpstreamError::Rejected(first))
    }

    /// Writes down why a source gave nothing for these figures, where none before it said why.
    pub(crate) fn go_without(&mut self, figures: &[Figure], reason: Reason) {
        for &figure in figures {
            self.figures.entry(figure).or_insert(Err(reason));
        }
    }

    /// Takes what another source gave where this has nothing. Why there is nothing stays what the
    /// source said that was asked first.
    pub(crate) fn complete_with(&mut self, other: Self) {
        for (figure, read) in other.figures {
            let is_better = match self.figures.get(&figure) {
                None => true,
                Some(own) => own.is_err() && read.is_ok(),
            };
            if is_better {
                self.figures.insert(figure, read);
            }
        }
        self.lasts = self.lasts.into_iter().chain(other.lasts).min();
    }
}
