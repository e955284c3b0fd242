//! How long a connection may be kept without a request on it.
//!
//! hyper can do this too, by a timer made and dropped for each request. Here one timer a
//! connection looks at a note that each request leaves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::time::{Instant, sleep};

use crate::clock;

/// How long a request's head may take; also how long an idle connection is kept, and one whose
/// client takes nothing of an endless answer.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// How long an answer may take to leave for the kernel once the service stops. Usually it
/// has left already; only a client that reads nothing leaves no room for it.
const FAREWELL: Duration = Duration::from_millis(500);

/// Stands for "a request is being answered".
const BUSY: u64 = u64::MAX;

/// Since when a connection has had no request.
#[derive(Debug)]
pub(crate) struct Idle {
    opened: Instant,
    /// Milliseconds after `opened`, or [`BUSY`]. Only this connection's task writes it.
    since_ms: AtomicU64,
}

/// A request under way; dropping it makes the connection idle again, also where the
/// client went away in the middle.
#[derive(Debug)]
pub(crate) struct Busy<'a>(&'a Idle);

/// Left on a response whose body has no end of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endless;

/// The body of an endless answer. While it is asked for more, its client has taken all it was
/// given, and the connection is busy; when it is not asked any more, the connection is idle.
#[derive(Debug)]
struct Lasting {
    body: Body,
    idle: Arc<Idle>,
}

/// Keeps the connection for as long as the client takes what an endless answer gives; any other
/// answer stays as it is.
pub(crate) fn lasting(response: Response, idle: &Arc<Idle>) -> Response {
    if response.extensions().get::<Endless>().is_none() {
        return response;
    }
    let idle = Arc::clone(idle);
    response.map(|body| Body::new(Lasting { body, idle }))
}

impl Idle {
    /// A connection that has just come, and owes a request.
    pub(crate) fn new() -> Self {
        Self {
            opened: clock::monotonic(),
            since_ms: AtomicU64::new(0),
        }
    }

    /// A request's head is there.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.since_ms.store(BUSY, Ordering::Relaxed);
        Busy(self)
    }

    /// Ends when there was no request for [`HEAD_DEADLINE`]. Bytes of a head that does not
    /// end change nothing: a drip is as good as silence.
    pub(crate) async fn too_long(&self) {
        self.quiet_for(HEAD_DEADLINE).await;
    }

    /// Ends when no request is under way and the last answer had [`FAREWELL`] to go out.
    pub(crate) async fn over(&self) {
        self.quiet_for(FAREWELL).await;
    }

    fn rest(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(0);
        self.since_ms.store(now, Ordering::Relaxed);
    }

    async fn quiet_for(&self, limit: Duration) {
        loop {
            let idle = match self.since_ms.load(Ordering::Relaxed) {
                BUSY => Duration::ZERO,
                since => self
                    .opened
                    .elapsed()
                    .saturating_sub(Duration::from_millis(since)),
            };
            let left = limit.saturating_sub(idle);
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl HttpBody for Lasting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // hyper comes back for more once its buffer has room, which it has while the client reads.
        match &frame {
            Poll::Pending => self.idle.since_ms.store(BUSY, Ordering::Relaxed),
            Poll::Ready(_) => self.idle.rest(),
        }
        frame
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.idle.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_given_up_after_the_deadline() {
        let opened = clock::monotonic();
        Idle::new().too_long().await;
        assert_eq!(opened.elapsed().as_secs(), HEAD_DEADLINE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_answer_lasts_while_more_of_it_is_asked_for() {
        let idle = Arc::new(Idle::new());
        let (given, body) = tokio::sync::mpsc::channel::<Result<Bytes, axum::Error>>(1);
        let body = futures_util::stream::unfold(body, |mut body| async {
            body.recv().await.map(|item| (item, body))
        });
        let mut response = Response::new(Body::from_stream(body));
        response.extensions_mut().insert(Endless);
        let mut body = lasting(response, &idle).into_body();
        let opened = clock::monotonic();
        let taken = async {
            let give = async {
                sleep(Duration::from_secs(3600)).await;
                given.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
            };
            let mut next = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            tokio::join!(give, &mut next).1
        };
        tokio::select! {
            frame = taken => assert!(frame.is_some()),
            () = idle.too_long() => panic!("given up after {:?}", opened.elapsed()),
        }
        // It is asked for nothing any more.
        idle.too_long().await;
        assert_eq!(opened.elapsed().as_secs(), 3600 + HEAD_DEADLINE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_counts_from_the_last_answer_and_not_while_one_is_made() {
        let idle = Idle::new();
        let opened = clock::monotonic();
        let walk = async {
            let request = idle.busy();
            sleep(Duration::from_secs(35)).await;
            drop(request);
            sleep(Duration::from_secs(3600)).await;
        };
        tokio::select! {
            () = walk => panic!("it was kept for an hour"),
            () = idle.too_long() => {}
        }
        assert_eq!(opened.elapsed().as_secs(), 45);
    }
}
