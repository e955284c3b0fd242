//! `/ws`: order, liveness, and who may come in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dashboard::http::ws::Pace;
use futures_util::{SinkExt, StreamExt};
use market_sim::FaultKind;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::redis::Redis;
use crate::rig::{Rig, simulator, until};
use crate::stand::break_every_source;

pub(crate) type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn join(rig: &Rig, origin: Option<&str>) -> Result<Client, Error> {
    let mut request = format!("ws://{}/ws", rig.address).into_client_request()?;
    if let Some(origin) = origin {
        request
            .headers_mut()
            .insert("origin", origin.parse().expect("a header value"));
    }
    connect_async(request).await.map(|(client, _)| client)
}

pub(crate) async fn joined(rig: &Rig) -> Client {
    join(rig, None).await.expect("a WebSocket")
}

/// A client of a program elsewhere.
pub(crate) async fn joined_at(address: SocketAddr) -> Client {
    let (client, _) = connect_async(format!("ws://{address}/ws"))
        .await
        .expect("a WebSocket");
    client
}

/// The next text, pings passed over.
pub(crate) async fn text(client: &mut Client) -> String {
    loop {
        let message = timeout(PATIENCE, client.next())
            .await
            .expect("a message in time");
        match message
            .expect("an open WebSocket")
            .expect("a sound message")
        {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("a text, not {other:?}"),
        }
    }
}

pub(crate) async fn json(client: &mut Client) -> Value {
    serde_json::from_str(&text(client).await).expect("JSON")
}

/// The first frame that is no update.
async fn reply(client: &mut Client) -> String {
    loop {
        let text = text(client).await;
        if !text.contains("dashboard_update") && !text.contains("snapshot") {
            return text;
        }
    }
}

