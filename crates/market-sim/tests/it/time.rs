//! Time that stands, runs, hurries or is stepped through, with sockets and without.

use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use market_sim::{Fault, FaultKind, SimTime, Simulator, Source};
use serde_json::{Value, json};
use tower_service::Service;

use crate::rig::{MOMENT, MOMENT_MS, Rig, number, stepped};

const TICKER: &str = "/binance/api/v3/ticker/24hr";

/// What a service in this process answers, and with which status.
async fn ask(router: &axum::Router, path: &str) -> (u16, Value) {
    let request = hyper::Request::get(path)
        .header("user-agent", "test")
        .body(Body::empty())
        .unwrap();
    let response = router.clone().call(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn a_day_in_process_is_cheap_and_alike_each_time() {
    let day = || async {
        let simulator = Simulator::offline(stepped()).unwrap();
        let router = simulator.router();
        let mut prices = Vec::new();
        for _ in 0..24 * 60 * 6 {
            simulator.step(Duration::from_secs(10));
            let (status, body) = ask(&router, &format!("{TICKER}?symbol=BTCUSDT")).await;
            assert_eq!(status, 200, "no limit is met: {body}");
            prices.push(number(&body["lastPrice"]));
        }
        assert_eq!(simulator.calls_of(Source::Binance), 24 * 60 * 6);
        prices
    };
    let began = Instant::now();
    let first = day().await;
    // Far more than it takes, far less than the day that it is.
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(first, day().await);
}

#[tokio::test]
async fn in_process_and_over_a_socket_the_answers_are_the_same() {
    let router = Simulator::offline(stepped()).unwrap().router();
    let rig = Rig::stepped().await;
    for path in [
        TICKER,
        "/coingecko/api/v3/global",
        "/fng/fng/?limit=3",
        "/kraken/0/public/Ticker",
        "/coinbase/products/BTC-USD/stats",
    ] {
        let (status, body) = ask(&router, path).await;
        assert_eq!((status, body), (200, rig.json(path).await), "{path}");
    }
}

#[tokio::test]
async fn without_a_connection_faults_show_and_streams_are_refused() {
    let simulator = Simulator::offline(stepped()).unwrap();
    let router = simulator.router();
    let handshake = hyper::Request::get("/binance-ws/ws")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty())
        .unwrap();
    assert_eq!(router.clone().call(handshake).await.unwrap().status(), 426);

    simulator.inject(Source::Fng, Fault::always(FaultKind::Reset));
    let request = hyper::Request::get("/fng/fng/")
        .body(Body::empty())
        .unwrap();
    let response = router.clone().call(request).await.unwrap();
    assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
    simulator.stop().await;
}

#[tokio::test]
async fn a_late_answer_waits_for_steps_where_only_steps_pass_time() {
    let simulator = Simulator::offline(stepped()).unwrap();
    let router = simulator.router();
    let delay = Duration::from_secs(5);
    simulator.inject(Source::Binance, Fault::always(FaultKind::Latency { delay }));
    let asking = ask(&router, "/binance/api/v3/time");
    tokio::pin!(asking);
    for _ in 0..5 {
        let waited = tokio::time::timeout(Duration::from_millis(20), &mut asking).await;
        assert!(waited.is_err(), "it came too early: {waited:?}");
        simulator.step(Duration::from_secs(1));
    }
    let (status, body) = asking.await;
    assert_eq!(
        (status, &body["serverTime"]),
        (200, &json!(MOMENT_MS + 5_000))
    );
}

#[tokio::test]
async fn a_ban_is_over_when_its_time_was_stepped_through() {
    let rig = Rig::stepped().await;
    for _ in 0..75 {
        assert_eq!(rig.get(TICKER).await.status, 200);
    }
    for _ in 0..10 {
        let refused = rig.get("/binance/api/v3/ping").await;
        assert_eq!(
            (refused.status, refused.number_in("retry-after")),
            (429, 60)
        );
    }
    let banned = rig.get("/binance/api/v3/ping").await;
    assert_eq!((banned.status, banned.number_in("retry-after")), (418, 120));
    let until = (MOMENT_MS + 120_000).to_string();
    assert!(
        banned.json()["msg"].as_str().unwrap().contains(&until),
        "{:?}",
        banned.json()
    );
    rig.simulator.step(Duration::from_secs(119));
    let banned = rig.get("/binance/api/v3/ping").await;
    assert_eq!((banned.status, banned.number_in("retry-after")), (418, 1));
    rig.simulator.step(Duration::from_secs(1));
    assert_eq!(rig.get("/binance/api/v3/ping").await.status, 200);
}

#[tokio::test]
async fn fast_time_runs_fast_and_stepped_time_not_at_all() {
    let rig = Rig::stepped().await;
    let now = || async {
        let time = rig.json("/binance/api/v3/time").await;
        time["serverTime"].as_i64().unwrap()
    };
    assert_eq!(now().await, MOMENT_MS);
    assert_eq!(now().await, MOMENT_MS);
    let order = json!({"fast_from": {"moment": MOMENT, "speed": 3_600}});
    assert_eq!(
        rig.post("/control/clock", &order.to_string()).await.status,
        200
    );
    let began = Instant::now();
    let passed = now().await - MOMENT_MS;
    assert!(
        passed <= began.elapsed().as_millis() as i64 * 3_600 + 3_600_000,
        "{passed}"
    );
    // Bounded by the test's own patience: an hour passes in a second.
    while now().await < MOMENT_MS + 3_600_000 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "time does not hurry"
        );
    }
    let slower = rig.post("/control/clock", r#"{"speed": 2}"#).await.json();
    assert_eq!(slower["time"]["fast_from"]["speed"], 2);
    assert!(
        now().await >= MOMENT_MS + 3_600_000,
        "it goes on from the present"
    );
}

