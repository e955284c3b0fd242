//! Until when L1 is known to agree with the store, and on what grounds.
//!
//! The store tells of changes over a link. What L1 got over a link is right for as
//! long as the link is known to have told everything: until the last heartbeat's
//! *send* time plus the bound. Whatever may have swallowed news (a lost
//! connection, a flush) ends the link's epoch, and with it all that rests on it.

use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU64,
    Ordering::{Acquire, Release},
};

use parking_lot::Mutex;

use crate::clock::Moment;

/// The link epoch of what the store has never confirmed.
pub(crate) const UNCONFIRMED: u64 = 0;
const FIRST: u64 = 1;

#[derive(Debug)]
pub(crate) struct Proof {
    /// How long a heartbeat vouches, in milliseconds.
    bound: u64,
    writers: Mutex<()>,
    link_epoch: AtomicU64,
    /// Invariant: granted in the present link epoch, or in the past for good.
    until: AtomicI64,
    answering: AtomicBool,
}

impl Proof {
    /// Nothing is proven before the first heartbeat.
    pub(crate) fn of_heartbeats(bound: u64) -> Self {
        Self {
            bound,
            writers: Mutex::default(),
            link_epoch: AtomicU64::new(FIRST),
            until: AtomicI64::new(Moment::NEVER.to_raw()),
            answering: AtomicBool::new(false),
        }
    }

    /// There is no store to disagree with.
    pub(crate) fn of_itself() -> Self {
        Self {
            until: AtomicI64::new(Moment::ALWAYS.to_raw()),
            answering: AtomicBool::new(true),
            ..Self::of_heartbeats(u64::MAX)
        }
    }

    pub(crate) fn link_epoch(&self) -> u64 {
        self.link_epoch.load(Acquire)
    }

    /// Whether what was got over the link in this epoch is proven at `now`.
    ///
    /// The time is read first: one that was granted in a newer epoch is then seen
    /// together with that epoch, and does not vouch for what is older.
    #[inline]
    pub(crate) fn covers(&self, link_epoch: u64, now: Moment) -> bool {
        let until = Moment::from_raw(self.until.load(Acquire));
        now < until && self.link_epoch.load(Acquire) == link_epoch
    }

    /// Whether a moment is near enough to vouch for itself.
    pub(crate) fn is_recent(&self, as_of: Moment, now: Moment) -> bool {
        now < as_of.plus_millis(self.bound)
    }

    /// Up to which moment the link has told everything.
    pub(crate) fn as_of(&self) -> Moment {
        Moment::from_raw(self.until.load(Acquire)).minus_millis(self.bound)
    }

    /// What is older than this is asked for anew, before it stops vouching.
    pub(crate) fn not_before(&self, now: Moment) -> Moment {
        now.minus_millis(self.bound / 2)
    }

    /// A heartbeat that was sent at `sent`, in this epoch, has been answered.
    pub(crate) fn grant(&self, link_epoch: u64, sent: Moment) {
        let _writing = self.writers.lock();
        if self.link_epoch() == link_epoch {
            let until = sent.plus_millis(self.bound).to_raw();
            self.until.fetch_max(until, Release);
        }
    }

    /// News may have been missed: nothing is proven any more.
    pub(crate) fn gap(&self) {
        let _writing = self.writers.lock();
        self.until.store(Moment::NEVER.to_raw(), Release);
        self.link_epoch.fetch_add(1, Release);
    }

    /// Whether the store is thought to answer: then what is not proven is asked
    /// for; else it is served as it is, and said to be so.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Acquire)
    }

    pub(crate) fn set_answering(&self, answering: bool) {
        self.answering.store(answering, Release);
    }
}
