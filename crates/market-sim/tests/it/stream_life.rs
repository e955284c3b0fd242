//! How long a stream lives, and what goes wrong with it on order.

use std::time::Duration;

use market_sim::{Fault, FaultKind, Poison, Source};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use crate::rig::Rig;
use crate::stream_rig::Client;

const SECOND: Duration = Duration::from_secs(1);
const TICKER: &str = "/ws/btcusdt@miniTicker";

/// Close codes of RFC 6455.
const GOING_AWAY: Option<u16> = Some(1_001);
const POLICY: Option<u16> = Some(1_008);

fn on(endpoint: &str, kind: FaultKind) -> Fault {
    Fault {
        endpoint: Some(endpoint.to_owned()),
        ..Fault::always(kind)
    }
}

#[tokio::test]
async fn pings_come_every_twenty_seconds_and_answers_keep_it_alive() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, "/ws").await;
    for _ in 0..10 {
        rig.simulator.step(20 * SECOND);
        client.ping().await;
        client.flush().await;
        // The answer to this comes after the pong was heard.
        client.ask(r#"{"method":"LIST_SUBSCRIPTIONS"}"#).await;
    }
    assert_eq!(rig.simulator.open_streams(), 1);
}

#[tokio::test]
async fn a_ping_that_is_not_answered_for_a_minute_ends_it() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, "/ws").await;
    rig.simulator.step(20 * SECOND);
    let payload = client.ping().await;
    rig.simulator.step(60 * SECOND);
    assert_eq!(
        client.end().await,
        POLICY,
        "the answer to {payload:?} is late"
    );
}

#[tokio::test]
async fn a_pong_with_another_payload_is_no_answer() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, "/ws").await;
    rig.simulator.step(20 * SECOND);
    client.ping().await;
    // In the place of the answer that the library has ready.
    client.say(Message::Pong(Bytes::from_static(b"else"))).await;
    rig.simulator.step(60 * SECOND);
    assert_eq!(client.end().await, POLICY);
}

#[tokio::test]
async fn a_day_is_the_longest_life() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    rig.simulator.step(Duration::from_secs(86_400));
    assert_eq!(client.end().await, GOING_AWAY);
}

#[tokio::test]
async fn the_sixth_message_within_a_second_is_one_too_many() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, "/ws").await;
    for _ in 0..5 {
        client.ask(r#"{"method":"LIST_SUBSCRIPTIONS"}"#).await;
    }
    rig.simulator.step(SECOND);
    for _ in 0..5 {
        client.ask(r#"{"method":"LIST_SUBSCRIPTIONS"}"#).await;
    }
    client.say(Message::Ping(Bytes::new())).await;
    assert_eq!(client.end().await, POLICY);
}

#[tokio::test]
async fn the_three_hundred_and_first_attempt_within_five_minutes_is_refused() {
    let rig = Rig::stepped().await;
    for _ in 0..300 {
        // Not even a handshake, and an attempt all the same.
        assert_eq!(rig.get("/binance-ws/ws").await.status, 400);
    }
    assert_eq!(refusal(&rig).await, 429);
    rig.simulator.step(Duration::from_secs(300));
    Client::new(&rig, TICKER).await;
}

/// The status that a handshake is refused with.
async fn refusal(rig: &Rig) -> u16 {
    match Client::try_new(rig, TICKER).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the handshake was accepted"),
    }
}

#[tokio::test]
async fn a_handshake_is_refused_counted_and_left_hanging_like_any_call() {
    let rig = Rig::stepped().await;
    for status in [429, 451, 503] {
        rig.simulator.reset();
        rig.fail(
            Source::BinanceWs,
            FaultKind::Status {
                status,
                retry_after: None,
            },
        );
        assert_eq!(refusal(&rig).await, status);
        assert_eq!(rig.simulator.calls()["binance-ws /ws"], 1);
    }
    rig.simulator.reset();
    rig.fail(Source::BinanceWs, FaultKind::Reset);
    assert!(Client::try_new(&rig, TICKER).await.is_err());
    assert_eq!(rig.get("/binance/api/v3/ping").await.status, 200);
    assert_eq!(rig.simulator.calls_of(Source::BinanceWs), 1);
}

