//! Every source meets every fault, through the one door.

use std::time::{Duration, Instant};

use market_sim::{Fault, FaultKind, Source};
use serde_json::Value;

use crate::calls::CALLS;
use crate::rig::{Rig, number};

fn status(status: u16) -> FaultKind {
    FaultKind::Status {
        status,
        retry_after: None,
    }
}

/// Where an error body of the source has its sentence.
fn sentence_in(source: Source) -> &'static str {
    match source {
        Source::Binance => "/msg",
        Source::CoinGecko | Source::Cmc => "/status/error_message",
        Source::Fng => "/metadata/error",
        Source::Taapi | Source::Finnhub => "/error",
        Source::Coinbase => "/message",
        Source::Kraken => "/error/0",
        other => panic!("{other:?} has no such body"),
    }
}

#[tokio::test]
async fn a_status_comes_in_the_sources_own_shape_even_with_200() {
    let rig = Rig::frozen().await;
    for (source, path, _) in CALLS {
        for code in [200, 402, 429, 451, 500, 502, 503, 504] {
            rig.simulator.reset();
            rig.fail(source, status(code));
            let answer = rig.get(path).await;
            assert_eq!(answer.status, code, "{path}");
            let body = answer.json();
            let sentence = body.pointer(sentence_in(source));
            assert!(sentence.is_some_and(Value::is_string), "{path}: {body}");
        }
    }
    rig.simulator.reset();
    rig.fail(Source::Binance, status(403));
    let page = rig.get(CALLS[0].1).await;
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
}

