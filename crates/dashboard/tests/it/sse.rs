//! `/api/v1/stream`: the same updates as over `/ws`, as server-sent events.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::Request,
};
use dashboard::http::listener;
use futures_util::StreamExt as _;
use reqwest::{Client, Response, StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use crate::{
    parts::{Parts, UPDATES, parts, stuck_client},
    rig::{Rig, TOKEN, until},
    stand::{Caching, Stand},
    ws::{join, joined, open_seats, text},
};

const PATH: &str = "/api/v1/stream";
const REQUEST: &str = "GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n";
/// What a slow client is far behind: half a megabyte.
const PUBLISHED: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// An event as a browser would see it.
#[derive(Debug, Default)]
struct Event {
    kind: String,
    id: u64,
    data: String,
    retry: Option<u64>,
}

struct Listener {
    headers: HeaderMap,
    response: Response,
    unread: String,
}

async fn ask(rig: &Rig, headers: &[(&str, &str)]) -> Response {
    let client = Client::builder().no_proxy().tls_certs_only([]).build();
    let url = format!("http://{}{PATH}", rig.address);
    let mut request = client.expect("a client").get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answered = timeout(PATIENCE, request.send()).await;
    answered.expect("an answer in time").expect("an answer")
}

async fn listening(rig: &Rig, headers: &[(&str, &str)]) -> Listener {
    let response = ask(rig, headers).await;
    assert_eq!(response.status(), StatusCode::OK);
    Listener {
        headers: response.headers().clone(),
        response,
        unread: String::new(),
    }
}

impl Listener {
    /// The next event, comments passed over; none at the end of the stream.
    async fn event(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let event = parse(event);
                self.unread = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("an event in time").expect("a sound stream")?;
            self.unread
                .push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    async fn next(&mut self) -> Event {
        self.event().await.expect("the stream goes on")
    }
}

fn parse(text: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in text.lines() {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name {
            "event" => value.clone_into(&mut event.kind),
            "id" => event.id = value.parse().expect("a number"),
            "data" => event.data.push_str(value),
            "retry" => event.retry = Some(value.parse().expect("a number")),
            other => assert!(other.starts_with(':'), "{line}"),
        }
    }
    (!event.data.is_empty()).then_some(event)
}

#[tokio::test]
async fn a_snapshot_comes_first_and_updates_follow_with_rising_ids_and_the_data_of_the_websocket() {
    let rig = Rig::start(&[]).await;
    rig.warm().await;
    let mut socket = joined(&rig).await;
    let mut listener = listening(&rig, &[]).await;
    let snapshot = listener.next().await;
    assert_eq!(snapshot.kind, "snapshot");
    assert_eq!(snapshot.retry, Some(3_000));
    let said: Value = serde_json::from_str(&snapshot.data).expect("JSON");
    assert!(said["data"]["btc_price_usd"].is_number(), "{said}");
    let mut last = snapshot.id;
    for _ in 0..3 {
        let update = listener.next().await;
        assert_eq!(update.kind, "dashboard_update");
        assert!(update.id > last, "{} after {last}", update.id);
        last = update.id;
        let same = loop {
            let frame = text(&mut socket).await;
            let said: Value = serde_json::from_str(&frame).expect("JSON");
            if said["seq"].as_u64() >= Some(update.id) {
                break frame;
            }
        };
        assert_eq!(update.data, same);
    }
}

#[tokio::test]
async fn one_that_comes_back_gets_a_snapshot_whatever_it_saw_last() {
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let newest = listening(&rig, &[]).await.next().await;
    for seen in [newest.id.to_string().as_str(), "1", "nonsense"] {
        let mut again = listening(&rig, &[("Last-Event-ID", seen)]).await;
        let snapshot = again.next().await;
        assert_eq!(snapshot.kind, "snapshot", "{seen}");
        assert_eq!((snapshot.id, &snapshot.data), (newest.id, &newest.data));
    }
}

#[tokio::test]
async fn nothing_between_here_and_the_client_may_keep_or_collect_it() {
    let rig = Rig::start(&[]).await;
    let listener = listening(&rig, &[("Accept-Encoding", "gzip, br")]).await;
    let header = |name| Some(listener.headers.get(name)?.to_str().expect("ASCII"));
    assert_eq!(header("content-type"), Some("text/event-stream"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("x-accel-buffering"), Some("no"));
    assert_eq!(header("content-encoding"), None);
    assert_eq!(header("content-length"), None);
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn streams_and_websockets_share_the_places_and_give_them_back_at_once() {
    let rig = Rig::start(&[("WS_MAX_PER_ADDRESS", "2"), ("ADMIN_TOKEN", TOKEN)]).await;
    let _socket = joined(&rig).await;
    let listener = listening(&rig, &[]).await;
    let refused = ask(&rig, &[]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(join(&rig, None).await.is_err(), "a third place");
    // Long before the next update, which is when a write would fail.
    drop(listener);
    until("a place given back", || async {
        (open_seats(&rig).await == 1).then_some(())
    })
    .await;
    assert_eq!(ask(&rig, &[]).await.status(), StatusCode::OK);

    let house = Rig::start(&[("WS_MAX_CLIENTS", "1")]).await;
    let _socket = joined(&house).await;
    let refused = ask(&house, &[]).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_foreign_page_hears_nothing() {
    let rig = Rig::start(&[("ALLOWED_ORIGINS", "https://board.example")]).await;
    let own = format!("http://{}", rig.address);
    for (origin, expected) in [
        (own.as_str(), 200),
        ("https://board.example", 200),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        let answer = ask(&rig, &[("Origin", origin)]).await;
        assert_eq!(answer.status().as_u16(), expected, "{origin}");
    }
}

#[tokio::test]
async fn stopping_ends_every_stream_and_waits_for_none() {
    let rig = Rig::start(&[]).await;
    let mut reading = listening(&rig, &[]).await;
    reading.next().await;
    let _stuck = stuck_client(rig.address, REQUEST, "200").await;
    let told = Instant::now();
    rig.stop().await;
    assert!(
        told.elapsed() < Duration::from_secs(2),
        "{:?}",
        told.elapsed()
    );
    while reading.event().await.is_some() {}
}

async fn quiet_parts() -> Parts {
    let mut stand = Stand::new().await;
    stand.config.ws_max_clients = 2;
    parts(
        stand.config.clone(),
        stand.cache(),
        stand.service(Caching::Off),
    )
}

/// A stream without a connection, which a test asks for each piece.
async fn stream(parts: &Parts) -> Option<BodyDataStream> {
    let request = Request::get(PATH).header("host", "x").body(Body::empty());
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let answer = parts
        .front
        .answer(request.expect("a sound request"), from)
        .await;
    (answer.status() == 200).then(|| answer.into_body().into_data_stream())
}

async fn piece(stream: &mut BodyDataStream) -> String {
    let piece = stream
        .next()
        .await
        .expect("it goes on")
        .expect("it is sound");
    String::from_utf8(piece.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn a_slow_client_gets_the_newest_state_and_no_backlog() {
    let parts = quiet_parts().await;
    let mut stream = stream(&parts).await.expect("a place");
    let snapshot = piece(&mut stream).await;
    assert!(snapshot.contains(r#""data":null"#), "{snapshot}");
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let published = (0..100).map(|_| parts.publish(&summary));
    let newest = published.max().expect("a hundred updates");
    let update = piece(&mut stream).await;
    assert!(update.contains(&format!("id: {newest}\n")), "{update}");
    assert!(
        update.contains("event: snapshot\n"),
        "it missed some: {update}"
    );
}

#[tokio::test]
async fn a_comment_comes_after_fifteen_seconds_without_an_update() {
    let parts = quiet_parts().await;
    let mut stream = stream(&parts).await.expect("a place");
    piece(&mut stream).await;
    tokio::time::pause();
    for _ in 0..3 {
        let since = Instant::now();
        assert_eq!(piece(&mut stream).await, ":\n\n");
        assert_eq!(since.elapsed().as_secs(), 15);
    }
}

#[tokio::test]
async fn a_connection_with_a_stream_lives_on_without_updates() {
    let parts = quiet_parts().await;
    let address = listening_on(&parts).await;
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let asked = connection.write_all(REQUEST.as_bytes()).await;
    asked.expect("it reads");
    tokio::time::pause();
    let since = Instant::now();
    let mut heard = Vec::new();
    while comments(&heard) < 4 {
        let read = connection.read_buf(&mut heard).await.expect("it is open");
        assert!(read > 0, "closed after {:?}", since.elapsed());
    }
    // The clock does not wait for what is on its way, so it may have gone further.
    assert!(since.elapsed() >= Duration::from_secs(60));
    parts.stop.cancel();
}

/// Chunks that are a comment and nothing else.
fn comments(heard: &[u8]) -> usize {
    String::from_utf8_lossy(heard)
        .matches("\r\n3\r\n:\n\n\r\n")
        .count()
}

async fn listening_on(parts: &Parts) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = door.local_addr().expect("an address");
    let front = parts.front.clone();
    tokio::spawn(listener::run(door, front, parts.stop.clone()));
    address
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_let_go_and_delays_nobody() {
    let parts = quiet_parts().await;
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let address = listening_on(&parts).await;
    let _stuck = stuck_client(address, REQUEST, "200").await;
    let mut reading = stream(&parts).await.expect("a place");
    piece(&mut reading).await;
    for _ in 0..UPDATES {
        let seq = parts.publish(&summary);
        let heard = piece(&mut reading).await;
        assert!(heard.contains(&format!("id: {}\n", seq)));
        // The connection takes its turn, so that no update is skipped for a newer one.
        tokio::task::yield_now().await;
    }
    assert!(stream(&parts).await.is_none(), "two have all the places");

    // From here on waiting costs nothing: the clock jumps to the next deadline.
    tokio::time::pause();
    let since = Instant::now();
    let _place = until("the place of the one that takes nothing", || stream(&parts)).await;
    assert!(
        since.elapsed() < Duration::from_secs(15),
        "{:?}",
        since.elapsed()
    );
    parts.stop.cancel();
}

/// The kernel's own clock is waited for here, which cannot be made to jump.
#[tokio::test]
async fn a_client_whose_host_takes_nothing_is_let_go_before_any_buffer_is_full() {
    let parts = quiet_parts().await;
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let address = listening_on(&parts).await;
    let _stuck = stuck_client(address, REQUEST, "200").await;
    let _reading = stream(&parts).await.expect("a place");
    assert!(stream(&parts).await.is_none(), "two have all the places");
    for _ in 0..3 {
        parts.publish(&summary);
        tokio::task::yield_now().await;
    }
    let _place = until("the place of the one whose host takes nothing", || {
        stream(&parts)
    })
    .await;
    parts.stop.cancel();
}

#[tokio::test]
async fn a_slow_client_gets_no_backlog_and_hears_how_many_it_missed() {
    let parts = quiet_parts().await;
    let summary = parts.service.fetch_dashboard_summary().await.value;
    let address = listening_on(&parts).await;
    let mut client = stuck_client(address, REQUEST, "200").await;
    let mut newest = 0;
    for _ in 0..PUBLISHED {
        newest = parts.publish(&summary);
        // The connection takes its turn, so that no update is skipped for want of one.
        tokio::task::yield_now().await;
    }
    let mut heard = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&heard).contains(&format!("\"seq\":{newest},")) {
            let read = client.read_buf(&mut heard).await.expect("it is open");
            assert!(read > 0, "it was closed");
        }
    };
    timeout(PATIENCE, reading)
        .await
        .expect("the newest in time");
    let heard = String::from_utf8_lossy(&heard);
    let updates = heard.matches("event: dashboard_update").count();
    let behind = |text: &str| text.split(['}', ',']).next()?.parse::<usize>().ok();
    let gaps = heard.split("\"missed\":").skip(1);
    let missed: Vec<usize> = gaps.map(|text| behind(text).expect("a number")).collect();
    assert!(updates + missed.len() <= 20, "{updates}: a backlog");
    let accounted = updates + missed.len() + missed.iter().sum::<usize>();
    assert_eq!(accounted, PUBLISHED, "{missed:?}");
    parts.stop.cancel();
}
