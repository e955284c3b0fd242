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
use futures_util::SinkExt as _;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::clock;
use crate::live::hub::Shown;

use super::Site;
use super::admission::{Seat, admit};
use super::attention::{Attention, Due, Payload};
use super::frames::{Frames, empty_snapshot};
use super::front::Client;
use super::problem::Problem;

pub use super::attention::Pace;

/// Inbound messages are a few words.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// The buffers bound what 10,000 clients cost. That for reading is there at once; that for writing
/// grows to what it has to hold, and is wide enough for an update (about 5 KB) and its ping to leave
/// in one call of the system.
const READ_BUFFER_BYTES: usize = 4 * 1024;
const WRITE_BUFFER_BYTES: usize = 16 * 1024;
const MAX_WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// A client that takes nothing for this long is stuck; the others never wait for it.
const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// How long the closing words may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// Whoever says more than this in a second is closed. Answers to our pings do not count.
const MAX_MESSAGES_PER_SECOND: u32 = 20;

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
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| {
            tasks.track_future(Session::new(socket, &site, seat).run(site.stop.clone()))
        }))
}

fn ping(payload: Payload) -> Message {
    Message::Ping(bytes::Bytes::copy_from_slice(&payload))
}

/// One client.
struct Session {
    socket: WebSocket,
    updates: watch::Receiver<Shown>,
    /// The number of what was sent last.
    sent: u64,
    starting_seq: u64,
    frames: Arc<Frames>,
    attention: Attention,
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
            attention: Attention::new(site.pace, now),
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
        loop {
            let (at, due) = self.attention.due();
            // An answer that is there already counts before it is missed.
            let step = tokio::select! {
                biased;
                received = self.socket.recv() => self.hear(received).await,
                () = sleep_until(at) => match due {
                    Due::Ask => self.ask().await,
                    Due::GiveUp => ControlFlow::Break(End::Close(close_code::POLICY, "no sign of life")),
                },
                changed = self.updates.changed(), if self.attention.has_room() => match changed {
                    Ok(()) => self.update().await,
                    Err(_) => ControlFlow::Break(End::Close(close_code::AWAY, "no more updates")),
                },
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
    /// wants yesterday's price; it is a snapshot then, and says how many were missed.
    async fn update(&mut self) -> ControlFlow<End> {
        let shown = self.updates.borrow_and_update().clone();
        let missed = shown.missed_after(self.sent);
        self.sent = shown.number;
        let Some(update) = shown.news.as_deref() else {
            return ControlFlow::Continue(());
        };
        let frame = self.frames.of(update);
        let text = Message::Text(match missed {
            0 => frame.update.clone(),
            missed => frame.catch_up(missed),
        });
        match self.attention.next_ping(clock::monotonic()) {
            Some(payload) => self.send_all([text, ping(payload)]).await,
            None => self.send(text).await,
        }
    }

    /// Asks for a sign of life.
    async fn ask(&mut self) -> ControlFlow<End> {
        match self.attention.next_ping(clock::monotonic()) {
            Some(payload) => self.send(ping(payload)).await,
            None => ControlFlow::Continue(()),
        }
    }

    async fn hear(&mut self, received: Option<Result<Message, axum::Error>>) -> ControlFlow<End> {
        let now = clock::monotonic();
        let message = match received {
            None => return ControlFlow::Break(End::Gone),
            Some(Err(error)) => return ControlFlow::Break(end_after(error)),
            Some(Ok(message)) => message,
        };
        let is_answer =
            matches!(&message, Message::Pong(payload) if self.attention.awaits(payload));
        if !is_answer && self.said.is_too_much(now) {
            return ControlFlow::Break(End::Close(close_code::POLICY, "too many messages"));
        }
        match message {
            Message::Text(text) => self.send(Message::Text(reply(&text))).await,
            Message::Binary(_) => {
                self.send(Message::Text(refusal("binary messages are not understood")))
                    .await
            }
            Message::Pong(_) if is_answer => match self.attention.answered(now) {
                Some(payload) => self.send(ping(payload)).await,
                None => ControlFlow::Continue(()),
            },
            // The pong for a ping was queued by the library.
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
        self.send_all([message]).await
    }

    /// Writes them together. While this waits for room nothing is read, an answer neither; but what
    /// there is no room for comes after all that the client has yet to answer.
    async fn send_all<const N: usize>(&mut self, messages: [Message; N]) -> ControlFlow<End> {
        let mut deadline = clock::monotonic() + SEND_DEADLINE;
        if let (at, Due::GiveUp) = self.attention.due() {
            deadline = deadline.min(at);
        }
        let sending = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        match timeout_at(deadline, sending).await {
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
