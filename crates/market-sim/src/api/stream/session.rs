//! A client's stream from its handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pulse::{Due, Pulse};
use super::request::Subscriptions;
use crate::api::breakdown::{Breakdown, body_of};
use crate::fault::FaultKind;
use crate::source::{FRAMES, PINGS, Source};
use crate::wire::Breakage;
use crate::world::{News, OpenStream};

/// Events are sent on full seconds of the present.
const BEAT_MS: i64 = 1_000;
/// More than any request of a client needs.
const MAX_MESSAGE_BYTES: usize = 65_536;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A client's stream.
pub(super) struct Session {
    stream: OpenStream,
    subscriptions: Subscriptions,
    breakage: Breakage,
    pulse: Pulse,
    /// The moment of the last events.
    since_ms: i64,
    seen: News,
    news: watch::Receiver<News>,
}

/// The stream is over.
struct Ended;

impl From<Error> for Ended {
    fn from(_: Error) -> Self {
        // The client has gone or broken the protocol: there is nobody left to be told.
        Self
    }
}

impl Session {
    pub(super) fn new(
        stream: OpenStream,
        subscriptions: Subscriptions,
        breakage: Breakage,
    ) -> Self {
        let world = stream.world();
        let news = world.news();
        let seen = *news.borrow();
        Self {
            subscriptions,
            breakage,
            pulse: Pulse::new(world.steady()),
            since_ms: world.now().as_millisecond(),
            seen,
            news,
            stream,
        }
    }

    pub(super) async fn run(mut self, upgraded: Upgraded) {
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES));
        let io = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
        while let Ok(()) = self.turn(&mut socket).await {}
    }

    /// Does what is due, then waits for whatever comes next.
    async fn turn(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        self.hear_news(socket).await?;
        self.keep_alive(socket).await?;
        self.beat(socket).await?;
        let wait = self.wait();
        let world = Arc::clone(self.stream.world());
        let message = tokio::select! {
            biased;
            message = socket.next() => message.ok_or(Ended)??,
            () = world.rest(&mut self.news, wait) => return Ok(()),
        };
        self.hear(socket, message).await
    }

    /// How much steady time may pass before something is due.
    fn wait(&self) -> Duration {
        let world = self.stream.world();
        let pulse = self.pulse.next().saturating_sub(world.steady());
        if !world.is_running() {
            return pulse;
        }
        let now_ms = world.now().as_millisecond();
        // Steady time and a running present go at the same speed.
        let beat = BEAT_MS - now_ms.rem_euclid(BEAT_MS);
        pulse.min(Duration::from_millis(beat.unsigned_abs()))
    }

    /// Carries out orders that are for all streams.
    async fn hear_news(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        let seen = std::mem::replace(&mut self.seen, *self.news.borrow_and_update());
        if self.seen.drops != seen.drops {
            return Err(Ended);
        }
        if self.seen.shutdowns != seen.shutdowns {
            let now_ms = self.stream.world().now().as_millisecond();
            let event = json!({"e": "serverShutdown", "E": now_ms});
            let event = self.subscriptions.written("!serverShutdown", event);
            self.send(socket, event).await?;
        }
        Ok(())
    }

    async fn keep_alive(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        let world = self.stream.world();
        let now = world.steady();
        match self.pulse.due(now) {
            Due::Nothing => Ok(()),
            Due::End => close(socket, CloseCode::Away, "a day has passed").await,
            Due::GiveUp => close(socket, CloseCode::Policy, "no pong for a minute").await,
            Due::Ping if world.is_mute(Source::BinanceWs, PINGS) => Ok(()),
            Due::Ping => {
                let payload = Bytes::from(world.now().as_millisecond().to_string());
                self.pulse.pinged(payload.clone(), now);
                Ok(socket.send(Message::Ping(payload)).await?)
            }
        }
    }

    /// Sends the events of a second that has begun, or of wherever the clock was set to.
    async fn beat(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        let world = Arc::clone(self.stream.world());
        let scene = world.scene(world.skew(Source::BinanceWs, FRAMES));
        let now_ms = scene.now_ms();
        if now_ms.div_euclid(BEAT_MS) == self.since_ms.div_euclid(BEAT_MS) {
            return Ok(());
        }
        let since_ms = std::mem::replace(&mut self.since_ms, now_ms);
        let mut events = Vec::new();
        for (name, channel) in self.subscriptions.channels() {
            for event in channel.events(&scene, since_ms) {
                events.push(self.subscriptions.written(name, event));
            }
        }
        for event in events {
            self.send(socket, event).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, socket: &mut Socket, message: Message) -> Result<(), Ended> {
        let now = self.stream.world().steady();
        if !self.pulse.takes_message(now) {
            return close(socket, CloseCode::Policy, "too many messages").await;
        }
        match message {
            Message::Text(_) | Message::Binary(_) => {
                let answer = self.subscriptions.answer(&message.into_data());
                self.send(socket, answer).await
            }
            Message::Pong(payload) => {
                self.pulse.ponged(&payload, now);
                Ok(())
            }
            // Pings are answered by the library, and so is a close.
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// Sends a message, or what the faults on order make of it: the very same as of an answer.
    async fn send(&self, socket: &mut Socket, message: Value) -> Result<(), Ended> {
        let world = self.stream.world();
        let fate = world.fate(Source::BinanceWs, FRAMES);
        world.delay(fate.delay).await;
        let right = || Json(message).into_response();
        let response: Response = match fate.fault {
            // Nothing is sent, and yet the connection stays.
            Some(FaultKind::Hang) => return Ok(()),
            None => right(),
            Some(fault) => {
                let breakdown = Breakdown {
                    fault,
                    source: Source::BinanceWs,
                    breakage: Some(self.breakage.clone()),
                    world: Arc::clone(world),
                };
                breakdown.played(right).await
            }
        };
        let body = body_of(response).await;
        let message = match String::from_utf8(body.to_vec()) {
            Ok(text) => Message::text(text),
            Err(_) => Message::Binary(body),
        };
        Ok(socket.send(message).await?)
    }
}

/// Says goodbye, which ends the stream.
async fn close(socket: &mut Socket, code: CloseCode, reason: &'static str) -> Result<(), Ended> {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    // Whether or not it arrives, the stream is over.
    let _ = socket.close(Some(frame)).await;
    Err(Ended)
}