#[tokio::test]
async fn a_limit_refuses_what_is_beyond_it_until_its_window_has_moved_on() {
    let rig = Rig::stepped().await;
    for (source, path, figure) in CALLS {
        let seconds = 15;
        rig.fail(source, FaultKind::RateLimit { calls: 2, seconds });
        for _ in 0..2 {
            assert!(rig.json(path).await.pointer(figure).is_some(), "{path}");
        }
        let refused = rig.get(path).await;
        let expected = if source == Source::Kraken { 200 } else { 429 };
        assert_eq!(refused.status, expected, "{path}");
        assert!(
            refused.json().pointer(sentence_in(source)).is_some(),
            "{path}"
        );
        rig.simulator.step(Duration::from_secs(14));
        assert!(
            rig.get(path).await.json().pointer(figure).is_none(),
            "{path}"
        );
        rig.simulator.step(Duration::from_secs(1));
        assert!(rig.json(path).await.pointer(figure).is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_skewed_source_has_prices_of_its_own_and_the_others_have_not() {
    let rig = Rig::frozen().await;
    for (source, path, figure) in CALLS {
        let right = number(rig.json(path).await.pointer(figure).unwrap());
        rig.fail(source, FaultKind::Skew { percent: 125 });
        let wrong = number(rig.json(path).await.pointer(figure).unwrap());
        let expected = if source == Source::Fng {
            right
        } else {
            right * 1.25
        };
        assert!(
            (wrong / expected - 1.0).abs() < 1e-6,
            "{path}: {right} {wrong}"
        );
        for (other, path, figure) in CALLS.iter().filter(|(other, ..)| *other != source) {
            rig.simulator.reset();
            let before = rig.json(path).await.pointer(figure).unwrap().clone();
            rig.fail(source, FaultKind::Skew { percent: 125 });
            let after = rig.json(path).await.pointer(figure).unwrap().clone();
            assert_eq!(before, after, "{other:?}");
        }
        rig.simulator.reset();
    }
}

#[tokio::test]
async fn a_source_that_is_behind_says_what_it_said_then() {
    let rig = Rig::stepped().await;
    let seconds = 2 * 86_400;
    for (source, path, _) in CALLS {
        let before = rig.get(path).await.json();
        rig.simulator.step(Duration::from_secs(seconds));
        assert_ne!(rig.get(path).await.json(), before, "{path}");
        let seconds = u32::try_from(seconds).unwrap();
        rig.fail(source, FaultKind::Behind { seconds });
        assert_eq!(rig.get(path).await.json(), before, "{path}");
        rig.simulator.reset();
    }
    let behind = Fault::always(FaultKind::Behind { seconds: 1 });
    assert!(behind.check(Source::BinanceWs).is_err());
}

#[tokio::test]
async fn an_answer_may_be_pending_canned_or_elsewhere() {
    let rig = Rig::frozen().await;
    let canned = |body: &str| FaultKind::Canned {
        status: 418,
        body: body.to_owned(),
    };
    for (source, path, figure) in CALLS {
        let once = Fault {
            times: Some(1),
            ..Fault::always(FaultKind::Pending)
        };
        rig.simulator.inject(source, once);
        let pending = rig.get(path).await;
        assert_eq!(pending.status, 202, "{path}");
        assert_eq!(pending.json()["pending"], true);
        assert!(
            rig.json(path).await.pointer(figure).is_some(),
            "and then it is there"
        );

        for (body, media_type) in [(r#"{"a":1}"#, "application/json"), ("<p>", "text/html")] {
            rig.simulator.reset();
            rig.fail(source, canned(body));
            let answer = rig.get(path).await;
            assert_eq!(answer.status, 418, "{path}");
            assert_eq!(answer.body, body);
            assert!(
                answer
                    .header("content-type")
                    .unwrap()
                    .starts_with(media_type)
            );
        }

        rig.simulator.reset();
        let to = "http://169.254.169.254/latest".to_owned();
        rig.fail(source, FaultKind::Redirect { to: to.clone() });
        let answer = rig.get(path).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, Some(&*to))
        );
        rig.simulator.reset();
    }
}

#[tokio::test]
async fn a_dripping_answer_is_the_right_one_and_takes_its_time() {
    let rig = Rig::frozen().await;
    // The two with the shortest answers: a millisecond a byte adds up.
    for (source, path) in [
        (Source::Finnhub, "/finnhub/api/v1/quote?symbol=SPY"),
        (Source::Fng, "/fng/fng/"),
    ] {
        let right = rig.get(path).await.body;
        let pause = Duration::from_millis(1);
        rig.fail(source, FaultKind::Drip { pause });
        let began = Instant::now();
        let answer = rig.get(path).await;
        assert!(began.elapsed() >= pause * right.len() as u32, "{path}");
        assert_eq!(answer.body, right, "{path}");
        assert_eq!(answer.number_in("content-length"), right.len() as u64);
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_small_until_it_is_unpacked() {
    let rig = Rig::frozen().await;
    for (source, path, _) in CALLS {
        rig.fail(source, FaultKind::GzipBomb);
        let answer = rig.get(path).await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert!(answer.body.len() < 500_000, "{} bytes", answer.body.len());
        assert_eq!(&answer.body[..2], [0x1f, 0x8b], "the mark of a gzip file");
    }
    let file = rig.get(CALLS[0].1).await.body;
    let (deflated, trailer) = file[10..].split_at(file.len() - 18);
    let unpacked = miniz_oxide::inflate::decompress_to_vec(deflated).unwrap();
    assert_eq!(unpacked.len(), 64 << 20);
    assert!(unpacked.iter().all(|byte| *byte == b' '));
    assert_eq!(trailer[4..], (64_u32 << 20).to_le_bytes());
}

#[tokio::test]
async fn calls_are_counted_by_endpoint_and_by_source() {
    let rig = Rig::frozen().await;
    for (_, path, _) in CALLS {
        rig.json(path).await;
    }
    rig.json("/coinbase/products/ETH-USD/ticker").await;
    rig.get("/kraken/0/public/Depth").await;
    let calls = rig.simulator.calls();
    assert_eq!(
        calls["coinbase /products/{id}/ticker"], 2,
        "whatever the product"
    );
    assert_eq!(calls["kraken (unknown)"], 1);
    for (source, count) in [
        (Source::Binance, 1),
        (Source::BinanceWs, 0),
        (Source::Coinbase, 2),
        (Source::Kraken, 2),
    ] {
        assert_eq!(rig.simulator.calls_of(source), count, "{source:?}");
        let by_source = rig.json("/control/calls?by=source").await;
        assert_eq!(by_source[source.name()], count);
    }
    assert_eq!(rig.get("/control/calls?by=day").await.status, 400);
}
