//! TAAPI: indicators that agree with the simulator's own candles.

use market_sim::{FaultKind, Poison, Source, keys};
use serde_json::{Value, json};

use crate::rig::{Rig, number};
use crate::shape::{Kind, check_fields, check_kind};

fn path(indicator: &str, more: &str) -> String {
    format!(
        "/taapi/{indicator}?secret={}&exchange=binance&symbol=BTC/USDT{more}",
        keys::TAAPI_SECRET
    )
}

fn bulk(construct: &Value) -> String {
    json!({"secret": keys::TAAPI_SECRET, "construct": construct}).to_string()
}

async fn closes(rig: &Rig, interval: &str) -> Vec<f64> {
    let bars = rig
        .bars(&format!("symbol=BTCUSDT&interval={interval}"))
        .await;
    bars.iter().map(|bar| number(&bar[4])).collect()
}

/// Wilder's RSI, written once more and differently: from sums, not from means.
fn wilder(closes: &[f64], period: usize) -> f64 {
    let (mut gains, mut losses) = (0.0, 0.0);
    for (place, pair) in closes.windows(2).enumerate() {
        let change = pair[1] - pair[0];
        if place >= period {
            gains -= gains / period as f64;
            losses -= losses / period as f64;
        }
        gains += change.max(0.0);
        losses += (-change).max(0.0);
    }
    100.0 - 100.0 / (1.0 + gains / losses)
}

#[tokio::test]
async fn rsi_is_wilders_over_our_own_candles() {
    let rig = Rig::frozen().await;
    for interval in [
        "1m", "5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d", "1w",
    ] {
        let closes = closes(&rig, interval).await;
        for (period, back) in [(14, 0), (14, 1), (7, 3)] {
            let more = format!("&interval={interval}&period={period}&backtrack={back}");
            let answer = rig.json(&path("rsi", &more)).await;
            check_fields(&answer, &[("value", Kind::Number)], "rsi");
            let expected = wilder(&closes[..closes.len() - back], period);
            let found = number(&answer["value"]);
            assert!(
                (found - expected).abs() < 1e-6,
                "{interval} {found} {expected}"
            );
        }
    }
}

#[tokio::test]
async fn every_indicator_has_its_documented_fields() {
    let rig = Rig::frozen().await;
    for (indicator, fields) in [
        ("ema", &["value"][..]),
        ("sma", &["value"]),
        ("atr", &["value"]),
        ("macd", &["valueMACD", "valueMACDSignal", "valueMACDHist"]),
        (
            "bbands",
            &["valueUpperBand", "valueMiddleBand", "valueLowerBand"],
        ),
        ("stoch", &["valueK", "valueD"]),
    ] {
        let answer = rig.json(&path(indicator, "&interval=1h")).await;
        let fields: Vec<_> = fields.iter().map(|name| (*name, Kind::Number)).collect();
        check_fields(&answer, &fields, indicator);
    }
    let closes = closes(&rig, "1h").await;
    let last: f64 = closes[closes.len() - 20..].iter().sum::<f64>() / 20.0;
    let mean = number(&rig.json(&path("sma", "&interval=1h&period=20")).await["value"]);
    assert!((mean - last).abs() < 1e-6);
    let bands = rig.json(&path("bbands", "&interval=1h")).await;
    assert!((number(&bands["valueMiddleBand"]) - last).abs() < 1e-6);
    assert!(number(&bands["valueLowerBand"]) < last && last < number(&bands["valueUpperBand"]));
    let macd = rig.json(&path("macd", "&interval=1h")).await;
    let difference = number(&macd["valueMACD"]) - number(&macd["valueMACDSignal"]);
    assert!((difference - number(&macd["valueMACDHist"])).abs() < 1e-9);
}

#[tokio::test]
async fn several_results_come_as_a_list_newest_first() {
    let rig = Rig::frozen().await;
    for name in ["results", "backtracks"] {
        let list = rig
            .json(&path("rsi", &format!("&interval=1d&{name}=3")))
            .await;
        assert_eq!(list.as_array().unwrap().len(), 3);
        for (back, entry) in list.as_array().unwrap().iter().enumerate() {
            assert_eq!(entry["backtrack"], back);
            let single = rig
                .json(&path("rsi", &format!("&interval=1d&backtrack={back}")))
                .await;
            assert_eq!(entry["value"], single["value"]);
        }
    }
}

