//! Binance's streams: which events come, when, and in which shape.

use std::time::Duration;

use market_sim::{SimOptions, SimTime};
use serde_json::Value;

use crate::rig::{MOMENT_MS, Rig, frozen_at};
use crate::shape::{Kind, check_fields};
use crate::stream_rig::Client;

const SECOND: Duration = Duration::from_secs(1);

const MINI: [(&str, Kind); 9] = [
    ("e", Kind::Text),
    ("E", Kind::Integer),
    ("s", Kind::Text),
    ("c", Kind::Decimal),
    ("o", Kind::Decimal),
    ("h", Kind::Decimal),
    ("l", Kind::Decimal),
    ("v", Kind::Decimal),
    ("q", Kind::Decimal),
];

const ONLY_IN_TICKER: [(&str, Kind); 15] = [
    ("p", Kind::Decimal),
    ("P", Kind::Decimal),
    ("w", Kind::Decimal),
    ("x", Kind::Decimal),
    ("Q", Kind::Decimal),
    ("b", Kind::Decimal),
    ("B", Kind::Decimal),
    ("a", Kind::Decimal),
    ("A", Kind::Decimal),
    ("O", Kind::Integer),
    ("C", Kind::Integer),
    ("F", Kind::Integer),
    ("L", Kind::Integer),
    ("n", Kind::Integer),
    ("e", Kind::Text),
];

const KLINE: [(&str, Kind); 17] = [
    ("t", Kind::Integer),
    ("T", Kind::Integer),
    ("s", Kind::Text),
    ("i", Kind::Text),
    ("f", Kind::Integer),
    ("L", Kind::Integer),
    ("o", Kind::Decimal),
    ("c", Kind::Decimal),
    ("h", Kind::Decimal),
    ("l", Kind::Decimal),
    ("v", Kind::Decimal),
    ("n", Kind::Integer),
    ("x", Kind::Flag),
    ("q", Kind::Decimal),
    ("V", Kind::Decimal),
    ("Q", Kind::Decimal),
    ("B", Kind::Decimal),
];

#[tokio::test]
async fn a_mini_ticker_comes_each_second_and_says_what_rest_says() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws/btcusdt@miniTicker").await;
    for second in 1..=3 {
        rig.simulator.step(SECOND);
        let event = client.json().await;
        check_fields(&event, &MINI, "miniTicker");
        assert_eq!(event["e"], "24hrMiniTicker");
        assert_eq!(event["E"], MOMENT_MS + second * 1_000);
        let day = rig.json("/binance/api/v3/ticker/24hr?symbol=BTCUSDT").await;
        for (short, long) in [
            ("s", "symbol"),
            ("c", "lastPrice"),
            ("o", "openPrice"),
            ("h", "highPrice"),
            ("l", "lowPrice"),
            ("v", "volume"),
            ("q", "quoteVolume"),
        ] {
            assert_eq!(event[short], day[long], "{long}");
        }
    }
}

#[tokio::test]
async fn a_ticker_has_the_figures_of_the_whole_day() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws/ethusdt@ticker").await;
    rig.simulator.step(SECOND);
    let event = client.json().await;
    let fields: Vec<_> = MINI[1..].iter().chain(&ONLY_IN_TICKER).copied().collect();
    check_fields(&event, &fields, "ticker");
    let day = rig.json("/binance/api/v3/ticker/24hr?symbol=ETHUSDT").await;
    for (short, long) in [
        ("p", "priceChange"),
        ("P", "priceChangePercent"),
        ("w", "weightedAvgPrice"),
        ("x", "prevClosePrice"),
        ("Q", "lastQty"),
        ("b", "bidPrice"),
        ("a", "askPrice"),
        ("O", "openTime"),
        ("C", "closeTime"),
        ("F", "firstId"),
        ("L", "lastId"),
        ("n", "count"),
    ] {
        assert_eq!(event[short], day[long], "{long}");
    }
}

#[tokio::test]
async fn the_array_of_mini_tickers_has_the_coins_that_changed() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws/!miniTicker@arr").await;
    rig.simulator.step(SECOND);
    let event = client.json().await;
    let tickers = event.as_array().unwrap();
    assert_eq!(tickers.len(), 7);
    tickers
        .iter()
        .for_each(|ticker| check_fields(ticker, &MINI, "arr"));

    // Before Binance opened nothing was traded, so nothing changes.
    rig.simulator.set_time(frozen_at("2016-01-01T00:00:00Z"));
    assert!(client.json().await.is_array(), "everything changed");
    rig.simulator.step(SECOND);
    client.check_silence().await;
}

