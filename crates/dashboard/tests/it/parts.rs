//! The HTTP face over rooms that the test holds in its own hands: what a whole application
//! shows too rarely, or too late.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use dashboard::cache::manager::CacheManager;
use dashboard::config::Config;
use dashboard::http::ws::Pace;
use dashboard::http::{self, Front, Rooms, listener};
use dashboard::live::hub::Hub;
use dashboard::live::refresher::Refresher;
use dashboard::market::bulletin::News;
use dashboard::market::service::DataService;
use dashboard::market::summary::Summary;
use futures_util::SinkExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::rig::until;
use crate::stand::{Caching, Stand};
use crate::ws::{Client, PATIENCE, close_code, joined_at, json};

/// More than any system keeps for one connection, at some 5 KB an update.
pub(crate) const UPDATES: usize = 3_000;

/// What a slow client is far behind.
const PUBLISHED: u64 = 100;

/// What a test does with the face it has built.
pub(crate) struct Parts {
    pub(crate) front: Front,
    pub(crate) hub: Hub,
    pub(crate) service: Arc<DataService>,
    tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Parts {
    /// Publishes it as the next update; its number.
    pub(crate) fn publish(&self, summary: &Arc<Summary>) -> u64 {
        let seq = self
            .hub
            .latest()
            .map_or(self.hub.starting_seq(), |last| last.seq)
            + 1;
        self.hub.publish(Arc::new(News {
            seq,
            timestamp: jiff::Timestamp::now(),
            source: "test".to_owned(),
            summary: Arc::clone(summary),
        }));
        seq
    }
}

/// A face whose refresher was stopped before its first round.
pub(crate) fn parts(config: Config, cache: Arc<CacheManager>, service: Arc<DataService>) -> Parts {
    let (hub, tasks) = (Hub::new(), TaskTracker::new());
    let stopped = CancellationToken::new();
    stopped.cancel();
    let refresher = Refresher::start(&config, Arc::clone(&service), hub.clone(), stopped);
    let stop = CancellationToken::new();
    let front = http::front(Rooms {
        config,
        cache,
        service: Arc::clone(&service),
        hub: hub.clone(),
        refresher,
        stop: stop.clone(),
        tasks: tasks.clone(),
        pace: Pace::default(),
    });
    Parts {
        front,
        hub,
        service,
        tasks,
        stop,
    }
}

async fn health(front: &Front) -> u16 {
    let request = Request::get("/health").header("host", "x");
    let request = request.body(Body::empty()).expect("a sound request");
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    front.answer(request, from).await.status().as_u16()
}

/// A client that takes nothing after the status of the answer.
pub(crate) async fn stuck_client(address: SocketAddr, request: &str, status: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("it listens");
    let asked = stream.write_all(request.as_bytes()).await;
    asked.expect("it reads");
    let mut answer = [0; 12];
    let answered = stream.read_exact(&mut answer).await;
    answered.expect("an answer");
    assert_eq!(
        String::from_utf8_lossy(&answer),
        format!("HTTP/1.1 {status}")
    );
    stream
}

/// A face whose clients come over sockets.
async fn listening() -> (Parts, SocketAddr) {
    let stand = Stand::new().await;
    let parts = parts(
        stand.config.clone(),
        stand.cache(),
        stand.service(Caching::Off),
    );
    let door = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = door.local_addr().expect("an address");
    tokio::spawn(listener::run(door, parts.front.clone(), parts.stop.clone()));
    (parts, address)
}

#[tokio::test]
async fn a_websocket_client_that_takes_no_update_is_given_up_within_fifteen_seconds_of_it() {
    let (parts, address) = listening().await;
    let summary = parts.service.fetch_dashboard_summary().await.value;
    // Neither buffer is ever full: nothing but the missing answer tells.
    let mut client = joined_at(address).await;
    let snapshot = json(&mut client).await;
    assert_eq!(snapshot["type"], "snapshot");
    parts.publish(&summary);
    let MaybeTlsStream::Plain(socket) = client.get_ref() else {
        panic!("a plain socket");
    };
    let arrived = timeout(PATIENCE, socket.peek(&mut [0])).await;
    arrived.expect("an update in time").expect("an open socket");

    // From here on waiting costs nothing: the clock jumps to the next deadline.
    tokio::time::pause();
    let since = Instant::now();
    parts.tasks.close();
    parts.tasks.wait().await;
    let took = since.elapsed();
    assert!(took <= Duration::from_secs(15), "{took:?}");
    assert!(took >= Duration::from_secs(9), "ten are its own: {took:?}");
    tokio::time::resume();
    // When it wakes up it finds out why.
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Policy));
    parts.stop.cancel();
}

