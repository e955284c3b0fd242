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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::stand::{Caching, Stand};

/// More than any system keeps for one connection, at some 5 KB an update.
pub(crate) const UPDATES: usize = 3_000;

/// So long that no ping and no silence ends a session first.
const NEVER: Pace = Pace {
    ping_every: Duration::from_secs(86_400),
    silence: Duration::from_secs(86_400),
};

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
        pace: NEVER,
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

#[tokio::test]
async fn a_websocket_client_that_takes_nothing_is_given_up() {
    let handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let stand = Stand::new().await;
    let parts = parts(
        stand.config.clone(),
        stand.cache(),
        stand.service(Caching::Off),
    );
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let door = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = door.local_addr().expect("an address");
    tokio::spawn(listener::run(door, parts.front.clone(), parts.stop.clone()));
    let _client = stuck_client(address, handshake, "101").await;
    for _ in 0..UPDATES {
        parts.publish(&summary);
        // The session takes its turn, so that no update is skipped for a newer one.
        tokio::task::yield_now().await;
    }
    assert_eq!(parts.tasks.len(), 1, "the session waits for its client");

    // From here on waiting costs nothing: the clock jumps to the next deadline.
    tokio::time::pause();
    let since = Instant::now();
    parts.tasks.close();
    let ended = timeout(Duration::from_secs(60), parts.tasks.wait()).await;
    assert!(ended.is_ok(), "it was kept for {:?}", since.elapsed());
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
