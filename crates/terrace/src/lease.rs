//! Leases that this process may hold, each given back by whoever drops it, and the
//! wait for those that others hold.

use std::{sync::Arc, time::Duration};

use crate::{core::Core, envelope::Token, write};

/// First and longest pause between two questions for a lease that somebody else
/// holds. A change of the key, told by the store or made here, ends a pause at once.
const FIRST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// The right to load and store a key, or the chance of having been given it.
///
/// Made before the question is sent: an answer that was lost may have been
/// "yours", and a lease that nobody gives back keeps every other reader waiting.
/// Dropping it gives the lease back, on a task of its own.
pub(crate) struct HeldLease<V: Send + Sync + 'static> {
    core: Arc<Core<V>>,
    key: Arc<str>,
    token: Token,
    used_up: bool,
}

impl<V: Send + Sync + 'static> HeldLease<V> {
    pub(crate) fn new(core: &Arc<Core<V>>, key: &Arc<str>) -> Self {
        Self {
            core: Arc::clone(core),
            key: Arc::clone(key),
            token: Token::random(),
            used_up: false,
        }
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// There is nothing to give back: it was not given, or a fill has used it.
    pub(crate) fn used_up(mut self) {
        self.used_up = true;
    }
}

impl<V: Send + Sync + 'static> Drop for HeldLease<V> {
    fn drop(&mut self) {
        // Without a runtime the lease runs out by itself.
        if self.used_up || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (core, key, token) = (Arc::clone(&self.core), Arc::clone(&self.key), self.token);
        let tasks = self.core.tasks.clone();
        tasks.spawn(async move { write::release(&core, &key, token).await });
    }
}

/// The pauses between questions for a lease, growing, and bounded in sum by the
/// time that a lease lasts.
pub(crate) struct Poll {
    patience: Duration,
    pause: Duration,
}

impl Poll {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            pause: FIRST_POLL,
        }
    }

    pub(crate) fn is_first(&self) -> bool {
        self.pause == FIRST_POLL
    }

    /// `None`: waited long enough. `left` is what the holder has left.
    pub(crate) fn next(&mut self, left: Duration) -> Option<Duration> {
        if self.patience.is_zero() {
            return None;
        }
        let jittered = self.pause.mul_f64(rand::random_range(0.8..1.2));
        let pause = jittered.min(left.max(FIRST_POLL)).min(self.patience);
        self.patience -= pause;
        self.pause = (self.pause * 2).min(LONGEST_POLL);
        Some(pause)
    }
}
