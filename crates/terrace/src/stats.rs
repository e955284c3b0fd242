//! Counters, one line each, and the snapshot that users read.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

/// What a cache did since it was built, and what it holds now. A plain copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Reads answered from L1 with a fresh value.
    pub hits: u64,
    /// Reads answered from L1 with a stale value, a load running behind.
    pub stale_hits: u64,
    /// Reads that L1 could not answer.
    pub misses: u64,
    /// L2 answered with a usable value.
    pub store_hits: u64,
    /// L2 answered, and had nothing usable.
    pub store_misses: u64,
    /// Calls to L2 that failed.
    pub store_errors: u64,
    /// Of these, calls that ran into the deadline.
    pub store_timeouts: u64,
    /// Calls to L2 not made: the breaker was open, or too many were in flight.
    pub store_skipped: u64,
    /// Stored bytes that were no envelope, cut, damaged, without a life or not decodable.
    pub store_damaged: u64,
    /// Sound envelopes of another key.
    pub store_foreign: u64,
    /// Sound envelopes of an older schema, or another codec.
    pub store_outdated: u64,
    /// Sound envelopes of a newer schema or format; left alone.
    pub store_newer: u64,
    /// Stored bytes above the limit, not read; or values above it, not stored.
    pub store_oversize: u64,
    /// Loads started.
    pub loads: u64,
    /// Of these, loads that failed, panicked or ran out of time.
    pub load_failures: u64,
    /// Readers who waited for somebody else's load in this process.
    pub joined: u64,
    /// Times that a load was left to another process that held the lease.
    pub lease_waits: u64,
    /// Loads without a lease: the store failed, or its lease did not come free.
    pub unleased: u64,
    /// Loads that failed and were covered by a value at hand.
    pub stale_on_error: u64,
    /// Fills that L2 took.
    pub fills: u64,
    /// Fills that L2 refused: the lease had gone.
    pub refused: u64,
    /// `set` calls that a later write overtook.
    pub superseded: u64,
    /// Keys removed by `remove`.
    pub removals: u64,
    /// Groups removed: by tag, by prefix or glob, or all of the cache.
    pub group_removals: u64,
    /// Keys and marks that others were heard to have changed.
    pub changes_heard: u64,
    /// Times that news from the store may have been missed.
    pub gaps: u64,
    /// Entries of L1 that were looked at again in L2, and were still right.
    pub confirmed: u64,
    /// Of those looked at again, entries that were not.
    pub outdated: u64,
    /// Reads answered from L1 with nobody to vouch for it: the store did not answer.
    pub unproven_hits: u64,
    /// Loads whose result was stored nowhere, for a tag was removed meanwhile.
    pub overtaken: u64,
    /// Keys, tags and patterns whose last write has an unknown outcome in L2, right now.
    pub pending: u64,
    /// Entries in L1, right now; engines count them with a short delay.
    pub entries: u64,
    /// What L1 may hold: entries, or weight if the cache has a weigher.
    pub capacity: u64,
    /// The store's state; `None` for a cache without one.
    pub store: Option<StoreState>,
}

/// The store as the cache sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreState {
    /// What it is: "Redis", "memory".
    pub kind: &'static str,
    /// Whether the last probe (every second) was answered within the deadline.
    pub healthy: bool,
    /// Whether calls are being skipped: it did not answer.
    pub breaker_open: bool,
    /// Whether writes are being skipped: it refuses them.
    pub writes_refused: bool,
    /// Whether it tells of changes; if not, what is older than `max_staleness` is
    /// looked at again before it is served.
    pub hearing: bool,
    /// How long it last took news to arrive.
    pub lag: Option<Duration>,
}

/// The live counters behind [`Stats`]; their meaning is written there.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Striped,
    /// Fresh and unproven: counted once, and read as both.
    pub(crate) fresh_unproven_hits: Striped,
    pub(crate) stale_hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) store_hits: AtomicU64,
    pub(crate) store_misses: AtomicU64,
    pub(crate) store_errors: AtomicU64,
    pub(crate) store_timeouts: AtomicU64,
    pub(crate) store_skipped: AtomicU64,
    pub(crate) store_damaged: AtomicU64,
    pub(crate) store_foreign: AtomicU64,
    pub(crate) store_outdated: AtomicU64,
    pub(crate) store_newer: AtomicU64,
    pub(crate) store_oversize: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_failures: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) lease_waits: AtomicU64,
    pub(crate) unleased: AtomicU64,
    pub(crate) stale_on_error: AtomicU64,
    pub(crate) fills: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) superseded: AtomicU64,
    pub(crate) removals: AtomicU64,
    pub(crate) group_removals: AtomicU64,
    pub(crate) changes_heard: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) outdated: AtomicU64,
    pub(crate) unproven_hits: Striped,
    pub(crate) overtaken: AtomicU64,
}

impl Counters {
    /// The counters; what a cache holds is filled in by its owner.
    pub(crate) fn snapshot(&self) -> Stats {
        let fresh_unproven = self.fresh_unproven_hits.sum();
        Stats {
            hits: self.hits.sum() + fresh_unproven,
            stale_hits: self.stale_hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            store_hits: self.store_hits.load(Relaxed),
            store_misses: self.store_misses.load(Relaxed),
            store_errors: self.store_errors.load(Relaxed),
            store_timeouts: self.store_timeouts.load(Relaxed),
            store_skipped: self.store_skipped.load(Relaxed),
            store_damaged: self.store_damaged.load(Relaxed),
            store_foreign: self.store_foreign.load(Relaxed),
            store_outdated: self.store_outdated.load(Relaxed),
            store_newer: self.store_newer.load(Relaxed),
            store_oversize: self.store_oversize.load(Relaxed),
            loads: self.loads.load(Relaxed),
            load_failures: self.load_failures.load(Relaxed),
            joined: self.joined.load(Relaxed),
            lease_waits: self.lease_waits.load(Relaxed),
            unleased: self.unleased.load(Relaxed),
            stale_on_error: self.stale_on_error.load(Relaxed),
            fills: self.fills.load(Relaxed),
            refused: self.refused.load(Relaxed),
            superseded: self.superseded.load(Relaxed),
            removals: self.removals.load(Relaxed),
            group_removals: self.group_removals.load(Relaxed),
            changes_heard: self.changes_heard.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
            confirmed: self.confirmed.load(Relaxed),
            outdated: self.outdated.load(Relaxed),
            unproven_hits: self.unproven_hits.sum() + fresh_unproven,
            overtaken: self.overtaken.load(Relaxed),
            ..Stats::default()
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

const STRIPES: usize = 16;

/// A counter on the hit path: a plain atomic there costs two threads 25
/// to 40 ns each, this some 2 ns (docs/adr/0002).
#[derive(Debug, Default)]
pub(crate) struct Striped([Padded; STRIPES]);

/// On its own cache lines, two for the sake of the adjacent-line prefetcher.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Striped {
    #[inline]
    pub(crate) fn add_one(&self) {
        self.0[stripe_of_thread()].0.fetch_add(1, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|slot| slot.0.load(Relaxed)).sum()
    }
}

#[inline]
fn stripe_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Relaxed) % STRIPES);
        }
        stripe.get()
    })
}
