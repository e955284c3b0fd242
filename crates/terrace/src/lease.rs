//! Leases that this process may hold, each given back by whoever drops it.

use std::sync::Arc;

use crate::{core::Core, envelope::Token, write};

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
