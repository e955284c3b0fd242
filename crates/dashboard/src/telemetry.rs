//! Logs: which lines are written, and in what form.

use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::setting::LogFormat;

/// Understands a filter of levels and targets. Span filters are not taken: they would bring in
/// a regular expression engine, some 20 s of a cold build.
pub fn parse_filter(text: &str) -> Option<Targets> {
    text.parse().ok()
}

/// Starts writing log lines to standard error. A second call changes nothing, so that tests may
/// share a process.
pub fn start(filter: &str, format: LogFormat) {
    let targets = parse_filter(filter).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let started = match format {
        LogFormat::Text => Registry::default().with(lines.with_filter(targets)).try_init(),
        LogFormat::Json => {
            Registry::default().with(lines.json().with_filter(targets)).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("log lines are already being written");
    }
}
