//! `/ws`: a snapshot, then every update, to each client as fast as it can take them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::clock;
use crate::live::hub::Shown;

use super::Site;
use super::admission::{Seat, admit};
use super::frames::{Frames, empty_snapshot};
use super::front::Client;
use super::problem::Problem;

/// Inbound messages are a few words.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// One update is about 5 KB; the buffers bound what 10,000 clients cost.
const BUFFER_BYTES: usize = 4 * 1024;
const MAX_WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// A client that takes nothing for this long is stuck; the others never wait for it.
const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// How long the closing words may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// Whoever says more than this in a second is closed.
const MAX_MESSAGES_PER_SECOND: u32 = 20;

/// When a silent client is asked, and when it is given up.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Pause between pings; 20 s by default.
    pub ping_every: Duration,
    /// The longest silence; 30 s by default.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(20),
            silence: Duration::from_secs(30),
        }
    }
}

/// `GET /ws`.
pub(crate) async fn upgrade(
    State(site): State<Site>,
    Extension(Client(address)): Extension<Client>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|_| Problem::upgrade_needed())?;
    let seat = admit(&site, &headers, address)?;
    let tasks = site.tasks.clone();
    Ok(upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| {
            tasks.track_future(Session::new(socket, &site, seat).run(site.stop.clone()))
        }))
}

/// One client.
struct Session {
    socket: WebSocket,
    updates: watch::Receiver<Shown>,
    /// The number of what was sent last.
    sent: u64,
    starting_seq: u64,
    frames: Arc<Frames>,
    pace: Pace,
    heard_at: Instant,
    said: Said,
    /// Given back when the session ends, however it ends.
    _seat: Seat,
}

/// Why a session ends: the words to close with, or nothing to say to nobody.
enum End {
    Close(u16, &'static str),
    Gone,
}

impl Session {
    fn new(socket: WebSocket, site: &Site, seat: Seat) -> Self {
        let now = clock::monotonic();
        Self {
            socket,
            updates: site.hub.subscribe(),
            sent: 0,
            starting_seq: site.hub.starting_seq(),
            frames: Arc::clone(&site.frames),
            pace: site.pace,
            heard_at: now,
            said: Said {
                since: now,
                messages: 0,
            },
            _seat: seat,
        }
    }

    async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let end = tokio::select! {
            end = self.talk() => end,
            () = stop.cancelled() => End::Close(close_code::AWAY, "the service is stopping"),
        };
        if let End::Close(code, reason) = end {
            self.close(code, reason).await;
        }
    }

