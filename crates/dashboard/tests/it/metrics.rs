//! What a Prometheus server is told.

use crate::rig::{Rig, SUMMARY};

/// One sample of the exposition.
fn sample(text: &str, series: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(series))?;
    Some(value.trim().parse().expect("a whole number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_answers_are_counted_and_told() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let reply = rig.get("/metrics").await;
    assert_eq!(reply.status, 200);
    let kind = reply.header("content-type").expect("a content type");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let before = reply.text();
    for name in ["upstream_calls_total", "answers_total"] {
        assert!(
            before.contains(&format!("# TYPE {name} counter")),
            "{before}"
        );
    }
    let tickers = "upstream_calls_total{source=\"binance\"}";
    let (hits, loads) = (
        "answers_total{origin=\"l1\"}",
        "answers_total{origin=\"loader\"}",
    );
    rig.get(SUMMARY).await;
    rig.get("/api/v1/markets/eth").await;
    let after = rig.get("/metrics").await.text();
    let rise = |series: &str| {
        let at = |text: &str| sample(text, series).unwrap_or_else(|| panic!("no {series}"));
        at(&after) - at(&before)
    };
    assert_eq!(
        (rise(hits), rise(loads), rise(tickers)),
        (1, 1, 1),
        "{after}"
    );
    assert_eq!(
        sample(&after, "upstream_calls_total{source=\"taapi\"}"),
        Some(0)
    );
}
