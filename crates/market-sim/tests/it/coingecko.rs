//! CoinGecko: what it answers, and in which shape.

use market_sim::keys;
use serde_json::Value;

use crate::rig::{MOMENT_MS, Rig, frozen_at, number};
use crate::shape::{Kind, check_fields, check_kind, check_rows};

#[tokio::test]
async fn global_has_the_documented_shape() {
    let rig = Rig::frozen().await;
    check_fields(
        &rig.json("/coingecko/api/v3/ping").await,
        &[("gecko_says", Kind::Text)],
        "ping",
    );
    let body = rig.json("/coingecko/api/v3/global").await;
    check_fields(&body, &[("data", Kind::Map)], "global");
    let fields = [
        ("active_cryptocurrencies", Kind::Integer),
        ("upcoming_icos", Kind::Integer),
        ("ongoing_icos", Kind::Integer),
        ("ended_icos", Kind::Integer),
        ("markets", Kind::Integer),
        ("total_market_cap", Kind::Map),
        ("total_volume", Kind::Map),
        ("market_cap_percentage", Kind::Map),
        ("market_cap_change_percentage_24h_usd", Kind::Number),
        ("volume_change_percentage_24h_usd", Kind::Number),
        ("updated_at", Kind::Integer),
    ];
    check_fields(&body["data"], &fields, "data");
    for (map, entry) in [
        ("total_market_cap", "usd"),
        ("total_market_cap", "btc"),
        ("total_volume", "usd"),
        ("market_cap_percentage", "btc"),
        ("market_cap_percentage", "eth"),
    ] {
        check_kind(&body["data"][map][entry], Kind::Number, map);
    }
}

const COINS: [(&str, &str); 7] = [
    ("bitcoin", "BTCUSDT"),
    ("ethereum", "ETHUSDT"),
    ("solana", "SOLUSDT"),
    ("ripple", "XRPUSDT"),
    ("cardano", "ADAUSDT"),
    ("chainlink", "LINKUSDT"),
    ("binancecoin", "BNBUSDT"),
];

const MARKET: [(&str, Kind); 26] = [
    ("id", Kind::Text),
    ("symbol", Kind::Text),
    ("name", Kind::Text),
    ("image", Kind::Text),
    ("current_price", Kind::Number),
    ("market_cap", Kind::Number),
    ("market_cap_rank", Kind::Integer),
    ("fully_diluted_valuation", Kind::NumberOrNull),
    ("total_volume", Kind::Number),
    ("high_24h", Kind::Number),
    ("low_24h", Kind::Number),
    ("price_change_24h", Kind::Number),
    ("price_change_percentage_24h", Kind::Number),
    ("market_cap_change_24h", Kind::Number),
    ("market_cap_change_percentage_24h", Kind::Number),
    ("circulating_supply", Kind::Number),
    ("total_supply", Kind::Number),
    ("max_supply", Kind::NumberOrNull),
    ("ath", Kind::Number),
    ("ath_change_percentage", Kind::Number),
    ("ath_date", Kind::Text),
    ("atl", Kind::Number),
    ("atl_change_percentage", Kind::Number),
    ("atl_date", Kind::Text),
    ("last_updated", Kind::Text),
    ("roi", Kind::MapOrNull),
];

#[tokio::test]
async fn simple_prices_are_keyed_by_id_and_leave_out_what_is_unknown() {
    let rig = Rig::frozen().await;
    let path = "/coingecko/api/v3/simple/price?ids=bitcoin,dogecoin,ripple&vs_currencies=usd,xyz";
    let plain = rig.json(path).await;
    let prices = [("usd", Kind::Number)];
    let coins = [("bitcoin", Kind::Map), ("ripple", Kind::Map)];
    check_fields(&plain, &coins, "simple");
    check_fields(&plain["bitcoin"], &prices, "bitcoin");

    let more = "&include_market_cap=true&include_24hr_vol=true&include_24hr_change=true\
        &include_last_updated_at=true&precision=2";
    let full = rig.json(&format!("{path}{more}")).await;
    let fields = [
        ("usd", Kind::Number),
        ("usd_market_cap", Kind::Number),
        ("usd_24h_vol", Kind::Number),
        ("usd_24h_change", Kind::Number),
        ("last_updated_at", Kind::Integer),
    ];
    check_fields(&full["ripple"], &fields, "ripple");
    let price = number(&full["ripple"]["usd"]);
    assert_eq!(price, (price * 100.0).round() / 100.0, "two places");
}

