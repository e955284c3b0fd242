//! Every fault, as a client meets it.

use std::time::{Duration, Instant};

use market_sim::{Fault, FaultKind, Poison, RetryAfter, Source};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::Rig;

const PRICE: &str = "/binance/api/v3/ticker/price?symbol=BTCUSDT";
const GLOBAL: &str = "/coingecko/api/v3/global";
const INDEX: &str = "/fng/fng/?limit=2";
const CALLS: [(Source, &str); 3] = [
    (Source::Binance, PRICE),
    (Source::CoinGecko, GLOBAL),
    (Source::Fng, INDEX),
];

#[tokio::test]
async fn latency_delays_the_right_answer() {
    let rig = Rig::frozen().await;
    let right = rig.get(PRICE).await.body;
    let delay = Duration::from_millis(120);
    rig.fail(Source::Binance, FaultKind::Latency { delay });
    let began = Instant::now();
    assert_eq!(rig.get(PRICE).await.body, right);
    assert!(began.elapsed() >= delay);
}

#[tokio::test]
async fn a_refusal_may_say_when_to_come_again_in_seconds_or_by_date() {
    let rig = Rig::frozen().await;
    let refused = |retry_after| FaultKind::Status {
        status: 429,
        retry_after,
    };
    let date = "Fri, 14 Mar 2025 15:10:00 GMT";
    for (source, path) in CALLS {
        for (retry_after, expected) in [
            (None, None),
            (Some(RetryAfter::Seconds(17)), Some("17")),
            (Some(RetryAfter::Text(date.into())), Some(date)),
        ] {
            rig.simulator.reset();
            rig.fail(source, refused(retry_after));
            let answer = rig.get(path).await;
            assert_eq!(answer.status, 429);
            assert_eq!(answer.header("retry-after"), expected, "{path}");
        }
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_come_with_200() {
    let rig = Rig::frozen().await;
    for (source, path) in CALLS {
        for (kind, media_type) in [
            (FaultKind::Html, "text/html"),
            (FaultKind::Garbage, "application/json"),
            (FaultKind::Empty, "application/json"),
        ] {
            rig.simulator.reset();
            rig.fail(source, kind.clone());
            let answer = rig.get(path).await;
            assert_eq!(answer.status, 200);
            assert!(
                answer
                    .header("content-type")
                    .unwrap()
                    .starts_with(media_type),
                "{kind:?}"
            );
            assert!(
                serde_json::from_slice::<Value>(&answer.body).is_err(),
                "{kind:?}"
            );
            assert_eq!(answer.body.is_empty(), kind == FaultKind::Empty);
        }
    }
}

#[tokio::test]
async fn poison_changes_figures_and_nothing_else() {
    let rig = Rig::frozen().await;
    let right = rig.json(PRICE).await["price"].as_str().unwrap().to_owned();
    let cap = rig.json(GLOBAL).await["data"]["total_market_cap"]["usd"]
        .as_f64()
        .unwrap();
    let value = rig.json(INDEX).await["data"][0]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    for (poison, price, total, mood) in [
        (
            Poison::Negative,
            json!(format!("-{right}")),
            json!(-cap),
            json!(format!("-{value}")),
        ),
        (
            Poison::Zero,
            json!("0.00000000"),
            json!(0),
            json!("0.00000000"),
        ),
        (Poison::Nan, json!("NaN"), json!("NaN"), json!("NaN")),
        (Poison::Text, json!("abc"), json!("abc"), json!("abc")),
        (Poison::Huge, json!("1e999"), json!("1e999"), json!("1e999")),
        (Poison::Null, Value::Null, Value::Null, Value::Null),
        (
            Poison::WrongType,
            json!(right.parse::<f64>().unwrap()),
            json!(cap.to_string()),
            json!(value.parse::<f64>().unwrap()),
        ),
    ] {
        rig.simulator.reset();
        CALLS
            .iter()
            .for_each(|(source, _)| rig.fail(*source, FaultKind::Poison { value: poison }));
        let body = rig.json(PRICE).await;
        assert_eq!(body, json!({"symbol": "BTCUSDT", "price": price}));
        assert_eq!(
            rig.json(GLOBAL).await["data"]["total_market_cap"]["usd"],
            total
        );
        let index = rig.json(INDEX).await;
        assert_eq!(index["data"][0]["value"], mood);
        assert!(index["data"][0]["timestamp"].is_string());
    }
    let bars = rig.bars("symbol=BTCUSDT&interval=1d&limit=2").await;
    assert!(
        bars.iter()
            .all(|bar| bar[0].is_i64() && bar[4].is_number() && bar[6].is_i64())
    );
}

/// What arrives on a bare connection until it ends.
async fn raw(rig: &Rig, path: &str) -> (Vec<u8>, std::io::Result<usize>) {
    let mut stream = TcpStream::connect(rig.simulator.address()).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    (bytes, end)
}

#[tokio::test]
async fn a_truncated_body_is_half_of_what_was_promised() {
    let rig = Rig::frozen().await;
    for (source, path) in CALLS {
        let right = rig.get(path).await.body;
        rig.fail(source, FaultKind::Truncated);
        let (bytes, end) = raw(&rig, path).await;
        end.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", right.len())),
            "{head}"
        );
        assert_eq!(body.as_bytes(), &right[..right.len() / 2]);
        let failure = rig
            .send("GET", path, "")
            .await
            .err()
            .expect("the client notices");
        assert!(failure.starts_with("body:"), "{failure}");
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_and_no_answer() {
    let rig = Rig::frozen().await;
    rig.fail(Source::CoinGecko, FaultKind::Reset);
    let (bytes, end) = raw(&rig, GLOBAL).await;
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_hang_never_answers_and_ends_with_the_simulator() {
    let rig = Rig::frozen().await;
    rig.fail(Source::Fng, FaultKind::Hang);
    let address = rig.simulator.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {INDEX} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(150), stream.read_u8()).await;
    assert!(silence.is_err(), "something was answered");
    assert_eq!(rig.simulator.calls()["fng /fng/"], 1);

    rig.simulator.stop().await;
    assert!(
        stream.read_u8().await.is_err(),
        "the connection ended without a byte"
    );
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free"
    );
}

#[tokio::test]
async fn dropping_the_simulator_ends_it_as_well() {
    let rig = Rig::frozen().await;
    let mut stream = TcpStream::connect(rig.simulator.address()).await.unwrap();
    drop(rig);
    assert!(stream.read_u8().await.is_err());
}

#[tokio::test]
async fn an_oversized_body_is_many_megabytes_without_a_length() {
    let rig = Rig::frozen().await;
    rig.fail(Source::Binance, FaultKind::Oversized);
    let answer = rig.get(PRICE).await;
    assert_eq!(answer.header("content-length"), None);
    assert!(answer.body.len() >= 8 << 20, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn a_fault_keeps_to_its_source_endpoint_and_times() {
    let rig = Rig::frozen().await;
    let failing = |status| FaultKind::Status {
        status,
        retry_after: None,
    };
    let klines = "/binance/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=1";
    let endpoint = Some("/api/v3/klines".to_owned());
    rig.simulator.inject(
        Source::Binance,
        Fault {
            kind: failing(500),
            endpoint,
            times: Some(2),
        },
    );
    rig.simulator.inject(
        Source::Binance,
        Fault {
            times: Some(1),
            ..Fault::always(failing(503))
        },
    );

    assert_eq!(rig.get(GLOBAL).await.status, 200);
    assert_eq!(rig.get(klines).await.status, 500, "the first in the queue");
    assert_eq!(
        rig.get(PRICE).await.status,
        503,
        "the first that concerns it"
    );
    assert_eq!(rig.get(PRICE).await.status, 200, "used up");
    assert_eq!(rig.get(klines).await.status, 500);
    assert_eq!(rig.get(klines).await.status, 200);
    let calls = rig.simulator.calls();
    assert_eq!(calls["binance /api/v3/klines"], 3, "failed calls count too");
    assert_eq!(calls["binance /api/v3/ticker/price"], 2);
    assert_eq!(calls["coingecko /api/v3/global"], 1);
}
