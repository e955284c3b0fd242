//! What the summary says when sources fail, and what they are asked.

use std::time::{Duration, Instant};

use dashboard::market::answer::Breaker;
use dashboard::market::figure::Group;
use futures_util::future::join_all;
use market_sim::{Fault, FaultKind, Poison, RetryAfter, Source};
use serde_json::Value;

use crate::{
    rig::until,
    stand::{Caching, Stand, UPSTREAM_TIMEOUT, fields_of, json},
};

fn status(status: u16) -> FaultKind {
    FaultKind::Status {
        status,
        retry_after: None,
    }
}

/// Every way in which a source can fail as a whole, and the code that readers are told.
fn failures() -> Vec<(FaultKind, &'static [&'static str])> {
    vec![
        (
            FaultKind::Status {
                status: 429,
                retry_after: Some(RetryAfter::Seconds(60)),
            },
            &["rate_limited"],
        ),
        (status(429), &["rate_limited"]),
        (status(418), &["rate_limited"]),
        (status(500), &["server_error"]),
        (status(503), &["server_error"]),
        (status(404), &["refused"]),
        (status(451), &["refused"]),
        (status(302), &["redirected"]),
        (FaultKind::Html, &["not_decodable"]),
        (FaultKind::Garbage, &["not_decodable"]),
        (FaultKind::Empty, &["not_decodable"]),
        (FaultKind::Truncated, &["not_reachable"]),
        (FaultKind::Reset, &["not_reachable"]),
        (FaultKind::Oversized, &["too_large"]),
        (FaultKind::Hang, &["timeout"]),
        (FaultKind::Poison { value: Poison::Nan }, REJECTED),
        (
            FaultKind::Poison {
                value: Poison::Text,
            },
            REJECTED,
        ),
        (
            FaultKind::Poison {
                value: Poison::WrongType,
            },
            REJECTED,
        ),
        (
            FaultKind::Poison {
                value: Poison::Negative,
            },
            REJECTED,
        ),
        (
            FaultKind::Poison {
                value: Poison::Huge,
            },
            REJECTED,
        ),
        (
            FaultKind::Poison {
                value: Poison::Null,
            },
            REJECTED,
        ),
    ]
}

/// Which of these it is depends on whether the source writes its numbers as text.
const REJECTED: &[&str] = &["out_of_range", "not_decodable", "not_in_answer"];

const GROUPS: [Group; 3] = [Group::Prices, Group::Global, Group::FearGreed];

