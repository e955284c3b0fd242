//! Coinbase Exchange and Kraken: their shapes, names and refusals.

use serde_json::Value;

use crate::rig::{MOMENT_MS, Rig, number};
use crate::shape::{Kind, check_fields, check_kind, check_rows};

const PRODUCTS: [(&str, &str); 6] = [
    ("BTC-USD", "BTCUSDT"),
    ("ETH-USD", "ETHUSDT"),
    ("SOL-USD", "SOLUSDT"),
    ("XRP-USD", "XRPUSDT"),
    ("ADA-USD", "ADAUSDT"),
    ("LINK-USD", "LINKUSDT"),
];

/// What Kraken is asked for, and what the answer calls it.
const PAIRS: [(&str, &str); 6] = [
    ("XBTUSD", "XXBTZUSD"),
    ("ETHUSD", "XETHZUSD"),
    ("SOLUSD", "SOLUSD"),
    ("XRPUSD", "XXRPZUSD"),
    ("ADAUSD", "ADAUSD"),
    ("LINKUSD", "LINKUSD"),
];

const MIDNIGHT_S: i64 = MOMENT_MS / 86_400_000 * 86_400;

#[tokio::test]
async fn coinbase_tickers_and_stats_are_decimals_in_strings() {
    let rig = Rig::frozen().await;
    let ticker = [
        ("trade_id", Kind::Integer),
        ("price", Kind::Decimal),
        ("size", Kind::Decimal),
        ("time", Kind::Text),
        ("bid", Kind::Decimal),
        ("ask", Kind::Decimal),
        ("volume", Kind::Decimal),
        ("rfq_volume", Kind::Decimal),
    ];
    let stats = [
        ("open", Kind::Decimal),
        ("high", Kind::Decimal),
        ("low", Kind::Decimal),
        ("last", Kind::Decimal),
        ("volume", Kind::Decimal),
        ("volume_30day", Kind::Decimal),
    ];
    for (product, _) in PRODUCTS {
        let path = format!("/coinbase/products/{product}");
        let quote = rig.json(&format!("{path}/ticker")).await;
        check_fields(&quote, &ticker, product);
        assert_eq!(quote["time"], crate::rig::MOMENT);
        check_fields(&rig.json(&format!("{path}/stats")).await, &stats, product);
    }
}

#[tokio::test]
async fn coinbase_candles_are_low_high_open_close_and_newest_first() {
    let rig = Rig::frozen().await;
    for granularity in [60, 300, 900, 3_600, 21_600, 86_400] {
        let path = format!("/coinbase/products/BTC-USD/candles?granularity={granularity}");
        let rows = rig.json(&path).await;
        check_rows(
            &rows,
            &[
                Kind::Integer,
                Kind::Number,
                Kind::Number,
                Kind::Number,
                Kind::Number,
                Kind::Number,
            ],
            &path,
        );
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), 300);
        assert_eq!(rows[0][0], MOMENT_MS / 1_000 / granularity * granularity);
        for pair in rows.windows(2) {
            let times = [0, 1].map(|place: usize| pair[place][0].as_i64().unwrap());
            assert_eq!(times[0] - times[1], granularity);
        }
        for row in rows {
            let [low, high, open, close] = [1, 2, 3, 4].map(|column: usize| number(&row[column]));
            assert!(low <= open.min(close) && open.max(close) <= high, "{row}");
        }
    }
}

#[tokio::test]
async fn coinbase_leaves_out_minutes_without_a_trade_and_takes_ranges() {
    let rig = Rig::frozen().await;
    let path = "/coinbase/products/LINK-USD/candles";
    let minutes = rig.json(path).await;
    let count = minutes.as_array().unwrap().len();
    assert!((200..300).contains(&count), "{count} of 300 minutes");
    for range in [
        format!("start={}&end={}", MIDNIGHT_S, MIDNIGHT_S + 7_200),
        "start=2025-03-14T00:00:00Z&end=2025-03-14T02:00:00Z".to_owned(),
    ] {
        let hours = rig.json(&format!("{path}?granularity=3600&{range}")).await;
        let times: Vec<i64> = hours
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[0].as_i64().unwrap())
            .collect();
        assert_eq!(times, [2, 1, 0].map(|hour| MIDNIGHT_S + hour * 3_600));
    }
}

