//! What a Prometheus server collects. Rooms count for themselves; here their counts get names.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use prometheus::{IntCounterVec, Opts, Registry, TEXT_FORMAT, TextEncoder};

use super::Site;

/// `GET /metrics`, in Prometheus' text format 0.0.4.
pub(crate) async fn metrics(State(site): State<Site>) -> Response {
    let text = text(&site).expect("the names below are sound, and each is given once");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, text).into_response()
}

fn text(site: &Site) -> prometheus::Result<String> {
    let registry = Registry::new();
    let sources = site.service.own_sources();
    let calls = sources
        .iter()
        .map(|report| (report.source.name(), report.calls));
    let answers = site.service.answers().by_origin();
    for (name, help, label, counts) in [
        (
            "upstream_calls_total",
            "Calls made to a source since start.",
            "source",
            calls.collect(),
        ),
        (
            "answers_total",
            "Readers' questions answered since start, by who had the answer.",
            "origin",
            answers.to_vec(),
        ),
    ] {
        let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
        for (value, count) in counts {
            counters.with_label_values(&[value]).inc_by(count);
        }
        registry.register(Box::new(counters))?;
    }
    TextEncoder::new().encode_to_string(&registry.gather())
}