fn group_is_missing(summary: &Value, group: Group, told: &[&str]) {
    for (name, field) in fields_of(summary, group) {
        assert_eq!(summary[&name], Value::Null, "{name} after {told:?}");
        assert_eq!(field["status"], "missing", "{name} after {told:?}");
        assert!(
            field["error"].is_string(),
            "{name} after {told:?} has no reason: {field}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_service_says_null_and_why_for_a_source_that_fails_in_any_way() {
    for (fault, told) in failures() {
        let checks = GROUPS.map(|group| is_cold_and_told(group, &fault, told));
        join_all(checks).await;
    }
}

async fn is_cold_and_told(group: Group, fault: &FaultKind, told: &[&str]) {
    let stand = Stand::new().await;
    stand.break_group(group, fault);
    let start = Instant::now();
    let answer = stand.service(Caching::On).fetch_dashboard_summary().await;
    let took = start.elapsed();
    let limit = UPSTREAM_TIMEOUT + Duration::from_millis(500);
    assert!(took < limit, "{group:?} {fault:?} took {took:?}");
    let summary = json(&answer.value);
    group_is_missing(&summary, group, told);
    assert_eq!(summary["partial_failure"], true);
    let fields = fields_of(&summary, group);
    assert!(
        fields
            .iter()
            .any(|(_, field)| told.iter().any(|code| field["error"] == *code)),
        "{group:?} {fault:?} should be told as {told:?}: {fields:?}"
    );
    for other in GROUPS.into_iter().filter(|other| *other != group) {
        for (name, field) in fields_of(&summary, other) {
            assert_eq!(
                field["status"], "fresh",
                "{name}, though only {group:?} failed"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_service_keeps_the_last_good_values_and_calls_them_stale() {
    join_all(
        failures()
            .into_iter()
            .map(|(fault, _)| keeps_last_good_values(fault)),
    )
    .await;
}

async fn keeps_last_good_values(fault: FaultKind) {
    let stand = Stand::new().await;
    let service = stand.service(Caching::Off);
    let good = json(&service.fetch_dashboard_summary().await.value);
    stand.break_every_source(&fault.clone());
    let stale = until("prices that are due again", || async {
        let summary = json(&service.fetch_dashboard_summary().await.value);
        (summary["fields"]["btc_price_usd"]["status"] != "fresh").then_some(summary)
    })
    .await;
    for (name, field) in fields_of(&stale, Group::Prices) {
        assert_eq!(field["status"], "stale", "{name} after {fault:?}");
        assert!(field["error"].is_string(), "{name} after {fault:?}");
        assert!(stale[&name].is_number(), "{name} after {fault:?}");
        let observed = &good["fields"][&name]["observed_at"];
        let is_no_older = field["observed_at"].as_str() >= observed.as_str();
        assert!(is_no_older, "{name} went back behind {observed}");
    }
    // These were not due, so nobody asked: they stay what they were.
    for group in [Group::Global, Group::FearGreed] {
        for (name, field) in fields_of(&stale, group) {
            assert_eq!(
                (&field["status"], &stale[&name]),
                (&"fresh".into(), &good[&name])
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_endpoint_does_not_take_the_prices_with_it() {
    let stand = Stand::new().await;
    stand.break_group(Group::Candles, &status(400));
    let summary = stand.summary().await;
    group_is_missing(&summary, Group::Candles, &["refused"]);
    assert_eq!(summary["fields"]["btc_price_usd"]["status"], "fresh");
    assert_eq!(summary["rsi_14"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_passes_is_asked_about_again_at_once() {
    let stand = Stand::new().await;
    let once = Fault {
        times: Some(1),
        ..Fault::always(status(500))
    };
    stand.simulator.inject(Source::CoinGecko, once);
    let summary = stand.summary().await;
    assert!(summary["market_cap_usd"].is_number());
    assert_eq!(stand.calls("coingecko /api/v3/global"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_asks_for_peace_is_left_alone_even_after_everything_was_forgotten() {
    let stand = Stand::new().await;
    let peace = FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Seconds(60)),
    };
    stand.simulator.inject(
        Source::CoinGecko,
        Fault {
            times: Some(1),
            ..Fault::always(peace)
        },
    );
    let service = stand.service(Caching::Off);
    service.fetch_dashboard_summary().await;
    for _ in 0..20 {
        service.forget();
        let summary = json(&service.fetch_dashboard_summary().await.value);
        assert_eq!(summary["fields"]["market_cap_usd"]["error"], "cooling_down");
        assert_eq!(summary["fields"]["fng_value"]["status"], "fresh");
    }
    assert_eq!(stand.calls("coingecko /api/v3/global"), 1);
    let report = service
        .sources()
        .into_iter()
        .find(|report| report.source.name() == "coingecko");
    assert!(
        report
            .expect("coingecko is a source")
            .cooling_until
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_source_is_asked_less_and_used_again_soon_after_it_came_back() {
    let stand = Stand::new().await;
    stand.break_source(Source::Fng, FaultKind::Reset);
    let service = stand.service(Caching::Off);
    let breaker = || {
        let report = service
            .sources()
            .into_iter()
            .find(|r| r.source.name() == "alternative.me");
        report.expect("alternative.me is a source").breaker
    };
    until("the breaker to open", || async {
        service.fetch_dashboard_summary().await;
        (breaker() == Breaker::Open).then_some(())
    })
    .await;
    let calls = stand.calls("fng /fng/");
    service.fetch_dashboard_summary().await;
    assert_eq!(
        stand.calls("fng /fng/"),
        calls,
        "an open breaker lets nothing through"
    );
    stand.simulator.reset();
    until("a fresh index", || async {
        let summary = json(&service.fetch_dashboard_summary().await.value);
        (summary["fields"]["fng_value"]["status"] == "fresh").then_some(())
    })
    .await;
    assert_eq!(breaker(), Breaker::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_within_the_deadline_is_taken() {
    let stand = Stand::new().await;
    let delay = UPSTREAM_TIMEOUT * 3 / 5;
    stand.break_source(Source::Fng, FaultKind::Latency { delay });
    let summary = stand.summary().await;
    assert_eq!(summary["fields"]["fng_value"]["status"], "fresh");
    assert_eq!(stand.calls("fng /fng/"), 1);
}
