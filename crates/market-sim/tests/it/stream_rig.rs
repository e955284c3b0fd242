//! A client of Binance's streams.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::rig::Rig;

/// Nothing that is awaited takes longer than this.
const PATIENCE: Duration = Duration::from_secs(20);
/// Long enough for what is wrongly sent to arrive.
const SILENCE: Duration = Duration::from_millis(150);

/// A client of Binance's streams; it answers pings while it waits for something else.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// A client of what lies under this path, such as `/ws/btcusdt@miniTicker`.
    pub(crate) async fn new(rig: &Rig, path: &str) -> Self {
        Self::try_new(rig, path).await.unwrap()
    }

    pub(crate) async fn try_new(rig: &Rig, path: &str) -> Result<Self, Error> {
        let url = format!("{}{path}", rig.simulator.binance_ws_url());
        let connecting = tokio_tungstenite::connect_async(url);
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        connected
            .expect("the handshake is answered in time")
            .map(|(stream, _)| Self(stream))
    }

    /// What comes next, pings included; `None` and errors are ends of the connection.
    pub(crate) async fn next(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.0.next())
            .await
            .expect("something comes in time")
    }

    /// The text that comes next.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("instead of a text: {other:?}"),
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The payload of the ping that comes next.
    pub(crate) async fn ping(&mut self) -> Bytes {
        match self.next().await {
            Some(Ok(Message::Ping(payload))) => payload,
            other => panic!("instead of a ping: {other:?}"),
        }
    }

    /// Sends an answer to a ping that may have been waiting, and nothing else.
    pub(crate) async fn flush(&mut self) {
        self.0.flush().await.unwrap();
    }

    pub(crate) async fn say(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The answer to a control message.
    pub(crate) async fn ask(&mut self, message: &str) -> Value {
        self.say(Message::text(message)).await;
        self.json().await
    }

    /// Checks that nothing comes.
    pub(crate) async fn check_silence(&mut self) {
        let coming = tokio::time::timeout(SILENCE, self.0.next()).await;
        assert!(coming.is_err(), "something came: {coming:?}");
    }

    /// How the connection ends: with a close frame's code, or without one. Skips what comes before.
    pub(crate) async fn end(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}