    async fn talk(&mut self) -> End {
        match self.snapshot().await {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(end) => return end,
        }
        let mut ping = tokio::time::interval_at(
            clock::monotonic() + self.pace.ping_every,
            self.pace.ping_every,
        );
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let given_up = self.heard_at + self.pace.silence;
            let step = tokio::select! {
                received = self.socket.recv() => self.hear(received).await,
                changed = self.updates.changed() => match changed {
                    Ok(()) => self.update().await,
                    Err(_) => ControlFlow::Break(End::Close(close_code::AWAY, "no more updates")),
                },
                _ = ping.tick() => self.send(Message::Ping(bytes::Bytes::new())).await,
                () = tokio::time::sleep_until(given_up) => {
                    ControlFlow::Break(End::Close(close_code::POLICY, "no sign of life"))
                }
            };
            if let ControlFlow::Break(end) = step {
                return end;
            }
        }
    }

    async fn snapshot(&mut self) -> ControlFlow<End> {
        let shown = self.updates.borrow_and_update().clone();
        self.sent = shown.number;
        let text = match shown.news.as_deref() {
            Some(update) => self.frames.of(update).snapshot.clone(),
            None => empty_snapshot(clock::now(), self.starting_seq),
        };
        self.send(Message::Text(text)).await
    }

    /// Sends the newest state. What was published while this client was slow is skipped, for nobody
    /// wants yesterday's price; it is a snapshot then, and says so.
    async fn update(&mut self) -> ControlFlow<End> {
        let shown = self.updates.borrow_and_update().clone();
        let is_next = shown.number == self.sent + 1;
        self.sent = shown.number;
        let Some(update) = shown.news.as_deref() else {
            return ControlFlow::Continue(());
        };
        let frame = self.frames.of(update);
        let text = if is_next {
            &frame.update
        } else {
            &frame.snapshot
        };
        self.send(Message::Text(text.clone())).await
    }

    async fn hear(&mut self, received: Option<Result<Message, axum::Error>>) -> ControlFlow<End> {
        let now = clock::monotonic();
        self.heard_at = now;
        let message = match received {
            None => return ControlFlow::Break(End::Gone),
            Some(Err(error)) => return ControlFlow::Break(end_after(error)),
            Some(Ok(message)) => message,
        };
        if self.said.is_too_much(now) {
            return ControlFlow::Break(End::Close(close_code::POLICY, "too many messages"));
        }
        match message {
            Message::Text(text) => self.send(Message::Text(reply(&text))).await,
            Message::Binary(_) => {
                self.send(Message::Text(refusal("binary messages are not understood")))
                    .await
            }
            // The protocol's own pong was queued by the library.
            Message::Ping(_) | Message::Pong(_) => ControlFlow::Continue(()),
            Message::Close(_) => {
                // The library has its answer ready and sends it when it is asked to read on.
                let farewell = timeout(CLOSE_DEADLINE, self.socket.recv()).await;
                tracing::trace!(
                    is_answered = farewell.is_ok(),
                    "a client closed its WebSocket"
                );
                ControlFlow::Break(End::Gone)
            }
        }
    }

    async fn send(&mut self, message: Message) -> ControlFlow<End> {
        match timeout(SEND_DEADLINE, self.socket.send(message)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            Ok(Err(_)) => ControlFlow::Break(End::Gone),
            Err(_) => ControlFlow::Break(End::Close(close_code::POLICY, "too slow")),
        }
    }

    /// Says why, then reads on for a moment: closing with unread input would reset the
    /// connection, and the reason would be lost on the way.
    async fn close(mut self, code: u16, reason: &'static str) {
        let words = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        };
        let farewell = async {
            if self.socket.send(Message::Close(Some(words))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        if timeout(CLOSE_DEADLINE, farewell).await.is_err() {
            tracing::debug!(code, "a client did not take its farewell");
        }
    }
}

/// Messages in the current second.
struct Said {
    since: Instant,
    messages: u32,
}

impl Said {
    fn is_too_much(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self {
                since: now,
                messages: 0,
            };
        }
        self.messages += 1;
        self.messages > MAX_MESSAGES_PER_SECOND
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
}

fn reply(text: &str) -> Utf8Bytes {
    if text.trim() == "ping" {
        return Utf8Bytes::from_static("pong");
    }
    match serde_json::from_str::<Request<'_>>(text) {
        Ok(request) if request.r#type == "ping" => Utf8Bytes::from_static(r#"{"type":"pong"}"#),
        Ok(_) => refusal("unknown type; known is ping"),
        Err(_) => refusal("not a JSON object with a type"),
    }
}

fn refusal(detail: &'static str) -> Utf8Bytes {
    format!(r#"{{"type":"error","code":"bad_message","detail":"{detail}"}}"#).into()
}

/// What RFC 6455 says to whoever broke it.
fn end_after(error: axum::Error) -> End {
    use tungstenite::Error;
    match error.into_inner().downcast::<Error>().map(|error| *error) {
        Ok(Error::Capacity(_)) => End::Close(close_code::SIZE, "message too large"),
        Ok(Error::Utf8(_)) => End::Close(close_code::INVALID, "text is not UTF-8"),
        Ok(Error::Protocol(_)) => End::Close(close_code::PROTOCOL, "not WebSocket"),
        Ok(_) | Err(_) => End::Gone,
    }
}