#[tokio::test]
async fn coinbase_refuses_with_a_message() {
    let rig = Rig::frozen().await;
    for (path, status, message) in [
        ("BNB-USD/ticker", 404, Some("NotFound")),
        ("DOGE-USD/stats", 404, Some("NotFound")),
        ("BTC-USD/candles?granularity=61", 400, None),
        ("BTC-USD/candles?granularity=day", 400, None),
        ("BTC-USD/candles?start=yesterday&end=today", 400, None),
        ("BTC-USD/candles?start=100&end=50", 400, None),
        (
            "BTC-USD/candles?granularity=60&start=0&end=99999999",
            400,
            None,
        ),
    ] {
        let answer = rig.get(&format!("/coinbase/products/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        let body = answer.json();
        check_fields(&body, &[("message", Kind::Text)], path);
        assert!(
            message.is_none_or(|message| body["message"] == message),
            "{path}"
        );
    }
    let anonymous = rig.get_with("/coinbase/products/BTC-USD/ticker", &[]).await;
    assert_eq!(anonymous.status, 400, "a client has to say who it is");
}

#[tokio::test]
async fn kraken_answers_in_an_envelope_under_its_own_names() {
    let rig = Rig::frozen().await;
    let ticker = ["a", "b", "c", "v", "p", "t", "l", "h", "o"];
    let asked: Vec<&str> = PAIRS.iter().map(|(asked, _)| *asked).collect();
    let path = format!("/kraken/0/public/Ticker?pair={}", asked.join(","));
    let body = rig.json(&path).await;
    check_fields(
        &body,
        &[("error", Kind::List), ("result", Kind::Map)],
        "envelope",
    );
    assert_eq!(body["error"], serde_json::json!([]));
    assert_eq!(body["result"].as_object().unwrap().len(), PAIRS.len());
    for (asked, key) in PAIRS {
        let entry = &body["result"][key];
        assert_eq!(entry.as_object().unwrap().len(), ticker.len(), "{asked}");
        for (field, kinds) in [
            ("a", vec![Kind::Decimal; 3]),
            ("b", vec![Kind::Decimal; 3]),
            ("c", vec![Kind::Decimal; 2]),
            ("v", vec![Kind::Decimal; 2]),
            ("p", vec![Kind::Decimal; 2]),
            ("t", vec![Kind::Integer; 2]),
            ("l", vec![Kind::Decimal; 2]),
            ("h", vec![Kind::Decimal; 2]),
        ] {
            check_rows(&serde_json::json!([entry[field]]), &kinds, field);
        }
        check_kind(&entry["o"], Kind::Decimal, "o");
        let single = rig
            .json(&format!("/kraken/0/public/Ticker?pair={key}"))
            .await;
        assert_eq!(
            single["result"][key], *entry,
            "the key may be asked for too"
        );
    }
}

#[tokio::test]
async fn krakens_open_is_todays_and_not_that_of_24_hours_ago() {
    let rig = Rig::frozen().await;
    let body = rig.json("/kraken/0/public/Ticker?pair=XBTUSD").await;
    let today = rig
        .bars("symbol=BTCUSDT&interval=1d&limit=1")
        .await
        .swap_remove(0);
    let day = rig.json("/binance/api/v3/ticker/24hr?symbol=BTCUSDT").await;
    let entry = &body["result"]["XXBTZUSD"];
    assert_eq!(number(&entry["o"]), number(&today[1]));
    assert_eq!(number(&entry["h"][0]), number(&today[2]));
    assert_eq!(number(&entry["h"][1]), number(&day["highPrice"]));
    assert_ne!(number(&entry["o"]), number(&day["openPrice"]));
}

#[tokio::test]
async fn kraken_rows_end_with_an_unfinished_one_and_say_where_to_go_on() {
    let rig = Rig::frozen().await;
    let kinds = [
        Kind::Integer,
        Kind::Decimal,
        Kind::Decimal,
        Kind::Decimal,
        Kind::Decimal,
        Kind::Decimal,
        Kind::Decimal,
        Kind::Integer,
    ];
    for minutes in [1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600] {
        let path = format!("/kraken/0/public/OHLC?pair=XBTUSD&interval={minutes}");
        let result = rig.json(&path).await["result"].clone();
        check_fields(
            &result,
            &[("XXBTZUSD", Kind::List), ("last", Kind::Integer)],
            &path,
        );
        check_rows(&result["XXBTZUSD"], &kinds, &path);
        let rows = result["XXBTZUSD"].as_array().unwrap();
        assert!(rows.len() <= 720);
        assert_eq!(
            rows.len() == 720,
            minutes <= 1_440,
            "{minutes}: {}",
            rows.len()
        );
        assert_eq!(
            result["last"],
            rows[rows.len() - 2][0],
            "the last finished row"
        );
    }
    let last = MOMENT_MS / 3_600_000 * 3_600;
    let since = last - 7_200;
    let path = format!("/kraken/0/public/OHLC?pair=SOLUSD&interval=60&since={since}");
    let rows = rig.json(&path).await["result"]["SOLUSD"].clone();
    let times: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row[0]).collect();
    assert_eq!(times, [since, since + 3_600, last], "since is included");
}

#[tokio::test]
async fn kraken_fails_with_200_and_one_unknown_pair_fails_the_list() {
    let rig = Rig::frozen().await;
    for (path, error) in [
        ("Ticker?pair=BNBUSD", "EQuery:Unknown asset pair"),
        ("Ticker?pair=XBTUSD,DOGEUSD", "EQuery:Unknown asset pair"),
        ("OHLC?pair=BNBUSD", "EQuery:Unknown asset pair"),
        ("OHLC", "EGeneral:Invalid arguments"),
        ("OHLC?pair=XBTUSD&interval=7", "EGeneral:Invalid arguments"),
        ("OHLC?pair=XBTUSD&since=soon", "EGeneral:Invalid arguments"),
    ] {
        let body = rig.json(&format!("/kraken/0/public/{path}")).await;
        assert_eq!(body, serde_json::json!({"error": [error]}), "{path}");
    }
}

#[tokio::test]
async fn both_venues_ask_what_binance_asks() {
    let rig = Rig::frozen().await;
    for ((product, symbol), (asked, key)) in PRODUCTS.into_iter().zip(PAIRS) {
        let day = rig
            .json(&format!("/binance/api/v3/ticker/24hr?symbol={symbol}"))
            .await;
        let last = number(&day["lastPrice"]);
        let ticker = rig
            .json(&format!("/coinbase/products/{product}/ticker"))
            .await;
        assert_eq!(number(&ticker["price"]), last, "{product}");
        let stats = rig
            .json(&format!("/coinbase/products/{product}/stats"))
            .await;
        assert_eq!(
            number(&stats["open"]),
            number(&day["openPrice"]),
            "{product}"
        );
        assert!(number(&stats["volume"]) < number(&day["volume"]));
        let kraken = rig
            .json(&format!("/kraken/0/public/Ticker?pair={asked}"))
            .await;
        assert_eq!(number(&kraken["result"][key]["c"][0]), last, "{asked}");

        let bar = rig
            .bars(&format!("symbol={symbol}&interval=1h&limit=1"))
            .await
            .swap_remove(0);
        let candle = rig
            .json(&format!(
                "/coinbase/products/{product}/candles?granularity=3600"
            ))
            .await[0]
            .clone();
        let row = rig
            .json(&format!("/kraken/0/public/OHLC?pair={asked}&interval=60"))
            .await["result"][key]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone();
        for (binance, coinbase, kraken) in [(1, 3, 1), (2, 2, 2), (3, 1, 3), (4, 4, 4)] {
            let price = number(&bar[binance]);
            assert_eq!(number(&candle[coinbase as usize]), price, "{product}");
            assert_eq!(number(&row[kraken as usize]), price, "{asked}");
        }
    }
}