/// Reads on until the service closes, and says with which code.
pub(crate) async fn close_code(client: &mut Client) -> Option<CloseCode> {
    let reading = async {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("a close in time")
}

#[tokio::test]
async fn a_snapshot_comes_first_and_updates_follow_in_rising_order() {
    let rig = Rig::start(&[]).await;
    rig.warm().await;
    let mut client = joined(&rig).await;
    let snapshot = json(&mut client).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert!(snapshot["data"]["btc_price_usd"].is_number(), "{snapshot}");
    assert!(snapshot["timestamp"].is_string() && snapshot["source"].is_string());
    let mut last = snapshot["seq"].as_u64().expect("a number");
    for _ in 0..3 {
        let update = json(&mut client).await;
        assert_eq!(update["type"], "dashboard_update");
        assert!(update["data"]["fields"].is_object());
        let seq = update["seq"].as_u64().expect("a number");
        assert!(seq > last, "{seq} after {last}");
        last = seq;
    }
}

#[tokio::test]
async fn a_snapshot_without_figures_has_a_number_below_the_updates_and_not_below_earlier_ones() {
    let earlier = Rig::start(&[]).await;
    earlier.warm().await;
    let mut client = joined(&earlier).await;
    let told = json(&mut client).await["seq"].as_u64().expect("a number");
    earlier.stop().await;

    let simulator = simulator().await;
    break_every_source(&simulator, &FaultKind::Hang);
    let restarted = Rig::start_with(
        &[("UPSTREAM_TIMEOUT_MS", "2000")],
        Pace::default(),
        simulator,
    )
    .await;
    let mut client = joined(&restarted).await;
    let snapshot = json(&mut client).await;
    assert!(snapshot["data"].is_null(), "{snapshot}");
    let empty = snapshot["seq"].as_u64().expect("a number");
    assert!(empty > told, "{empty} after {told}");
    let update = json(&mut client).await;
    assert!(update["seq"].as_u64() > Some(empty), "{update}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_instance_whose_sources_hang_answers_at_once_with_what_redis_has() {
    let redis = Redis::start().await;
    let address = redis.address();
    let settings = [
        ("REDIS_URL", address.as_str()),
        // The machine of the tests may be busy; an answering Redis is the point here.
        ("L2_TIMEOUT_MS", "900"),
    ];
    let earlier = Rig::start(&settings).await;
    earlier.warm().await;
    // A round begins when the one before it is stored.
    let mut client = joined(&earlier).await;
    for _ in 0..3 {
        json(&mut client).await;
    }
    earlier.stop().await;
    // With the last good figures at hand no source would be due yet, and the first round short.
    let live = redis.command(&["KEYS", "*dashboard:live*"]);
    for key in live.lines() {
        redis.command(&["DEL", key]);
    }

    let simulator = simulator().await;
    break_every_source(&simulator, &FaultKind::Hang);
    let restarted = Rig::start_with(&settings, Pace::default(), simulator).await;
    // The round is under way, and it has nothing to say for eight seconds.
    until("the first round to ask", || async {
        (!restarted.simulator.calls().is_empty()).then_some(())
    })
    .await;
    let asked = Instant::now();
    let summary = restarted.summary().await;
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert!(summary["btc_price_usd"].is_number(), "{summary}");
    let snapshot = json(&mut joined(&restarted).await).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert!(snapshot["data"]["btc_price_usd"].is_number(), "{snapshot}");
    assert_eq!(snapshot["source"], "store");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_joins_an_instance_at_its_start_is_told_what_the_others_have_and_no_later_number() {
    let redis = Redis::start().await;
    let address = redis.address();
    let settings = [
        ("REDIS_URL", address.as_str()),
        ("L2_TIMEOUT_MS", "900"),
        ("REFRESH_INTERVAL_SECONDS", "3600"),
    ];
    let leader = Rig::start(&settings).await;
    leader.warm().await;
    let told = async |rig: &Rig| json(&mut joined(rig).await).await;
    let mut before = until("a published round", || async {
        let snapshot = told(&leader).await;
        (!snapshot["data"].is_null()).then_some(snapshot)
    })
    .await;
    for _ in 0..3 {
        let follower = Rig::start(&settings).await;
        let here = told(&follower).await;
        let after = told(&leader).await;
        assert!(!here["data"].is_null(), "{here}");
        let [low, seq, high] = [&before, &here, &after].map(|told| told["seq"].as_u64());
        assert!(low <= seq && seq <= high, "{low:?}, {seq:?}, {high:?}");
        before = after;
    }
}

#[tokio::test]
async fn all_clients_get_the_same_update() {
    let rig = Rig::start(&[]).await;
    rig.warm().await;
    let mut first = joined(&rig).await;
    let mut second = joined(&rig).await;
    let wanted = json(&mut first).await["seq"]
        .as_u64()
        .max(json(&mut second).await["seq"].as_u64());
    let after = async |client: &mut Client| loop {
        let text = text(client).await;
        let seq = serde_json::from_str::<Value>(&text).expect("JSON")["seq"].as_u64();
        if seq > wanted {
            return text;
        }
    };
    assert_eq!(after(&mut first).await, after(&mut second).await);
}

#[tokio::test]
async fn pings_are_answered_and_nonsense_is_named() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let mut client = joined(&rig).await;
    let table = [
        (Message::text("ping"), "pong"),
        (Message::text(r#"{"type":"ping"}"#), r#"{"type":"pong"}"#),
        (
            Message::text(r#"{"type":"ping","id":7}"#),
            r#"{"type":"pong"}"#,
        ),
        (Message::text(r#"{"type":"dance"}"#), r#"{"type":"error""#),
        (Message::text("{"), r#"{"type":"error""#),
        (Message::text("[]"), r#"{"type":"error""#),
        (Message::text(""), r#"{"type":"error""#),
        (Message::binary(vec![1, 2, 3]), r#"{"type":"error""#),
    ];
    for (sent, expected) in table {
        client.send(sent.clone()).await.expect("it takes messages");
        let reply = reply(&mut client).await;
        assert!(reply.starts_with(expected), "{sent:?}: {reply}");
    }
}

#[tokio::test]
async fn only_our_own_and_listed_origins_come_in() {
    let rig = Rig::start(&[("ALLOWED_ORIGINS", "https://board.example")]).await;
    let own = format!("http://{}", rig.address);
    for origin in [None, Some(own.as_str()), Some("https://board.example")] {
        assert!(join(&rig, origin).await.is_ok(), "{origin:?}");
    }
    let foreign = [
        "null",
        "https://evil.example",
        "http://board.example",
        "https://board.example.evil.example",
    ];
    for origin in foreign {
        match join(&rig, Some(origin)).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 403, "{origin}"),
            other => panic!("{origin}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_handshake_the_answer_is_a_problem() {
    let rig = Rig::start(&[]).await;
    let reply = rig.get("/ws").await;
    assert_eq!(reply.status, 426);
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
}

#[tokio::test]
async fn the_places_are_limited_and_given_back() {
    let rig = Rig::start(&[("WS_MAX_PER_ADDRESS", "2"), ("WS_MAX_CLIENTS", "10")]).await;
    let first = joined(&rig).await;
    let _second = joined(&rig).await;
    match join(&rig, None).await {
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 429);
            assert!(answer.headers().contains_key("retry-after"));
        }
        other => panic!("a third place: {other:?}"),
    }
    drop(first);
    until("a place given back", || async {
        join(&rig, None).await.ok()
    })
    .await;
}

#[tokio::test]
async fn a_flood_is_closed_with_1008() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let mut client = joined(&rig).await;
    for _ in 0..60 {
        if client.send(Message::text("ping")).await.is_err() {
            break;
        }
    }
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Policy));
}

#[tokio::test]
async fn a_flood_of_pings_is_closed_with_1008() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    for flood in [
        Message::Ping(Vec::new().into()),
        Message::Pong(Vec::new().into()),
    ] {
        let mut client = joined(&rig).await;
        for _ in 0..60 {
            if client.send(flood.clone()).await.is_err() {
                break;
            }
        }
        let code = close_code(&mut client).await;
        assert_eq!(code, Some(CloseCode::Policy), "{flood:?}");
    }
    assert!(join(&rig, None).await.is_ok(), "the others go on");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_closed_with_1009() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let mut client = joined(&rig).await;
    client
        .send(Message::text("x".repeat(5000)))
        .await
        .expect("it is sent");
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Size));
    assert!(join(&rig, None).await.is_ok(), "the others go on");
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let mut client = joined(&rig).await;
    let words = CloseFrame {
        code: CloseCode::Normal,
        reason: "done".into(),
    };
    client.close(Some(words)).await.expect("it is sent");
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Normal));
}

#[tokio::test]
async fn a_silent_client_is_given_up() {
    let pace = Pace {
        ping_every: Duration::from_millis(100),
        answer_within: Duration::from_millis(300),
    };
    let rig = Rig::start_with(
        &[
            ("REFRESH_INTERVAL_SECONDS", "3600"),
            ("ADMIN_TOKEN", crate::rig::TOKEN),
        ],
        pace,
        simulator().await,
    )
    .await;
    let mut lively = joined(&rig).await;
    let silent = joined(&rig).await;
    // A client answers pings only while it reads; the silent one does not.
    let read_on = async { while let Some(Ok(_)) = lively.next().await {} };
    let observed = until("one seat left", || async {
        (open_seats(&rig).await == 1).then_some(())
    });
    tokio::select! {
        () = read_on => panic!("the lively client was closed"),
        () = observed => {}
    }
    drop(silent);
}

pub(crate) async fn open_seats(rig: &Rig) -> u64 {
    let sent = format!("Bearer {}", crate::rig::TOKEN);
    let reply = rig
        .call("GET", "/admin/cache/stats", &[("Authorization", &sent)])
        .await;
    reply.json()["websockets"]["open"]
        .as_u64()
        .unwrap_or(u64::MAX)
}

#[tokio::test]
async fn a_client_that_never_reads_holds_up_nobody() {
    let rig = Rig::start(&[]).await;
    rig.warm().await;
    let stuck = joined(&rig).await;
    let mut reading = joined(&rig).await;
    for _ in 0..3 {
        json(&mut reading).await;
    }
    drop(stuck);
}

#[tokio::test]
async fn stopping_says_1001_to_everybody() {
    let mut rig = Rig::start(&[]).await;
    let mut clients = [joined(&rig).await, joined(&rig).await];
    rig.tell_to_stop();
    for client in &mut clients {
        assert_eq!(close_code(client).await, Some(CloseCode::Away));
    }
    drop(clients);
    rig.stop().await;
}
