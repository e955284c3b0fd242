//! One connection of the stream, from its handshake to its end.

use std::{fmt, time::Duration};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use super::{
    Arrival, Pace, Stream,
    message::{self, Said},
};
use crate::market::{
    batch::Batch,
    figure::{Figure, Reason, Value},
    source::Source,
    upstream::retry_after,
};

/// Messages have some 300 bytes. One that is longer than this cannot be skipped, since its end is
/// not known to come: it ends the connection.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// A refusal may ask for days; the address may be another tenant's by then.
const MOST_ASKED_FOR: Duration = Duration::from_secs(60 * 60);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An open connection.
pub(super) struct Link {
    socket: Socket,
    opened_at: Instant,
    heard_at: Instant,
    garbage_in_a_row: u32,
    /// The newest price of each coin that one came of: latest state wins.
    gathered: Batch,
    /// When what is gathered is handed on; none while that is nothing.
    due_at: Option<Instant>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// Why a connection ended, or was none.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the server said that it goes away")]
    Farewell,
    #[error("the connection is about to be a day old")]
    Old,
    #[error("nothing came any more")]
    Silent,
    #[error("one message after the other was of no use")]
    Garbage,
    #[error("the server closed the connection")]
    Closed,
    #[error("opening a connection took too long")]
    Late,
    #[error("the connection failed")]
    Failed(#[source] Box<Error>),
}

impl End {
    /// Whether it says nothing against the server.
    pub(super) fn is_expected(&self) -> bool {
        matches!(self, Self::Farewell | Self::Old)
    }

    /// How long the server asks to be left alone.
    pub(super) fn asked_for(&self, now: Timestamp) -> Option<Duration> {
        let Self::Failed(error) = self else {
            return None;
        };
        match &**error {
            Error::Http(refusal) => {
                retry_after(refusal.headers(), now).map(|wait| wait.min(MOST_ASKED_FOR))
            }
            _ => None,
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl Link {
    pub(super) async fn open(stream: &Stream, pace: &Pace) -> Result<Self, End> {
        let limits = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let opening = connect_async_with_config(stream.url.as_str(), Some(limits), true);
        let opened = timeout(pace.open, opening).await;
        let (socket, _) = opened.map_err(|_| End::Late)??;
        let now = stream.clock.monotonic();
        Ok(Self {
            socket,
            opened_at: now,
            heard_at: now,
            garbage_in_a_row: 0,
            gathered: Batch::new(),
            due_at: None,
        })
    }

    pub(super) fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// What comes next. Pings are answered by the library while this waits.
    pub(super) async fn next(&mut self, stream: &Stream, pace: &Pace) -> Result<Arrival, End> {
        loop {
            let silent_at = self.heard_at + pace.silence;
            let old_at = self.opened_at + pace.life;
            let due_at = self.due_at.unwrap_or(silent_at);
            tokio::select! {
                received = self.socket.next() => {
                    let message = received.ok_or(End::Closed)?;
                    if let Some(arrival) = self.hear(message, stream, pace)? {
                        return Ok(arrival);
                    }
                }
                () = sleep_until(due_at), if self.due_at.is_some() => {
                    self.due_at = None;
                    let mut batch = std::mem::take(&mut self.gathered);
                    batch.lasts = Some(pace.lasts);
                    return Ok(Arrival::Prices(batch));
                }
                () = sleep_until(silent_at) => return Err(End::Silent),
                () = sleep_until(old_at) => return Err(End::Old),
            }
        }
    }

    fn hear(
        &mut self,
        message: Result<Message, Error>,
        stream: &Stream,
        pace: &Pace,
    ) -> Result<Option<Arrival>, End> {
        let read = match message {
            Ok(Message::Text(text)) => message::read(&text, &stream.symbols),
            Ok(Message::Binary(_)) => Err(Reason::NotDecodable),
            Ok(Message::Close(_)) => return Err(End::Closed),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => return Ok(None),
            Err(error) => {
                if matches!(error, Error::Capacity(_) | Error::Utf8(_)) {
                    stream.vitals.count(&Err::<(), _>(Reason::TooLarge));
                }
                return Err(error.into());
            }
        };
        self.heard_at = stream.clock.monotonic();
        stream.vitals.count(&read);
        let Ok(said) = read else {
            self.garbage_in_a_row += 1;
            return if self.garbage_in_a_row < pace.garbage {
                Ok(None)
            } else {
                Err(End::Garbage)
            };
        };
        self.garbage_in_a_row = 0;
        match said {
            Said::Price {
                symbol,
                price,
                change,
                at,
            } => {
                let now = stream.clock.now();
                for (figure, number) in [
                    (Figure::Price(symbol), price),
                    (Figure::Change24h(symbol), change),
                ] {
                    let read = Ok((Value::Number(number), at));
                    self.gathered.note(figure, Source::Binance, now, read);
                }
                self.due_at.get_or_insert(self.heard_at + pace.gather);
                Ok(None)
            }
            Said::BarClosed(symbol) => Ok(Some(Arrival::BarClosed(symbol))),
            Said::Farewell => Err(End::Farewell),
            Said::Nothing => Ok(None),
        }
    }
}