#[tokio::test]
async fn bulk_answers_each_calculation_beside_the_others() {
    let rig = Rig::frozen().await;
    let body = bulk(&json!({
        "exchange": "binance", "symbol": "BTC/USDT", "interval": "1h",
        "indicators": [
            {"indicator": "rsi", "id": "mine"},
            {"indicator": "rsi", "period": 21},
            {"indicator": "ichimoku"},
            {"indicator": "macd", "backtrack": 1},
        ],
    }));
    let answer = rig.post("/taapi/bulk", &body).await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    check_fields(&answer, &[("data", Kind::List)], "bulk");
    let data = answer["data"].as_array().unwrap();
    let entry = [
        ("id", Kind::Text),
        ("result", Kind::Map),
        ("errors", Kind::List),
    ];
    data.iter()
        .for_each(|item| check_fields(item, &entry, "entry"));
    let ids: Vec<&str> = data
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "mine",
            "binance_BTC/USDT_1h_rsi_21_0",
            "binance_BTC/USDT_1h_ichimoku_0",
            "binance_BTC/USDT_1h_macd_1",
        ]
    );
    let single = rig.json(&path("rsi", "&interval=1h")).await;
    assert_eq!(data[0]["result"], single, "as if asked for alone");
    assert_eq!(data[0]["errors"], json!([]));
    assert!(
        data[2]["errors"][0].is_string(),
        "one failure fails no other"
    );
    check_kind(&data[3]["result"]["valueMACD"], Kind::Number, "macd");
    assert_eq!(rig.simulator.calls()["taapi /bulk"], 1, "one call for all");
}

#[tokio::test]
async fn bad_requests_are_refused_with_an_error() {
    let rig = Rig::frozen().await;
    let secret = format!("secret={}", keys::TAAPI_SECRET);
    for (path, status) in [
        (
            "rsi?exchange=binance&symbol=BTC/USDT&interval=1d".to_owned(),
            401,
        ),
        (
            "rsi?secret=guess&exchange=binance&symbol=BTC/USDT&interval=1d".to_owned(),
            401,
        ),
        (
            format!("rsi?{secret}&exchange=nasdaq&symbol=BTC/USDT&interval=1d"),
            400,
        ),
        (
            format!("rsi?{secret}&exchange=binance&symbol=BTCUSDT&interval=1d"),
            400,
        ),
        (
            format!("rsi?{secret}&exchange=binance&symbol=BTC/USDT&interval=3m"),
            400,
        ),
        (
            format!("rsi?{secret}&exchange=binance&symbol=BTC/USDT"),
            400,
        ),
        (
            format!("rsi?{secret}&exchange=binance&symbol=BTC/USDT&interval=1d&period=0"),
            400,
        ),
        (
            format!("rsi?{secret}&exchange=binance&symbol=BTC/USDT&interval=1d&backtrack=51"),
            400,
        ),
        (
            format!("macd?{secret}&exchange=binance&symbol=BTC/USDT&interval=1d&optInSlowPeriod=3"),
            400,
        ),
        (
            format!("ichimoku?{secret}&exchange=binance&symbol=BTC/USDT&interval=1d"),
            404,
        ),
    ] {
        let answer = rig.get(&format!("/taapi/{path}")).await;
        assert_eq!(answer.status, status, "{path}");
        check_fields(&answer.json(), &[("error", Kind::Text)], &path);
    }
}

#[tokio::test]
async fn a_bad_bulk_is_refused_as_a_whole() {
    let rig = Rig::frozen().await;
    let construct = json!({"exchange": "binance", "symbol": "BTC/USDT", "interval": "1h",
        "indicators": vec![json!({"indicator": "rsi"}); 21]});
    for (body, status) in [
        (String::new(), 400),
        ("[]".to_owned(), 400),
        (json!({"secret": "guess", "construct": []}).to_string(), 401),
        (json!({"construct": []}).to_string(), 401),
        (bulk(&construct), 400),
    ] {
        let answer = rig.post("/taapi/bulk", &body).await;
        assert_eq!(answer.status, status, "{body}");
        check_fields(&answer.json(), &[("error", Kind::Text)], "bulk");
    }
    assert_eq!(rig.get("/taapi/bulk").await.status, 405);
}

#[tokio::test]
async fn a_value_may_come_as_a_list_on_order() {
    let rig = Rig::frozen().await;
    let right = rig.json(&path("rsi", "&interval=1d")).await;
    rig.fail(
        Source::Taapi,
        FaultKind::Poison {
            value: Poison::Listed,
        },
    );
    let listed = rig.json(&path("rsi", "&interval=1d")).await;
    assert_eq!(listed, json!({"value": [right["value"]]}));
}
