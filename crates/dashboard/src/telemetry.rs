//! Logs: which lines are written, and in what form.

use std::error::Error;

use tracing_subscriber::{
    Layer as _, Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::setting::LogFormat;

/// Understands a filter of levels and `target=level`. Span filters are not taken: they would bring
/// in a regular expression engine, some 20 s of a cold build. A bare word must be a level, or a
/// slip of the pen (`inof`) would be a target's name and silence everything else.
pub fn parse_filter(text: &str) -> Option<Targets> {
    let is_span = |part: &str| part.contains(['[', ']', '{', '}']);
    let is_level = |part: &str| part.trim().parse::<LevelFilter>().is_ok();
    let is_sound = |part: &str| !is_span(part) && (part.contains('=') || is_level(part));
    text.split(',')
        .all(is_sound)
        .then(|| text.parse().ok())
        .flatten()
}

/// Starts writing log lines to standard error. A second call changes nothing, so that tests may
/// share a process.
pub fn start(filter: &str, format: LogFormat) {
    let targets = parse_filter(filter).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match format {
        LogFormat::Text => Registry::default()
            .with(lines.with_filter(targets))
            .try_init(),
        LogFormat::Json => Registry::default()
            .with(lines.json().with_filter(targets))
            .try_init(),
    };
    if started.is_err() {
        tracing::debug!("log lines are already being written");
    }
}

/// An error and its causes on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
