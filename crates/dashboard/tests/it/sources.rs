//! What readers get while sources fail, and how often the sources are asked.

use std::time::{Duration, Instant};

use dashboard::http::ws::Pace;
use market_sim::{Fault, FaultKind, RetryAfter, Source};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::rig::{Rig, SUMMARY, simulator, until};
use crate::stand::break_every_source;
use crate::wire;

const ENDPOINTS: [&str; 3] = [
    "binance /api/v3/ticker/24hr",
    "coingecko /api/v3/global",
    "fng /fng/",
];

/// UPSTREAM_TIMEOUT_MS in these tests, and what a request may take at most.
const UPSTREAM_TIMEOUT_MS: &str = "1500";
const LONGEST_REQUEST: Duration = Duration::from_millis(1500 + 500);

fn faults() -> Vec<(&'static str, FaultKind)> {
    let status = |status, retry_after| FaultKind::Status {
        status,
        retry_after,
    };
    vec![
        ("429", status(429, Some(RetryAfter::Seconds(30)))),
        ("500", status(500, None)),
        ("HTML", FaultKind::Html),
        ("garbage", FaultKind::Garbage),
        ("a hang", FaultKind::Hang),
    ]
}

/// A rig whose sources answer slowly enough that a thousand readers meet a cold cache.
async fn cold_rig() -> Rig {
    let simulator = simulator().await;
    let delay = Duration::from_millis(400);
    break_every_source(&simulator, &FaultKind::Latency { delay });
    Rig::start_with(
        &[("REFRESH_INTERVAL_SECONDS", "60")],
        Pace::default(),
        simulator,
    )
    .await
}

