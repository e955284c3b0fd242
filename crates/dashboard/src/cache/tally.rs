//! What the caches did and hold, summed up for those who look after them.

use serde::Serialize;
use terrace::{Removed, Stats};

/// What the caches did since start, and what they hold now. Rates are left to whoever shows them.
#[derive(Clone, Debug)]
pub struct CacheStats {
    /// The engine of L1: `moka` or `quick_cache`.
    pub l1_kind: &'static str,
    /// Entries in L1, over all caches.
    pub l1_entries: u64,
    /// What L1 may hold, over all caches.
    pub l1_capacity: u64,
    /// Reads that L1 answered.
    pub l1_hits: u64,
    /// Reads that it could not answer.
    pub l1_misses: u64,
    /// Reads that some tier answered.
    pub answered: u64,
    /// Reads that none could answer.
    pub unanswered: u64,
    /// Each cache by its name.
    pub caches: Vec<(&'static str, Stats)>,
}

impl CacheStats {
    pub(super) fn of(l1_kind: &'static str, caches: Vec<(&'static str, Stats)>) -> Self {
        let sum = |count: fn(&Stats) -> u64| caches.iter().map(|(_, stats)| count(stats)).sum();
        let l1_hits: u64 = sum(|stats| stats.hits + stats.stale_hits);
        let l1_misses: u64 = sum(|stats| stats.misses);
        let l2_hits: u64 = sum(|stats| stats.store_hits);
        // A look of a load at L2 is counted beside the reader's own, so hits there may outnumber misses.
        let l2_answered = l2_hits.min(l1_misses);
        Self {
            l1_kind,
            l1_entries: sum(|stats| stats.entries),
            l1_capacity: sum(|stats| stats.capacity),
            l1_hits,
            l1_misses,
            answered: l1_hits + l2_answered,
            unanswered: l1_misses - l2_answered,
            caches,
        }
    }

    /// What the store is: `Redis`, or `none`.
    pub fn l2_kind(&self) -> &'static str {
        self.store().map_or("none", |store| store.kind)
    }

    /// `connected`, `unavailable`, or `off` where none is configured.
    pub fn l2_status(&self) -> &'static str {
        match self.store() {
            None => "off",
            Some(store) if store.healthy => "connected",
            Some(_) => "unavailable",
        }
    }

    /// Whether the store answered its last probe. False without one.
    pub fn l2_is_healthy(&self) -> bool {
        self.store().is_some_and(|store| store.healthy)
    }

    /// Whether every tier that is configured works. L1 cannot fail, and what is off does not count.
    pub fn is_sound(&self) -> bool {
        self.store().is_none_or(|store| store.healthy)
    }

    fn store(&self) -> Option<terrace::StoreState> {
        self.caches.first().and_then(|(_, stats)| stats.store)
    }
}

/// What was cleared, a line each, counted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cleared {
    /// What was done.
    pub operations: Vec<String>,
    /// What could not be done.
    pub failures: Vec<String>,
}

impl Cleared {
    /// Whether every tier of every cache is empty now.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    pub(super) fn note_removed(&mut self, cache: &str, removed: Result<Removed, terrace::Error>) {
        match removed {
            Ok(Removed { local, store, .. }) => {
                let store = store.unwrap_or(0);
                self.operations
                    .push(format!("{cache}: {local} in L1, {store} in L2"));
            }
            Err(error) => self.note(cache, Err(error)),
        }
    }

    pub(super) fn note_board(&mut self, done: Result<(), terrace::Error>) {
        match done {
            Ok(()) => self.operations.push("live: L2".to_owned()),
            Err(error) => self.note("live", Err(error)),
        }
    }

    pub(super) fn note(&mut self, cache: &str, done: Result<(), terrace::Error>) {
        match done {
            Ok(()) => self.operations.push(format!("{cache}: L1 and L2")),
            Err(error) => {
                tracing::warn!(cache, %error, "L2 was not cleared");
                self.operations.push(format!("{cache}: L1"));
                self.failures
                    .push(format!("{cache}: L2 could not be cleared"));
            }
        }
    }
}
