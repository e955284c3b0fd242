//! Tickets and generations: what was begun before a change cannot become visible after it.
//!
//! Keys fall into stripes, each with a generation. Whoever is about to fetch a
//! value takes a [`Ticket`] first; what he fetched is let in only while no
//! generation of his stripe has passed since. A writer closes the stripe before
//! he sends anything and opens it when the outcome is known; closing and opening
//! both end a generation and empty the key. Two keys of one stripe refuse each
//! other's inserts now and then, never more.
//!
//! What concerns more keys than one passes the *wide* generation, which every
//! ticket holds as well: nothing is dropped then, but nothing that was begun
//! before is let in either. A set of keys can be barred while it is removed.
//!
//! The gate knows nothing of caches: it guards anything from which a key can be dropped.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

/// Some 100 KiB a gate; two running writes out of 4,096 stripes seldom meet.
const STRIPES: usize = 4_096;
/// Waiters are woken by groups of stripes: few wait, and they look again.
const WAKE_GROUPS: usize = 64;

/// What stands behind a gate.
pub(crate) trait Guarded {
    type Held;

    /// Gives up the key, and hands over what it held: to be dropped where no lock
    /// is held, for a drop may run anybody's code.
    fn take(&self, key: &str) -> Option<Self::Held>;

    fn drop_all(&self);

    /// Gives up the keys that match, and tells how many.
    fn drop_matching(&self, matches: &Matches) -> u64;
}

/// Says of a key whether it is of a set.
pub(crate) type Matches = dyn Fn(&str) -> bool + Send + Sync;

/// The generation in which something was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    wide: u64,
    generation: u64,
}

impl Ticket {
    pub(crate) fn wide(self) -> u64 {
        self.wide
    }
}

pub(crate) struct Gate<G: Guarded> {
    guarded: Arc<G>,
    /// On lines of its own: every hit reads it, and stripes are written all the time.
    wide: Wide,
    stripes: Box<[Mutex<Stripe>]>,
    wakes: Box<[Notify]>,
    hasher: RandomState,
    barred: RwLock<Vec<(u64, Arc<Matches>)>>,
    /// Kept beside the list so that a publish pays one load when nothing is barred.
    bars: AtomicUsize,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Wide(AtomicU64);

#[derive(Debug, Default)]
struct Stripe {
    generation: u64,
    /// How many writers keep the stripe closed to publishes.
    closed: u32,
}

impl<G: Guarded> Gate<G> {
    pub(crate) fn new(guarded: Arc<G>) -> Self {
        Self {
            guarded,
            wide: Wide::default(),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            wakes: (0..WAKE_GROUPS).map(|_| Notify::new()).collect(),
            hasher: RandomState::default(),
            barred: RwLock::default(),
            bars: AtomicUsize::new(0),
        }
    }

    /// To be taken before anything is asked of anybody.
    pub(crate) fn ticket(&self, key: &str) -> Ticket {
        self.ticket_of(&self.stripes[self.stripe(key)].lock())
    }

    fn ticket_of(&self, stripe: &Stripe) -> Ticket {
        Ticket {
            wide: self.wide(),
            generation: stripe.generation,
        }
    }

    /// The number of the last change of more keys than one.
    #[inline]
    pub(crate) fn wide(&self) -> u64 {
        self.wide.0.load(Ordering::Acquire)
    }

    /// Ends every ticket and drops nothing: something has changed that may concern
    /// any key. Tells the number of the change.
    pub(crate) fn turn_wide(&self) -> u64 {
        let number = self.wide.0.fetch_add(1, Ordering::AcqRel) + 1;
        self.wakes.iter().for_each(Notify::notify_waiters);
        number
    }

    pub(crate) fn is_alive(&self, key: &str, ticket: Ticket) -> bool {
        self.ticket(key) == ticket
    }

