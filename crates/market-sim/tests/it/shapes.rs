//! Field presence and JSON type of what Binance REST and alternative.me answer.

use serde_json::Value;

use crate::rig::Rig;
use crate::shape::{Kind, check_fields, check_kind};

const SYMBOLS: [&str; 7] = [
    "ADAUSDT", "BNBUSDT", "BTCUSDT", "ETHUSDT", "LINKUSDT", "SOLUSDT", "XRPUSDT",
];

const MINI: [(&str, Kind); 12] = [
    ("symbol", Kind::Text),
    ("lastPrice", Kind::Decimal),
    ("openPrice", Kind::Decimal),
    ("highPrice", Kind::Decimal),
    ("lowPrice", Kind::Decimal),
    ("volume", Kind::Decimal),
    ("quoteVolume", Kind::Decimal),
    ("openTime", Kind::Integer),
    ("closeTime", Kind::Integer),
    ("firstId", Kind::Integer),
    ("lastId", Kind::Integer),
    ("count", Kind::Integer),
];

const ONLY_IN_FULL: [(&str, Kind); 9] = [
    ("priceChange", Kind::Decimal),
    ("priceChangePercent", Kind::Decimal),
    ("weightedAvgPrice", Kind::Decimal),
    ("prevClosePrice", Kind::Decimal),
    ("lastQty", Kind::Decimal),
    ("bidPrice", Kind::Decimal),
    ("bidQty", Kind::Decimal),
    ("askPrice", Kind::Decimal),
    ("askQty", Kind::Decimal),
];

fn symbols_in(list: &Value) -> Vec<&str> {
    let mut symbols: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["symbol"].as_str().unwrap())
        .collect();
    symbols.sort_unstable();
    symbols
}

#[tokio::test]
async fn small_binance_answers_have_the_documented_shape() {
    let rig = Rig::frozen().await;
    assert_eq!(
        rig.json("/binance/api/v3/ping").await,
        serde_json::json!({})
    );
    let time = rig.json("/binance/api/v3/time").await;
    check_fields(&time, &[("serverTime", Kind::Integer)], "time");
    assert_eq!(time["serverTime"], crate::rig::MOMENT_MS);

    let average = [
        ("mins", Kind::Integer),
        ("price", Kind::Decimal),
        ("closeTime", Kind::Integer),
    ];
    let path = "/binance/api/v3/avgPrice?symbol=ETHUSDT";
    check_fields(&rig.json(path).await, &average, "average");

    let price = [("symbol", Kind::Text), ("price", Kind::Decimal)];
    check_fields(
        &rig.json("/binance/api/v3/ticker/price?symbol=ETHUSDT")
            .await,
        &price,
        "price",
    );
    let prices = rig.json("/binance/api/v3/ticker/price").await;
    assert_eq!(symbols_in(&prices), SYMBOLS);
    prices
        .as_array()
        .unwrap()
        .iter()
        .for_each(|item| check_fields(item, &price, "prices"));
}

#[tokio::test]
async fn day_ticker_has_the_documented_shape_for_one_some_and_all() {
    let rig = Rig::frozen().await;
    let full: Vec<_> = MINI.into_iter().chain(ONLY_IN_FULL).collect();
    let path = "/binance/api/v3/ticker/24hr";
    check_fields(
        &rig.json(&format!("{path}?symbol=BTCUSDT")).await,
        &full,
        "one",
    );

    let some = rig
        .json(&format!("{path}?symbols=%5B%22BNBUSDT%22,%22ADAUSDT%22%5D"))
        .await;
    assert_eq!(symbols_in(&some), ["ADAUSDT", "BNBUSDT"]);
    some.as_array()
        .unwrap()
        .iter()
        .for_each(|item| check_fields(item, &full, "some"));

    let all = rig.json(path).await;
    assert_eq!(symbols_in(&all), SYMBOLS);
    all.as_array()
        .unwrap()
        .iter()
        .for_each(|item| check_fields(item, &full, "all"));

    check_fields(
        &rig.json(&format!("{path}?symbol=BTCUSDT&type=MINI")).await,
        &MINI,
        "mini",
    );
}