fn assert_asked_once(rig: &Rig) {
    let calls = rig.simulator.calls();
    for endpoint in ENDPOINTS {
        assert_eq!(calls.get(endpoint), Some(&1), "{endpoint} in {calls:?}");
    }
    assert!(calls.values().all(|count| *count == 1), "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_of_a_cold_summary_cost_one_call_per_endpoint() {
    let rig = cold_rig().await;
    let mut readers = JoinSet::new();
    for _ in 0..1_000 {
        let address = rig.address;
        readers.spawn(async move { wire::get(address, SUMMARY).await });
    }
    while let Some(reply) = readers.join_next().await {
        let reply = reply.expect("no reader panics");
        assert_eq!(reply.status, 200);
        assert!(reply.json()["btc_price_usd"].is_number());
    }
    assert_asked_once(&rig);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_who_go_away_change_nothing_for_the_others() {
    let rig = cold_rig().await;
    let address = rig.address;
    let mut leavers = JoinSet::new();
    for _ in 0..100 {
        leavers.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let request = format!("GET {SUMMARY} HTTP/1.1\r\nHost: x\r\n\r\n");
            stream
                .write_all(request.as_bytes())
                .await
                .expect("it reads");
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
    }
    let mut readers = JoinSet::new();
    for _ in 0..900 {
        readers.spawn(async move { wire::get(address, SUMMARY).await });
    }
    while let Some(left) = leavers.join_next().await {
        left.expect("no leaver panics");
    }
    while let Some(reply) = readers.join_next().await {
        let reply = reply.expect("no reader panics");
        assert_eq!(reply.status, 200);
        assert!(reply.json()["btc_price_usd"].is_number());
    }
    assert_asked_once(&rig);
}

/// Every name of a figure that has no field of its own kind is left out: aliases and the rest.
fn figures(summary: &Value) -> Vec<(String, Value, Value)> {
    let fields = summary["fields"].as_object().expect("fields");
    let of = |name: &String| summary[name.as_str()].clone();
    fields
        .iter()
        .map(|(name, field)| (name.clone(), of(name), field.clone()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_dead_sources_a_cold_summary_is_null_with_reasons_and_in_time() {
    for (name, kind) in faults() {
        let simulator = simulator().await;
        break_every_source(&simulator, &kind);
        let settings = [("UPSTREAM_TIMEOUT_MS", UPSTREAM_TIMEOUT_MS)];
        let rig = Rig::start_with(&settings, Pace::default(), simulator).await;
        let began = Instant::now();
        let summary = rig.summary().await;
        let took = began.elapsed();
        assert!(took <= LONGEST_REQUEST, "{name}: {took:?}");
        assert_eq!(summary["partial_failure"], true);
        for (figure, value, field) in figures(&summary) {
            assert!(value.is_null(), "{name}: {figure} is {value}");
            assert_eq!(field["status"], "missing", "{name}: {figure}");
            assert!(field["error"].is_string(), "{name}: {figure} {field}");
        }
        for alias in ["market_cap", "volume_24h", "rsi_14"] {
            assert!(summary[alias].is_null(), "{name}: {alias}");
        }
        let page = rig.get("/").await;
        assert_eq!(page.status, 200, "{name}");
        assert!(page.text().contains("missing"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_dead_sources_a_warm_summary_keeps_its_last_good_prices_as_stale() {
    for (name, kind) in faults() {
        let settings = [("UPSTREAM_TIMEOUT_MS", UPSTREAM_TIMEOUT_MS)];
        let rig = Rig::start_with(&settings, Pace::default(), simulator().await).await;
        let warm = rig.warm().await;
        break_every_source(&rig.simulator, &kind);
        let stale = until("a stale price", || async {
            let began = Instant::now();
            let summary = rig.summary().await;
            assert!(
                began.elapsed() <= LONGEST_REQUEST,
                "{name}: {:?}",
                began.elapsed()
            );
            (summary["fields"]["btc_price_usd"]["status"] == "stale").then_some(summary)
        })
        .await;
        for (figure, value, field) in figures(&stale) {
            assert!(!value.is_null(), "{name}: {figure}");
            if figure.ends_with("_price_usd") {
                assert_eq!(field["status"], "stale", "{name}: {figure}");
                assert!(field["error"].is_string(), "{name}: {figure} {field}");
            } else if !figure.ends_with("_change_24h") {
                // Not due yet: its last good group stays, and stays fresh.
                assert_eq!(value, warm[figure.as_str()], "{name}: {figure}");
            }
        }
        let health = rig.get("/health").await;
        assert_eq!(health.status, 200);
        assert_eq!(health.json()["status"], "degraded", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_source_takes_only_its_own_figures() {
    let simulator = simulator().await;
    simulator.inject(Source::Fng, Fault::always(FaultKind::Html));
    let rig = Rig::start_with(&[], Pace::default(), simulator).await;
    let summary = rig.summary().await;
    for (figure, value, field) in figures(&summary) {
        let is_dead = figure.starts_with("fng_");
        assert_eq!(value.is_null(), is_dead, "{figure} {value}");
        assert_eq!(field["status"] == "missing", is_dead, "{figure} {field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_goes_where_a_source_redirects_to() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = elsewhere.local_addr().expect("it has an address");
    let simulator = simulator().await;
    let to = format!("http://{address}/latest/meta-data/");
    break_every_source(&simulator, &FaultKind::Redirect { to });
    let rig = Rig::start_with(&[], Pace::default(), simulator).await;
    let summary = rig.summary().await;
    for (figure, value, field) in figures(&summary) {
        assert!(value.is_null(), "{figure} is {value}");
        assert_eq!(field["error"], "redirected", "{figure}");
    }
    let came = tokio::select! {
        biased;
        came = elsewhere.accept() => Some(came),
        () = std::future::ready(()) => None,
    };
    assert!(came.is_none(), "somebody went there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_says_in_words_decides_nothing() {
    let simulator = simulator().await;
    let canned = |status: u16| FaultKind::Canned {
        status,
        body: "429 Too Many Requests, retry after 42900 s".into(),
    };
    simulator.inject(Source::Fng, Fault::always(canned(200)));
    simulator.inject(Source::CoinGecko, Fault::always(canned(500)));
    let rig = Rig::start_with(&[], Pace::default(), simulator).await;
    rig.summary().await;
    let sources = rig.get("/api/v1/sources").await.json();
    let sources = sources["sources"].as_array().expect("a list");
    for (name, error) in [
        ("alternative.me", "not_decodable"),
        ("coingecko", "server_error"),
    ] {
        let source = sources.iter().find(|source| source["source"] == name);
        let source = source.expect("it is listed");
        assert_eq!(source["last_error"], error, "{source}");
        assert!(source["cooling_until"].is_null(), "{source}");
    }
}