    /// Runs `insert` under the stripe's lock if the ticket is alive and no writer has closed the stripe.
    pub(crate) fn publish(&self, key: &str, ticket: Ticket, insert: impl FnOnce(&G)) -> bool {
        let stripe = self.stripes[self.stripe(key)].lock();
        let admitted =
            self.ticket_of(&stripe) == ticket && stripe.closed == 0 && !self.is_barred(key);
        if admitted {
            insert(&self.guarded);
        }
        admitted
    }

    fn is_barred(&self, key: &str) -> bool {
        self.bars.load(Ordering::Acquire) > 0
            && self.barred.read().iter().any(|(_, matches)| matches(key))
    }

    /// Drops the key and ends the generation.
    pub(crate) fn void(&self, key: &str) {
        let index = self.stripe(key);
        let taken = self.turn(index, &mut self.stripes[index].lock(), Some(key));
        drop(taken);
    }

    /// Ends the generation and drops nothing: who waits looks again, what is held stays.
    pub(crate) fn stir(&self, key: &str) {
        let index = self.stripe(key);
        self.turn(index, &mut self.stripes[index].lock(), None);
    }

    /// Drops the key, ends the generation and inserts, unless a writer has closed
    /// the stripe: a write that sends nothing to anybody, in one step.
    pub(crate) fn replace(&self, key: &str, insert: impl FnOnce(&G)) {
        let index = self.stripe(key);
        let mut stripe = self.stripes[index].lock();
        let taken = self.turn(index, &mut stripe, Some(key));
        if stripe.closed == 0 {
            insert(&self.guarded);
        }
        drop(stripe);
        drop(taken);
    }

    /// Voids the key and closes its stripe to publishes until the guard is gone.
    ///
    /// With `held`, the ticket of work that goes on: if it was alive, the work
    /// gets a new ticket, told to `renewed` under the same lock. If it was dead
    /// it stays dead; renewing it would revive what somebody else has voided.
    pub(crate) fn close(
        self: &Arc<Self>,
        key: &Arc<str>,
        held: Option<Ticket>,
        renewed: impl FnOnce(Ticket),
    ) -> Closed<G> {
        let index = self.stripe(key);
        let mut stripe = self.stripes[index].lock();
        let now = self.ticket_of(&stripe);
        let alive = held.is_none_or(|ticket| ticket == now);
        stripe.closed += 1;
        let taken = self.turn(index, &mut stripe, Some(key));
        // The wide generation of before: one that passes now kills the ticket.
        let ticket = alive.then_some(Ticket {
            generation: stripe.generation,
            ..now
        });
        if let Some(ticket) = ticket {
            renewed(ticket);
        }
        drop(stripe);
        let closed = Closed {
            gate: Arc::clone(self),
            stripe: index,
            key: Some(Arc::clone(key)),
            ticket,
        };
        drop(taken);
        closed
    }

    /// Voids everything and closes every stripe until the guard is gone.
    pub(crate) fn close_all(self: &Arc<Self>) -> ClosedAll<G> {
        for (index, stripe) in self.stripes.iter().enumerate() {
            let mut stripe = stripe.lock();
            stripe.closed += 1;
            self.turn(index, &mut stripe, None);
        }
        let closed = ClosedAll {
            gate: Arc::clone(self),
        };
        // Nothing can be inserted any more, so one sweep leaves nothing behind.
        self.guarded.drop_all();
        closed
    }

    /// Voids the keys that match, and keeps what is read meanwhile out, until the
    /// guard is gone: then they are void once more. Tells how many it held.
    pub(crate) fn bar(self: &Arc<Self>, matches: Arc<Matches>) -> (Barred<G>, u64) {
        let number = self.turn_wide();
        let mut barred = self.barred.write();
        barred.push((number, Arc::clone(&matches)));
        self.bars.store(barred.len(), Ordering::Release);
        drop(barred);
        let bar = Barred {
            gate: Arc::clone(self),
            number,
            matches,
        };
        let held = self.void_matching(&*bar.matches);
        (bar, held)
    }

    /// Ends every generation, so that whatever was begun before stays out, and only
    /// then drops the keys: one sweep leaves nothing behind.
    fn void_matching(&self, matches: &Matches) -> u64 {
        for (index, stripe) in self.stripes.iter().enumerate() {
            self.turn(index, &mut stripe.lock(), None);
        }
        self.guarded.drop_matching(matches)
    }