#[tokio::test]
async fn day_ticker_writes_eight_decimals_and_three_of_percent() {
    let rig = Rig::frozen().await;
    for ticker in rig
        .json("/binance/api/v3/ticker/24hr")
        .await
        .as_array()
        .unwrap()
    {
        for (name, kind) in MINI.into_iter().chain(ONLY_IN_FULL) {
            if !matches!(kind, Kind::Decimal) {
                continue;
            }
            let text = ticker[name].as_str().unwrap();
            let places = text.split_once('.').unwrap().1.len();
            let expected = if name == "priceChangePercent" { 3 } else { 8 };
            assert_eq!(places, expected, "{name}: {text}");
        }
    }
}

#[tokio::test]
async fn klines_are_tuples_of_twelve_in_every_interval() {
    use Kind::{Decimal, Integer};
    let kinds = [
        Integer, Decimal, Decimal, Decimal, Decimal, Decimal, Integer, Decimal, Integer, Decimal,
        Decimal, Decimal,
    ];
    let rig = Rig::frozen().await;
    for interval in [
        "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d",
        "1w", "1M",
    ] {
        let bars = rig
            .bars(&format!("symbol=SOLUSDT&interval={interval}&limit=3"))
            .await;
        assert_eq!(bars.len(), 3, "{interval}");
        for bar in bars {
            assert_eq!(bar.len(), kinds.len(), "{interval}");
            for (value, kind) in bar.iter().zip(kinds) {
                check_kind(value, kind, interval);
            }
            assert_eq!(bar[11], "0");
        }
    }
}

#[tokio::test]
async fn exchange_rules_have_the_documented_shape() {
    let rig = Rig::frozen().await;
    let rules = rig.json("/binance/api/v3/exchangeInfo").await;
    let top = [
        ("timezone", Kind::Text),
        ("serverTime", Kind::Integer),
        ("rateLimits", Kind::List),
        ("exchangeFilters", Kind::List),
        ("symbols", Kind::List),
    ];
    check_fields(&rules, &top, "rules");
    let limit = [
        ("rateLimitType", Kind::Text),
        ("interval", Kind::Text),
        ("intervalNum", Kind::Integer),
        ("limit", Kind::Integer),
    ];
    rules["rateLimits"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(|item| {
            check_fields(item, &limit, "rateLimits");
        });
    assert_eq!(rules["rateLimits"][0]["limit"], 6_000);
    assert_eq!(symbols_in(&rules["symbols"]), SYMBOLS);
    let symbol = &rules["symbols"][0];
    for (name, kind) in [
        ("status", Kind::Text),
        ("baseAsset", Kind::Text),
        ("quoteAsset", Kind::Text),
        ("baseAssetPrecision", Kind::Integer),
        ("orderTypes", Kind::List),
        ("filters", Kind::List),
        ("permissionSets", Kind::List),
    ] {
        check_kind(&symbol[name], kind, name);
    }
    let one = rig
        .json("/binance/api/v3/exchangeInfo?symbol=BTCUSDT")
        .await;
    assert_eq!(symbols_in(&one["symbols"]), ["BTCUSDT"]);
}

#[tokio::test]
async fn fear_and_greed_has_the_documented_shape() {
    let rig = Rig::frozen().await;
    let value = [
        ("value", Kind::Decimal),
        ("value_classification", Kind::Text),
        ("timestamp", Kind::Decimal),
    ];
    let newest: Vec<_> = value
        .into_iter()
        .chain([("time_until_update", Kind::Decimal)])
        .collect();
    for path in [
        "/fng/fng/",
        "/fng/fng/?limit=5&format=json",
        "/fng/fng?limit=5",
    ] {
        let body = rig.json(path).await;
        let top = [
            ("name", Kind::Text),
            ("data", Kind::List),
            ("metadata", Kind::Map),
        ];
        check_fields(&body, &top, path);
        assert_eq!(body["metadata"], serde_json::json!({"error": null}));
        let data = body["data"].as_array().unwrap();
        assert_eq!(data.len(), if path.contains("limit") { 5 } else { 1 });
        check_fields(&data[0], &newest, "newest");
        data[1..]
            .iter()
            .for_each(|item| check_fields(item, &value, "older"));
    }
}