#[tokio::test]
async fn a_websocket_client_that_reads_nothing_is_given_up_whatever_pongs_it_sends() {
    let (parts, address) = listening().await;
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let mut client = joined_at(address).await;
    assert_eq!(json(&mut client).await["type"], "snapshot");
    parts.publish(&summary);
    until("the update, unread", || async {
        (unread(&client).await.len() > 1).then_some(())
    })
    .await;
    for payload in [vec![], vec![0; 8], b"unasked".to_vec()] {
        let sent = client.send(Message::Pong(payload.into())).await;
        sent.expect("it takes messages");
    }
    // The reply, unread too, tells that the pongs before it were heard.
    let sent = client.send(Message::text("ping")).await;
    sent.expect("it takes messages");
    until("the reply to what came after the pongs", || async {
        unread(&client).await.ends_with(b"pong").then_some(())
    })
    .await;

    tokio::time::pause();
    let since = Instant::now();
    parts.tasks.close();
    parts.tasks.wait().await;
    let took = since.elapsed();
    assert!(took <= Duration::from_secs(15), "{took:?}");
    tokio::time::resume();
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Policy));
    parts.stop.cancel();
}

/// What has arrived and is left where it is.
async fn unread(client: &Client) -> Vec<u8> {
    let MaybeTlsStream::Plain(socket) = client.get_ref() else {
        panic!("a plain socket");
    };
    let mut bytes = vec![0; 65_536];
    let peeked = timeout(PATIENCE, socket.peek(&mut bytes)).await;
    bytes.truncate(peeked.expect("something in time").expect("an open socket"));
    bytes
}

#[tokio::test]
async fn a_slow_websocket_client_gets_no_backlog_and_hears_how_many_it_missed() {
    let (parts, address) = listening().await;
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let mut client = joined_at(address).await;
    assert_eq!(json(&mut client).await["type"], "snapshot");
    let mut newest = 0;
    for _ in 0..PUBLISHED {
        newest = parts.publish(&summary);
        // The session takes its turn, so that no update is skipped for want of one.
        tokio::task::yield_now().await;
    }
    let (mut updates, mut missed, mut seq) = (0, 0, 0);
    while seq < newest {
        let frame = json(&mut client).await;
        seq = frame["seq"].as_u64().expect("a number");
        match frame["type"].as_str() {
            Some("dashboard_update") => assert!(frame.get("missed").is_none(), "{frame}"),
            Some("snapshot") => missed += frame["missed"].as_u64().expect("a number"),
            other => panic!("{other:?}"),
        }
        updates += 1;
    }
    assert!(updates <= 5, "{updates}: a backlog");
    assert_eq!(updates + missed, PUBLISHED, "every update is accounted for");
    parts.stop.cancel();
}

#[tokio::test]
async fn a_dead_refresher_is_unhealthy() {
    let stand = Stand::new().await;
    let parts = parts(
        stand.config.clone(),
        stand.cache(),
        stand.service(Caching::Off),
    );
    assert_eq!(
        health(&parts.front).await,
        200,
        "its first round is not due"
    );
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(health(&parts.front).await, 503);
}