    /// Waits until the ticket is dead: for the state, not for the next signal,
    /// which may have passed already.
    pub(crate) async fn dead(&self, key: &str, ticket: Ticket) {
        let wake = &self.wakes[self.stripe(key) % WAKE_GROUPS];
        loop {
            let woken = wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if !self.is_alive(key, ticket) {
                return;
            }
            woken.await;
        }
    }

    /// Ends the stripe's generation, under its lock. What it returns is for the
    /// caller to drop after the lock.
    fn turn(&self, index: usize, stripe: &mut Stripe, key: Option<&str>) -> Option<G::Held> {
        stripe.generation += 1;
        let taken = key.and_then(|key| self.guarded.take(key));
        self.wakes[index % WAKE_GROUPS].notify_waiters();
        taken
    }

    fn stripe(&self, key: &str) -> usize {
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % STRIPES as u64).expect("less than the number of stripes")
    }
}

/// A stripe closed by one writer. Dropping it opens the stripe with nothing in it.
#[must_use = "the stripe opens when this is dropped"]
pub(crate) struct Closed<G: Guarded> {
    gate: Arc<Gate<G>>,
    stripe: usize,
    /// `None` once the stripe is open again.
    key: Option<Arc<str>>,
    /// `None`: dead from the start.
    ticket: Option<Ticket>,
}

impl<G: Guarded> Closed<G> {
    /// Under which the writer's value is let in when it opens; `None` if it is not.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.ticket
    }

    /// Opens the stripe and inserts, if nobody changed anything since it was
    /// closed. The generation ends either way, under the same lock.
    pub(crate) fn open_with(mut self, insert: impl FnOnce(&G)) {
        self.open(insert);
    }

    fn open(&mut self, insert: impl FnOnce(&G)) {
        let Some(key) = self.key.take() else { return };
        let mut stripe = self.gate.stripes[self.stripe].lock();
        let now = self.gate.ticket_of(&stripe);
        // A barred key may be removed from where this value was written to, behind it.
        let undisturbed =
            self.ticket == Some(now) && stripe.closed == 1 && !self.gate.is_barred(&key);
        stripe.closed -= 1;
        let taken = self.gate.turn(self.stripe, &mut stripe, Some(&key));
        if undisturbed {
            insert(&self.gate.guarded);
        }
        drop(stripe);
        drop(taken);
    }
}

impl<G: Guarded> Drop for Closed<G> {
    fn drop(&mut self) {
        self.open(|_| ());
    }
}

/// A set of keys that is being removed. Dropping it voids them once more, for what
/// was written here meanwhile may have been removed behind it.
#[must_use = "the keys are let in again when this is dropped"]
pub(crate) struct Barred<G: Guarded> {
    gate: Arc<Gate<G>>,
    number: u64,
    matches: Arc<Matches>,
}

impl<G: Guarded> Drop for Barred<G> {
    fn drop(&mut self) {
        self.gate.void_matching(&*self.matches);
        let mut barred = self.gate.barred.write();
        barred.retain(|(number, _)| *number != self.number);
        self.gate.bars.store(barred.len(), Ordering::Release);
        drop(barred);
        self.gate.turn_wide();
    }
}

impl<G: Guarded> fmt::Debug for Gate<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("wide", &self.wide)
            .finish_non_exhaustive()
    }
}

/// Every stripe closed. Dropping it opens them.
#[must_use = "the stripes open when this is dropped"]
pub(crate) struct ClosedAll<G: Guarded> {
    gate: Arc<Gate<G>>,
}

impl<G: Guarded> Drop for ClosedAll<G> {
    fn drop(&mut self) {
        for (index, stripe) in self.gate.stripes.iter().enumerate() {
            let mut stripe = stripe.lock();
            stripe.closed -= 1;
            self.gate.turn(index, &mut stripe, None);
        }
    }
}
