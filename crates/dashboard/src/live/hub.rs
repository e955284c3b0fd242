//! Where the newest summary stands for everybody who wants to hear of it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{clock, market::bulletin::News};

/// Latest state wins: a subscriber that was slow finds the newest update, never a backlog.
#[derive(Clone, Debug)]
pub struct Hub {
    newest: watch::Sender<Shown>,
    /// What a client is told before anything was published. Invariant: not below what an earlier
    /// process told.
    starting_seq: u64,
}

/// What stands at the hub.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Counts what was shown here.
    pub number: u64,
    /// The newest update, if there was any.
    pub news: Option<Arc<News>>,
}

impl Shown {
    /// How many were shown after that number and before this one. A gap, in which nobody knows what
    /// others published, counts as one.
    pub fn missed_after(&self, number: u64) -> u64 {
        self.number.saturating_sub(number + 1)
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub at which nothing was published yet.
    pub fn new() -> Self {
        let now = clock::now();
        Self {
            newest: watch::Sender::default(),
            starting_seq: u64::try_from(now.as_millisecond()).unwrap_or(0),
        }
    }

    /// The sequence number of having nothing yet.
    pub fn starting_seq(&self) -> u64 {
        self.starting_seq
    }

    /// A receiver that sees the newest update and every change that it is quick enough for.
    pub fn subscribe(&self) -> watch::Receiver<Shown> {
        self.newest.subscribe()
    }

    /// The newest update.
    pub fn latest(&self) -> Option<Arc<News>> {
        self.newest.borrow().news.clone()
    }

    /// Hands an update to whoever listens, unless a later one was there before it; nobody listening
    /// is no failure.
    pub fn publish(&self, update: Arc<News>) {
        self.newest.send_if_modified(|shown| {
            let last = shown.news.as_ref();
            let is_newer = last.is_none_or(|last| last.seq < update.seq);
            if is_newer {
                shown.number += 1;
                shown.news = Some(update);
            }
            is_newer
        });
    }

    /// Shows the newest update, whether it was there before or not, as to somebody who has missed one:
    /// updates of others may have got lost.
    pub fn resync(&self, newest: Option<Arc<News>>) {
        self.newest.send_if_modified(|shown| {
            let held = shown.news.as_ref().map(|news| news.seq);
            if held < newest.as_ref().map(|news| news.seq) {
                shown.news = newest;
            }
            shown.number += 2;
            shown.news.is_some()
        });
    }
}
