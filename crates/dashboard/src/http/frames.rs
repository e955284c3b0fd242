//! What clients of live updates are sent: JSON texts, encoded once however many listen.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use axum::response::sse::Event;
use jiff::Timestamp;

use crate::market::bulletin::News;

/// How soon a browser whose event stream broke is to come back.
const COME_BACK: Duration = Duration::from_secs(3);

/// The two texts of one update.
#[derive(Debug)]
pub(crate) struct Frame {
    seq: u64,
    /// For a client that has just come.
    pub(crate) snapshot: Utf8Bytes,
    /// For those who were there before.
    pub(crate) update: Utf8Bytes,
    events: OnceLock<Events>,
}

/// The same two texts as server-sent events. A clone is a copy of bytes.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) snapshot: Event,
    pub(crate) update: Event,
}

impl Frame {
    /// For a client that missed updates before this one: the snapshot, and how many. Made for each
    /// such client; the others share what was encoded once.
    pub(crate) fn catch_up(&self, missed: u64) -> Utf8Bytes {
        let open = self.snapshot.strip_suffix('}');
        let open = open.expect("the snapshot is a JSON object");
        format!(r#"{open},"missed":{missed}}}"#).into()
    }

    /// As server-sent events, made when the first client asks for them.
    pub(crate) fn events(&self) -> &Events {
        self.events.get_or_init(|| Events {
            snapshot: snapshot_event(self.seq, &self.snapshot),
            update: event(UPDATE, self.seq, &self.update),
        })
    }
}

const SNAPSHOT: &str = "snapshot";
const UPDATE: &str = "dashboard_update";

/// Remembers the newest update's texts.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    newest: Mutex<Option<Arc<Frame>>>,
}

impl Frames {
    /// The texts of `update`. Whoever asks first pays for the encoding; the rest share it.
    pub(crate) fn of(&self, update: &News) -> Arc<Frame> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = newest.as_ref().filter(|frame| frame.seq == update.seq) {
            return Arc::clone(frame);
        }
        let frame = Arc::new(Frame {
            seq: update.seq,
            snapshot: encode(SNAPSHOT, update),
            update: encode(UPDATE, update),
            events: OnceLock::new(),
        });
        // A slow client may ask for one that is no longer the newest; it is not kept.
        if newest.as_ref().is_none_or(|held| held.seq < update.seq) {
            *newest = Some(Arc::clone(&frame));
        }
        frame
    }
}

/// The snapshot of an instance that has nothing yet. Its number is the hub's own beginning: a
/// client that comes back after a restart must not see it fall.
pub(crate) fn empty_snapshot(now: Timestamp, seq: u64) -> Utf8Bytes {
    format!(r#"{{"type":"snapshot","data":null,"timestamp":"{now}","seq":{seq},"source":"none"}}"#)
        .into()
}

/// A snapshot as the first event of a stream.
pub(crate) fn snapshot_event(seq: u64, text: &str) -> Event {
    event(SNAPSHOT, seq, text).retry(COME_BACK)
}

fn event(kind: &str, seq: u64, text: &str) -> Event {
    Event::default().event(kind).id(seq.to_string()).data(text)
}

/// The body is JSON already; it is put in as it is.
fn encode(kind: &str, update: &News) -> Utf8Bytes {
    let body = update.summary.body();
    let data = std::str::from_utf8(&body).expect("JSON that we encoded is UTF-8");
    let source = serde_json::Value::from(update.source.as_str());
    let News { seq, timestamp, .. } = update;
    format!(
        r#"{{"type":"{kind}","data":{data},"timestamp":"{timestamp}","seq":{seq},"source":{source}}}"#
    )
    .into()
}
