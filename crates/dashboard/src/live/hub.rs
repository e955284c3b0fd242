//! Where the newest summary stands for everybody who wants to hear of it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{clock, market::summary::Summary};

/// One published summary.
#[derive(Clone, Debug)]
pub struct Update {
    /// Grows with each update. Invariant: never goes back, over restarts either.
    pub seq: u64,
    /// When it was published.
    pub timestamp: Timestamp,
    /// Who published it: `refresher`, `refresh`, or `store` for what an earlier process left there.
    pub source: String,
    /// What is published.
    pub summary: Arc<Summary>,
}

/// Latest state wins: a subscriber that was slow finds the newest update, never a backlog.
#[derive(Clone, Debug)]
pub struct Hub {
    newest: watch::Sender<Option<Arc<Update>>>,
    /// What a client is told before anything was published. Invariant: below each update's `seq`,
    /// and not below what an earlier process told.
    starting_seq: u64,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub at which nothing was published yet.
    pub fn new() -> Self {
        Self {
            newest: watch::Sender::new(None),
            starting_seq: wall_clock_ms(clock::now()),
        }
    }

    /// The sequence number of having nothing yet: below the first update's.
    pub fn starting_seq(&self) -> u64 {
        self.starting_seq
    }

    /// A receiver that sees the newest update and every change that it is quick enough for.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Update>>> {
        self.newest.subscribe()
    }

    /// The newest update.
    pub fn latest(&self) -> Option<Arc<Update>> {
        self.newest.borrow().clone()
    }

    /// Publishes a summary to whoever listens; nobody listening is no failure.
    ///
    /// The sequence starts at the wall clock's milliseconds: rounds are seconds apart, so a process
    /// that starts anew is ahead of all that its predecessor counted.
    pub fn publish(&self, source: &str, summary: Arc<Summary>, now: Timestamp) -> Arc<Update> {
        let mut published = None;
        self.newest.send_modify(|newest| {
            let last = newest.as_ref().map_or(self.starting_seq, |last| last.seq);
            let seq = wall_clock_ms(now).max(last + 1);
            let update = Arc::new(Update {
                seq,
                timestamp: now,
                source: source.to_owned(),
                summary,
            });
            published = Some(Arc::clone(&update));
            *newest = Some(update);
        });
        published.expect("send_modify runs its closure once")
    }
}

fn wall_clock_ms(now: Timestamp) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or(0)
}
