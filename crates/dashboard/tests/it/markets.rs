//! Market data, candles, indicators and sources over HTTP.

use std::time::{Duration, Instant};

use dashboard::market::symbol::Symbol;
use market_sim::{Fault, FaultKind, RetryAfter, Source};
use serde_json::Value;

use crate::rig::{Rig, simulator};
use crate::stand::break_every_source;
use dashboard::http::ws::Pace;

async fn json(rig: &Rig, path: &str) -> Value {
    let reply = rig.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn problem(rig: &Rig, path: &str) -> (u16, Value) {
    let reply = rig.get(path).await;
    let kind = reply.header("content-type");
    assert_eq!(kind, Some("application/problem+json"), "{path}");
    (reply.status, reply.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_coin_has_market_data_that_agrees_with_the_summary() {
    let rig = Rig::start(&[]).await;
    let summary = rig.warm().await;
    let listed = json(&rig, "/api/v1/markets").await;
    let listed = listed["markets"].as_array().expect("a list");
    assert_eq!(listed.len(), Symbol::ALL.len());
    for market in listed {
        let code = market["symbol"].as_str().expect("a symbol");
        assert_eq!(market["status"], "fresh", "{market}");
        assert_eq!(
            (&market["source"], &market["quote"]),
            (&"binance".into(), &"USDT".into())
        );
        let price = market["price"].as_f64().expect("a price");
        let known = summary[format!("{code}_price_usd")]
            .as_f64()
            .expect("a price");
        assert!(
            (price / known - 1.0).abs() < 0.05,
            "{code}: {price} and {known}"
        );
        let (low, high) = (&market["low_24h"], &market["high_24h"]);
        assert!(
            low.as_f64() <= Some(price) && high.as_f64() >= Some(price),
            "{market}"
        );
        assert_eq!(
            json(&rig, &format!("/api/v1/markets/{code}")).await["price"],
            market["price"]
        );
    }
    // A second look costs nobody a call, in whatever case the symbol is written.
    let calls = rig.simulator.calls();
    let again = rig.get("/api/v1/markets/BTC").await;
    assert_eq!(again.header("x-cache"), Some("HIT"));
    assert_eq!(rig.simulator.calls(), calls);
    let tag = again.header("etag").expect("a validator").to_owned();
    let known = rig
        .call("GET", "/api/v1/markets/btc", &[("If-None-Match", &tag)])
        .await;
    assert_eq!((known.status, known.text().len()), (304, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_is_not_ours_is_404_and_one_that_could_never_be_is_400() {
    let rig = Rig::start(&[("SYMBOLS", "btc,eth")]).await;
    for (symbol, expected) in [
        ("doge", 404),
        ("sol", 404),
        ("a:b", 400),
        ("a%20b", 400),
        ("%C3%A9", 400),
        (&"x".repeat(65), 400),
        ("..%2fetc", 400),
    ] {
        for path in [
            format!("/api/v1/markets/{symbol}"),
            format!("/api/v1/markets/{symbol}/candles"),
            format!("/api/v1/indicators/{symbol}"),
        ] {
            let (status, body) = problem(&rig, &path).await;
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn candles_join_and_only_the_last_may_be_open() {
    let rig = Rig::start(&[]).await;
    for (interval, span_ms) in [("1m", 60_000), ("1h", 3_600_000), ("1d", 86_400_000)] {
        let path = format!("/api/v1/markets/eth/candles?interval={interval}&limit=50");
        let body = json(&rig, &path).await;
        let candles = body["candles"].as_array().expect("candles").clone();
        assert_eq!(candles.len(), 50, "{interval}");
        for pair in candles.windows(2) {
            let opens = |bar: &Value| bar["open_time"].as_i64().expect("a time");
            assert_eq!(opens(&pair[1]) - opens(&pair[0]), span_ms);
            assert_eq!(pair[0]["closed"], true);
        }
        for bar in &candles {
            let price = |name: &str| bar[name].as_f64().expect("a price");
            assert!(price("low") <= price("open").min(price("close")), "{bar}");
            assert!(price("high") >= price("open").max(price("close")), "{bar}");
        }
    }
    let month = json(&rig, "/api/v1/markets/eth/candles?interval=1mo&limit=3").await;
    assert_eq!(month["interval"], "1mo");
    for query in [
        "interval=1M",
        "interval=2h",
        "limit=0",
        "limit=1001",
        "limit=x",
        "from=1",
    ] {
        let path = format!("/api/v1/markets/eth/candles?{query}");
        assert_eq!(problem(&rig, &path).await.0, 400, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indicators_say_which_bar_they_are_about_and_whether_it_is_closed() {
    let rig = Rig::start(&[]).await;
    let summary = rig.warm().await;
    let closed = json(
        &rig,
        "/api/v1/indicators/btc?set=rsi,macd,bbands,atr,stoch,sma:50,ema:200",
    )
    .await;
    let live = json(&rig, "/api/v1/indicators/btc?set=rsi&live=true").await;
    let rsi = &closed["indicators"]["rsi:14"];
    assert_eq!(rsi["value"], summary["btc_rsi_14"]);
    assert_eq!(
        (
            &rsi["bar_closed"],
            &live["indicators"]["rsi:14"]["bar_closed"]
        ),
        (&true.into(), &false.into())
    );
    assert_eq!(rsi["bars_used"], 999);
    assert_eq!(live["indicators"]["rsi:14"]["bars_used"], 1_000);
    assert!(live["indicators"]["rsi:14"]["bar_time"].as_str() > rsi["bar_time"].as_str());
    let named = |indicator: &str, names: &[&str]| {
        let value = &closed["indicators"][indicator];
        assert!(
            names.iter().all(|name| value[name].is_number()),
            "{indicator}: {value}"
        );
    };
    named("macd:12-26-9", &["macd", "signal", "histogram"]);
    named("bbands:20-2", &["upper", "middle", "lower"]);
    named("stoch:14-3-3", &["k", "d"]);
    named("atr:14", &["value"]);
    named("ema:200", &["value"]);
    let calls = rig.simulator.calls();
    json(&rig, "/api/v1/indicators/btc").await;
    assert_eq!(
        rig.simulator.calls(),
        calls,
        "candles are cached, indicators computed here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indicator_that_needs_more_bars_than_there_are_is_422_and_nonsense_is_400() {
    let rig = Rig::start(&[]).await;
    let (status, body) = problem(&rig, "/api/v1/indicators/btc?set=ema:500").await;
    assert_eq!(status, 422, "{body}");
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|words| words.contains("2499")),
        "{body}"
    );
    let many = (1..=17)
        .map(|n| format!("sma:{n}"))
        .collect::<Vec<_>>()
        .join(",");
    for set in [
        "",
        "rsi:1",
        "rsi:x",
        "foo",
        "macd:26-12-9",
        "rsi,,sma",
        &many,
    ] {
        let path = format!("/api/v1/indicators/btc?set={set}");
        assert_eq!(problem(&rig, &path).await.0, 400, "{set}");
    }
    for query in ["live=perhaps", "interval=1y", "sett=rsi"] {
        let path = format!("/api/v1/indicators/btc?{query}");
        assert_eq!(problem(&rig, &path).await.0, 400, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn market_data_that_nobody_has_is_503_and_what_is_cached_is_stale() {
    let simulator = simulator().await;
    let rig = Rig::start_with(
        &[
            ("MARKET_DATA_TTL_SECONDS", "1"),
            ("UPSTREAM_TIMEOUT_MS", "800"),
        ],
        Pace::default(),
        simulator,
    )
    .await;
    let before = json(&rig, "/api/v1/markets/btc").await;
    break_every_source(&rig.simulator, &FaultKind::Reset);
    let stale = crate::rig::until("a stale price", || async {
        let body = json(&rig, "/api/v1/markets/btc").await;
        (body["status"] == "stale").then_some(body)
    })
    .await;
    assert_eq!(stale["price"], before["price"]);
    let (status, body) = problem(&rig, "/api/v1/markets/eth").await;
    assert_eq!(status, 503, "{body}");
    let listed = json(&rig, "/api/v1/markets").await;
    let eth = listed["markets"]
        .as_array()
        .and_then(|all| all.iter().find(|m| m["symbol"] == "eth"));
    let eth = eth.expect("it is listed all the same");
    assert_eq!(
        (&eth["status"], &eth["price"]),
        (&"missing".into(), &Value::Null)
    );
    assert!(eth["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indicator_outlives_its_candles_marked_as_stale_and_live_ones_do_not() {
    let settings = [
        ("MARKET_DATA_TTL_SECONDS", "1"),
        ("UPSTREAM_TIMEOUT_MS", "800"),
    ];
    let rig = Rig::start(&settings).await;
    let path = "/api/v1/indicators/eth?set=rsi,macd";
    let first = rig.get(path).await;
    let (before, tag) = (first.json(), first.header("etag").expect("a validator"));
    assert_eq!(before["indicators"]["rsi:14"]["status"], "fresh");
    break_every_source(&rig.simulator, &FaultKind::Reset);
    let stale = crate::rig::until("stale indicators", || async {
        let body = json(&rig, path).await;
        let is_stale = |name: &str| body["indicators"][name]["status"] == "stale";
        (is_stale("rsi:14") && is_stale("macd:12-26-9")).then_some(body)
    })
    .await;
    let known = rig.call("GET", path, &[("If-None-Match", tag)]).await;
    assert_eq!(
        known.status, 200,
        "who knows it as fresh hears that it is not"
    );
    for member in ["value", "bar_time", "bars_used"] {
        let of = |body: &Value| body["indicators"]["rsi:14"][member].clone();
        assert_eq!(of(&stale), of(&before), "{member}");
    }
    let live = problem(&rig, "/api/v1/indicators/eth?set=rsi&live=true").await;
    assert_eq!(live.0, 503, "{}", live.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_is_told_in_time_with_the_status_of_its_cause() {
    let status = |status, retry_after| FaultKind::Status {
        status,
        retry_after,
    };
    let redirect = FaultKind::Redirect {
        to: "http://127.0.0.1:1/".into(),
    };
    let table = [
        (status(429, Some(RetryAfter::Seconds(30))), 503),
        (status(429, None), 503),
        (status(500, None), 503),
        (FaultKind::Reset, 503),
        (FaultKind::Hang, 504),
        (FaultKind::Html, 502),
        (FaultKind::Garbage, 502),
        (FaultKind::Oversized, 502),
        (redirect, 502),
    ];
    for (fault, expected) in table {
        let simulator = simulator().await;
        break_every_source(&simulator, &fault);
        let settings = [
            ("UPSTREAM_TIMEOUT_MS", "800"),
            ("REFRESH_INTERVAL_SECONDS", "3600"),
        ];
        let rig = Rig::start_with(&settings, Pace::default(), simulator).await;
        for path in ["/api/v1/markets/eth", "/api/v1/indicators/sol"] {
            let asked = Instant::now();
            let reply = rig.get(path).await;
            let took = asked.elapsed();
            assert!(
                took <= Duration::from_millis(800 + 500),
                "{fault:?}: {took:?}"
            );
            assert_eq!(reply.status, expected, "{fault:?}: {}", reply.text());
            let may_come_back = reply.header("retry-after").is_some();
            assert_eq!(may_come_back, expected == 503, "{fault:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_tells_how_it_is_doing_and_what_it_lacks() {
    let simulator = simulator().await;
    simulator.inject(Source::Fng, Fault::always(FaultKind::Html));
    let rig = Rig::start_with(
        &[("FINNHUB_API_KEY", "hunter2-hunter2")],
        Pace::default(),
        simulator,
    )
    .await;
    rig.summary().await;
    let body = json(&rig, "/api/v1/sources").await;
    let source = |name: &str| {
        let sources = body["sources"].as_array().expect("a list");
        sources
            .iter()
            .find(|source| source["source"] == name)
            .expect("it is listed")
            .clone()
    };
    assert_eq!(source("binance")["last_error"], Value::Null);
    assert!(source("binance")["calls"].as_u64() > Some(0));
    assert_eq!(source("alternative.me")["last_error"], "not_decodable");
    assert_eq!(
        (&source("taapi")["state"], &source("taapi")["needs"]),
        (&"off".into(), &"TAAPI_SECRET".into())
    );
    assert_eq!(source("finnhub")["last_error"], "refused");
    assert!(source("finnhub")["cooling_until"].is_string());
    assert!(!body.to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_clears_what_it_matches_and_nothing_else() {
    const TOKEN: &str = "a-token-of-more-than-32-characters!";
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN), ("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    for path in ["/api/v1/markets/btc", "/api/v1/markets/eth"] {
        json(&rig, path).await;
    }
    let token = format!("Bearer {TOKEN}");
    let cleared = rig
        .call(
            "POST",
            "/admin/cache/clear?pattern=market:b*",
            &[("Authorization", &token)],
        )
        .await;
    assert_eq!(cleared.status, 200, "{}", cleared.text());
    assert!(
        cleared.text().contains("market: 1 in L1"),
        "{}",
        cleared.text()
    );
    assert_eq!(
        rig.get("/api/v1/markets/btc").await.header("x-cache"),
        Some("MISS")
    );
    assert_eq!(
        rig.get("/api/v1/markets/eth").await.header("x-cache"),
        Some("HIT")
    );
    assert_eq!(
        rig.get(crate::rig::SUMMARY).await.header("x-cache"),
        Some("HIT")
    );
}