#[tokio::test]
async fn orders_for_all_streams_end_them_or_announce_their_end() {
    let rig = Rig::stepped().await;
    let mut raw = Client::new(&rig, TICKER).await;
    let mut combined = Client::new(&rig, "/stream?streams=btcusdt@miniTicker").await;
    assert_eq!(rig.simulator.open_streams(), 2);

    rig.simulator.announce_shutdown();
    let event = raw.json().await;
    assert_eq!(event["e"], "serverShutdown");
    assert!(event["E"].is_i64());
    let event = combined.json().await;
    assert_eq!(event["stream"], "!serverShutdown");
    assert_eq!(event["data"]["e"], "serverShutdown");

    rig.simulator.drop_streams();
    assert_eq!(raw.end().await, None, "without a close frame");
    assert_eq!(combined.end().await, None);
    Client::new(&rig, TICKER).await;
}

#[tokio::test]
async fn silence_keeps_the_connection_and_drops_the_messages() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    rig.simulator
        .inject(Source::BinanceWs, on("frames", FaultKind::Hang));
    rig.simulator.step(SECOND);
    client.check_silence().await;
    rig.simulator.step(19 * SECOND);
    client.ping().await;
    rig.simulator.reset();
    rig.simulator.step(SECOND);
    client.json().await;
}

#[tokio::test]
async fn without_pings_everything_else_goes_on() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    rig.simulator
        .inject(Source::BinanceWs, on("pings", FaultKind::Hang));
    rig.simulator.step(300 * SECOND);
    match client.next().await {
        Some(Ok(Message::Text(_))) => {}
        other => panic!("{other:?}"),
    }
    client.check_silence().await;
}

#[tokio::test]
async fn a_slow_stream_is_late_with_the_right_messages() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    let delay = 3 * SECOND;
    rig.simulator.inject(
        Source::BinanceWs,
        on("frames", FaultKind::Latency { delay }),
    );
    rig.simulator.step(SECOND);
    client.check_silence().await;
    rig.simulator.step(delay);
    assert_eq!(client.json().await["s"], "BTCUSDT");
}

#[tokio::test]
async fn messages_are_spoilt_in_every_way_that_answers_are() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    for (kind, is_fitting) in [
        (FaultKind::Garbage, is_no_json as fn(&str) -> bool),
        (FaultKind::Html, |text| text.starts_with("<!DOCTYPE html>")),
        (FaultKind::Empty, str::is_empty),
        (FaultKind::Truncated, is_no_json),
        (FaultKind::Oversized, |text| text.len() > 8 << 20),
        (
            FaultKind::Status {
                status: 500,
                retry_after: None,
            },
            |text| text.contains("\"code\":-1000"),
        ),
        (FaultKind::Poison { value: Poison::Nan }, |text| {
            text.contains(r#""c":"NaN""#)
        }),
        (
            FaultKind::PoisonField {
                field: "c".into(),
                value: Poison::Null,
            },
            |text| text.contains(r#""c":null"#) && !text.contains(r#""o":null"#),
        ),
    ] {
        let once = Fault {
            times: Some(1),
            ..on("frames", kind.clone())
        };
        rig.simulator.inject(Source::BinanceWs, once);
        rig.simulator.step(SECOND);
        let text = client.text().await;
        assert!(
            is_fitting(&text),
            "{kind:?}: {}",
            &text[..text.len().min(200)]
        );
        rig.simulator.step(SECOND);
        client.json().await;
    }
}

fn is_no_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_err()
}

#[tokio::test]
async fn a_reset_message_breaks_the_connection() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    rig.simulator
        .inject(Source::BinanceWs, on("frames", FaultKind::Reset));
    rig.simulator.step(SECOND);
    match client.next().await {
        Some(Err(Error::Io(error))) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_open_stream_ends_with_the_simulator() {
    let rig = Rig::stepped().await;
    let mut client = Client::new(&rig, TICKER).await;
    rig.simulator.stop().await;
    assert_eq!(client.end().await, None);
}