#[tokio::test]
async fn every_source_answers_at_any_clock() {
    let rig = Rig::frozen().await;
    for moment in [
        "-009999-01-02T01:59:59Z",
        "1970-01-01T00:00:00Z",
        "2017-08-17T00:00:00Z",
        "9999-12-30T22:00:00Z",
    ] {
        rig.simulator
            .set_time(SimTime::FrozenAt(moment.parse().unwrap()));
        for path in [
            TICKER,
            "/binance/api/v3/klines?symbol=BTCUSDT&interval=1M",
            "/binance/api/v3/klines?symbol=BTCUSDT&interval=1w&startTime=0",
            "/binance/api/v3/avgPrice?symbol=BTCUSDT",
            "/fng/fng/?limit=3",
            "/coingecko/api/v3/global",
            "/coingecko/api/v3/coins/markets?vs_currency=usd&sparkline=true\
                &price_change_percentage=1y",
            "/coingecko/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days=365",
            "/coingecko/api/v3/coins/bitcoin/ohlc?vs_currency=usd&days=365",
            "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd,eur,btc",
            "/cmc/v1/global-metrics/quotes/latest",
            "/finnhub/api/v1/quote?symbol=DIA",
            "/coinbase/products/BTC-USD/ticker",
            "/coinbase/products/BTC-USD/stats",
            "/coinbase/products/ADA-USD/candles",
            "/coinbase/products/ADA-USD/candles?start=-377700000000&end=-377700000000",
            "/kraken/0/public/Ticker",
            "/kraken/0/public/OHLC?pair=XBTUSD&interval=21600",
        ] {
            assert_eq!(rig.get(path).await.status, 200, "{moment} {path}");
        }
        let path = "/taapi/rsi?secret=simulated-taapi-secret&exchange=binance\
            &symbol=BTC/USDT&interval=1w";
        assert!([200, 400].contains(&rig.get(path).await.status), "{moment}");
    }
}