#[tokio::test]
async fn markets_are_ranked_rows_of_the_documented_shape() {
    let rig = Rig::frozen().await;
    let rows = rig
        .json("/coingecko/api/v3/coins/markets?vs_currency=usd")
        .await;
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), COINS.len());
    for (place, row) in rows.iter().enumerate() {
        check_fields(row, &MARKET, "market");
        assert_eq!(row["market_cap_rank"], place + 1);
        assert!(
            row["symbol"]
                .as_str()
                .unwrap()
                .chars()
                .all(char::is_lowercase)
        );
        assert!(row["last_updated"].as_str().unwrap().ends_with('Z'));
        assert!(number(&row["ath"]) >= number(&row["high_24h"]));
        assert!(number(&row["atl"]) <= number(&row["low_24h"]));
    }
    let of = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
    assert!(of("bitcoin")["roi"].is_null());
    let roi = [
        ("times", Kind::Number),
        ("currency", Kind::Text),
        ("percentage", Kind::Number),
    ];
    check_fields(&of("ethereum")["roi"], &roi, "roi");
    assert!(of("ethereum")["max_supply"].is_null());
    let caps = rows.iter().map(|row| &row["market_cap"]);
    assert!(
        caps.clone().all(Value::is_i64),
        "whole numbers are integers"
    );
}

#[tokio::test]
async fn markets_can_be_chosen_paged_and_extended() {
    let rig = Rig::frozen().await;
    let path = "/coingecko/api/v3/coins/markets?vs_currency=usd";
    let some = rig
        .json(&format!("{path}&ids=ripple,bitcoin&order=market_cap_asc"))
        .await;
    assert_eq!(some[0]["id"], "ripple");
    assert_eq!(some[1]["id"], "bitcoin");
    assert_eq!(some[2], Value::Null);
    let second = rig.json(&format!("{path}&per_page=3&page=2")).await;
    assert_eq!(second.as_array().unwrap().len(), 3);
    assert_eq!(second[0]["market_cap_rank"], 4);

    let more = "&ids=bitcoin&sparkline=true&price_change_percentage=1h,24h,7d";
    let row = rig.json(&format!("{path}{more}")).await[0].clone();
    let points = row["sparkline_in_7d"]["price"].as_array().unwrap();
    assert_eq!(points.len(), 168);
    assert!(points.iter().all(Value::is_number));
    for window in ["1h", "24h", "7d"] {
        let name = format!("price_change_percentage_{window}_in_currency");
        check_kind(&row[&name], Kind::Number, &name);
    }
    let day = number(&row["price_change_percentage_24h_in_currency"]);
    assert!((day - number(&row["price_change_percentage_24h"])).abs() < 1e-9);
}

#[tokio::test]
async fn a_chart_has_the_documented_steps_and_ends_now() {
    let rig = Rig::frozen().await;
    let pair = [Kind::Integer, Kind::Number];
    for (days, step_ms) in [
        (1, 300_000),
        (2, 3_600_000),
        (90, 3_600_000),
        (91, 86_400_000),
        (365, 86_400_000),
    ] {
        let path =
            format!("/coingecko/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days={days}");
        let chart = rig.json(&path).await;
        for name in ["prices", "market_caps", "total_volumes"] {
            let points = &chart[name];
            check_rows(points, &pair, name);
            let points = points.as_array().unwrap();
            assert_eq!(
                points.len() as i64,
                days * 86_400_000 / step_ms + 1,
                "{days} {name}"
            );
            assert_eq!(
                points[1][0].as_i64().unwrap() - points[0][0].as_i64().unwrap(),
                step_ms
            );
            assert_eq!(points.last().unwrap()[0], MOMENT_MS);
        }
    }
}