#[tokio::test]
async fn combined_streams_are_wrapped_with_their_names() {
    let rig = Rig::frozen().await;
    let path = "/stream?streams=btcusdt@miniTicker/solusdt@miniTicker/nope@miniTicker";
    let mut client = Client::new(&rig, path).await;
    rig.simulator.step(SECOND);
    for name in ["btcusdt@miniTicker", "solusdt@miniTicker"] {
        let event = client.json().await;
        check_fields(&event, &[("stream", Kind::Text), ("data", Kind::Map)], name);
        assert_eq!(event["stream"], name);
        check_fields(&event["data"], &MINI, name);
    }
    client.check_silence().await;
}

fn check_kline(event: &Value, bar: &[Value], is_closed: bool) {
    let fields = [
        ("e", Kind::Text),
        ("E", Kind::Integer),
        ("s", Kind::Text),
        ("k", Kind::Map),
    ];
    check_fields(event, &fields, "kline");
    check_fields(&event["k"], &KLINE, "k");
    assert_eq!(event["k"]["x"], is_closed);
    for (place, name) in ["t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(event["k"][name], bar[place], "{name}");
    }
}

#[tokio::test]
async fn klines_come_every_two_seconds_and_closed_bars_exactly_once() {
    let rig = Rig::at("2025-03-14T15:09:56.100Z").await;
    let mut client = Client::new(&rig, "/ws/btcusdt@kline_1m").await;
    let bars = |limit: usize| format!("symbol=BTCUSDT&interval=1m&limit={limit}");

    rig.simulator.step(SECOND);
    client.check_silence().await;
    rig.simulator.step(SECOND);
    check_kline(&client.json().await, &rig.bars(&bars(1)).await[0], false);

    rig.simulator.step(2 * SECOND);
    let two = rig.bars(&bars(2)).await;
    check_kline(&client.json().await, &two[0], true);
    check_kline(&client.json().await, &two[1], false);
    client.check_silence().await;

    rig.simulator.step(Duration::from_secs(300));
    let six = rig.bars(&bars(6)).await;
    for (place, bar) in six.iter().enumerate() {
        check_kline(&client.json().await, bar, place < 5);
    }
}

#[tokio::test]
async fn every_interval_has_a_stream() {
    let rig = Rig::frozen().await;
    let intervals = [
        "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d",
        "1w", "1M",
    ];
    let names = intervals.map(|interval| format!("adausdt@kline_{interval}"));
    let path = format!("/stream?streams={}", names.join("/"));
    let mut client = Client::new(&rig, &path).await;
    rig.simulator.step(2 * SECOND);
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < intervals.len() {
        let event = client.json().await;
        let interval = event["data"]["k"]["i"].as_str().unwrap().to_owned();
        assert_eq!(event["stream"], format!("adausdt@kline_{interval}"));
        seen.insert(interval);
    }
}

#[tokio::test]
async fn trades_are_numbered_without_gaps() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws/xrpusdt@aggTrade").await;
    let fields = [
        ("e", Kind::Text),
        ("E", Kind::Integer),
        ("s", Kind::Text),
        ("a", Kind::Integer),
        ("p", Kind::Decimal),
        ("q", Kind::Decimal),
        ("f", Kind::Integer),
        ("l", Kind::Integer),
        ("T", Kind::Integer),
        ("m", Kind::Flag),
        ("M", Kind::Flag),
    ];
    let mut last = None;
    for _ in 0..2 {
        rig.simulator.step(SECOND);
        for _ in 0..4 {
            let trade = client.json().await;
            check_fields(&trade, &fields, "aggTrade");
            let number = trade["a"].as_i64().unwrap();
            assert!(last.is_none_or(|last| number == last + 1), "{trade}");
            last = Some(number);
        }
    }
    client.check_silence().await;
}

#[tokio::test]
async fn a_frozen_market_is_silent_and_a_fast_one_hurries() {
    let rig = Rig::frozen().await;
    let mut client = Client::new(&rig, "/ws/btcusdt@kline_1m").await;
    client.check_silence().await;
    let moment = "2025-03-14T15:00:00Z".parse().unwrap();
    rig.simulator
        .set_time(SimTime::FastFrom { moment, speed: 600 });
    let mut closed = Vec::new();
    while closed.len() < 3 {
        let event = client.json().await;
        if event["k"]["x"] == true {
            closed.push(event["k"]["t"].as_i64().unwrap());
        }
    }
    assert_eq!([closed[1] - closed[0], closed[2] - closed[1]], [60_000; 2]);
}

#[tokio::test]
async fn running_time_sends_no_two_tickers_in_a_second() {
    let rig = Rig::with(SimOptions::default()).await;
    let mut client = Client::new(&rig, "/ws/btcusdt@miniTicker").await;
    let first = client.json().await["E"].as_i64().unwrap() / 1_000;
    let second = client.json().await["E"].as_i64().unwrap() / 1_000;
    assert!(second > first, "two in the second {first}");
}
