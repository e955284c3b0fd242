//! `/api/v1/stream`: what `/ws` tells, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use tokio::sync::watch;

use crate::clock;
use crate::live::hub::Shown;

use super::Site;
use super::admission::{Seat, admit};
use super::frames::{Frames, empty_snapshot, snapshot_event};
use super::front::Client;
use super::patience::Endless;
use super::problem::Problem;

/// Where it is.
pub(crate) const PATH: &str = "/api/v1/stream";

/// A comment after so long a silence, so that nothing in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// For proxies that collect an answer before they pass it on.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// `GET /api/v1/stream`. A client that comes back says which event it saw last; it gets the newest
/// state all the same, since there is nothing older to be had.
pub(crate) async fn stream(
    State(site): State<Site>,
    Extension(Client(address)): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let audience = Audience {
        updates: site.hub.subscribe(),
        told: 0,
        frames: Arc::clone(&site.frames),
        starting_seq: site.hub.starting_seq(),
        is_greeted: false,
        _seat: admit(&site, &headers, address)?,
    };
    let events = unfold(audience, |mut audience| async {
        let event = audience.next().await?;
        Some((Ok::<_, Infallible>(event), audience))
    });
    // The stream ends with the service, which waits for its connections.
    let events = events.take_until(site.stop.clone().cancelled_owned());
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let headers = [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (NO_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((Extension(Endless), headers, sse).into_response())
}

/// One client. It is asked for the next event only when the one before it is on its way.
struct Audience {
    updates: watch::Receiver<Shown>,
    /// The number of what was told last.
    told: u64,
    frames: Arc<Frames>,
    starting_seq: u64,
    is_greeted: bool,
    /// Given back when the body is dropped, by whomever.
    _seat: Seat,
}

impl Audience {
    /// The newest state once it is one that was not told yet. What was published while the client
    /// was slow is skipped and counted.
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::replace(&mut self.is_greeted, true) {
            return Some(self.snapshot());
        }
        loop {
            self.updates.changed().await.ok()?;
            let shown = self.updates.borrow_and_update().clone();
            let missed = shown.missed_after(self.told);
            self.told = shown.number;
            if let Some(update) = shown.news.as_deref() {
                let frame = self.frames.of(update);
                return Some(match missed {
                    0 => frame.events().update.clone(),
                    missed => snapshot_event(update.seq, &frame.catch_up(missed)),
                });
            }
        }
    }

    fn snapshot(&mut self) -> Event {
        let shown = self.updates.borrow_and_update().clone();
        self.told = shown.number;
        match shown.news.as_deref() {
            Some(update) => self.frames.of(update).events().snapshot.clone(),
            None => {
                let text = empty_snapshot(clock::now(), self.starting_seq);
                snapshot_event(self.starting_seq, &text)
            }
        }
    }
}