#[tokio::test]
async fn candles_of_a_coin_have_the_documented_shape_and_lengths() {
    let rig = Rig::frozen().await;
    let row = [
        Kind::Integer,
        Kind::Number,
        Kind::Number,
        Kind::Number,
        Kind::Number,
    ];
    for (days, count, step_ms) in [
        (1, 48, 1_800_000),
        (7, 42, 14_400_000),
        (90, 22, 345_600_000),
    ] {
        let path = format!("/coingecko/api/v3/coins/chainlink/ohlc?vs_currency=eur&days={days}");
        let rows = rig.json(&path).await;
        check_rows(&rows, &row, &path);
        assert_eq!(rows.as_array().unwrap().len(), count, "{days}");
        assert_eq!(
            rows[1][0].as_i64().unwrap() - rows[0][0].as_i64().unwrap(),
            step_ms
        );
    }
}

#[tokio::test]
async fn coins_cost_what_binance_said_at_the_last_minute() {
    let rig = Rig::frozen().await;
    let ids: Vec<&str> = COINS.iter().map(|(id, _)| *id).collect();
    let path = format!(
        "/coingecko/api/v3/simple/price?ids={}&vs_currencies=usd&include_24hr_change=true",
        ids.join(",")
    );
    let prices = rig.json(&path).await;
    rig.simulator.set_time(frozen_at("2025-03-14T15:09:00Z"));
    for (id, symbol) in COINS {
        let ticker = rig
            .json(&format!("/binance/api/v3/ticker/24hr?symbol={symbol}"))
            .await;
        assert_eq!(
            number(&prices[id]["usd"]),
            number(&ticker["lastPrice"]),
            "{id}"
        );
        let change = number(&prices[id]["usd_24h_change"]);
        assert!(
            (change - number(&ticker["priceChangePercent"])).abs() < 1e-3,
            "{id}"
        );
    }
}

#[tokio::test]
async fn bad_requests_are_refused_in_coingeckos_shapes() {
    let rig = Rig::frozen().await;
    for (path, status) in [
        ("coins/dogecoin/ohlc?vs_currency=usd&days=1", 404),
        ("coins/dogecoin/market_chart?vs_currency=usd&days=1", 404),
        ("coins/bitcoin/ohlc?vs_currency=usd&days=3", 400),
        ("coins/bitcoin/ohlc?vs_currency=usd", 400),
        ("coins/bitcoin/ohlc?vs_currency=xyz&days=1", 400),
        ("coins/bitcoin/market_chart?days=1", 400),
        ("coins/markets", 400),
        ("coins/markets?vs_currency=usd&page=0", 400),
        (
            "coins/markets?vs_currency=usd&price_change_percentage=3h",
            400,
        ),
        ("simple/price?ids=bitcoin", 400),
        (
            "simple/price?ids=bitcoin&vs_currencies=usd&precision=many",
            400,
        ),
    ] {
        let answer = rig.get(&format!("/coingecko/api/v3/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    for days in ["366", "max"] {
        let path =
            format!("/coingecko/api/v3/coins/bitcoin/market_chart?vs_currency=usd&days={days}");
        let answer = rig.get(&path).await;
        assert_eq!(answer.status, 401, "{days}");
        let status = &answer.json()["error"]["status"];
        check_kind(&status["error_code"], Kind::Integer, "error_code");
        check_kind(&status["error_message"], Kind::Text, "error_message");
    }
}

#[tokio::test]
async fn calls_need_no_key_but_a_wrong_one_is_refused() {
    let rig = Rig::frozen().await;
    let path = "/coingecko/api/v3/ping";
    let demo = "x-cg-demo-api-key";
    for (headers, status, code) in [
        (&[][..], 200, None),
        (&[(demo, keys::COINGECKO_API_KEY)], 200, None),
        (&[(demo, "guess")], 401, Some(10_002)),
        (
            &[("x-cg-pro-api-key", keys::COINGECKO_API_KEY)],
            400,
            Some(10_010),
        ),
    ] {
        let answer = rig.get_with(path, headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
        let found = answer.json()["error"]["status"]["error_code"].as_i64();
        assert_eq!(found, code, "{headers:?}");
    }
}
