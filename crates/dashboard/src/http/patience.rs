//! How long a connection may be kept without a request on it.
//!
//! hyper can do this too, by a timer made and dropped for each request. Here one timer a
//! connection looks at a note that each request leaves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock;

/// How long a request's head may take; also how long an idle connection is kept.
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
        let now = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(0);
        self.0.since_ms.store(now, Ordering::Relaxed);
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
