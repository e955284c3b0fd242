//! The gate: one key, one stripe, L1 behind it and L2 beside it.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
};

use loom::sync::{
    Mutex,
    atomic::{
        AtomicU64,
        Ordering::{AcqRel, Acquire, Release},
    },
};

use super::gate::{Gate, Guarded, Matches};
use crate::explore::{Shared as _, Witness, join};

scenarios![
    what_was_fetched_before_a_write_is_not_kept,
    what_was_fetched_before_a_void_is_not_kept,
    of_two_writes_the_one_that_l2_kept_is_kept,
    who_waits_for_the_end_of_a_generation_is_woken,
    what_was_fetched_while_a_pattern_was_removed_is_not_kept,
    nothing_is_let_in_while_its_pattern_is_removed,
    nothing_is_written_in_while_its_pattern_is_removed,
    a_closed_cache_is_empty,
];

pub(super) const KEY: &str = "k";
pub(super) const NOTHING: u64 = 0;

/// L1 with room for one key, read without a lock.
#[derive(Debug, Default)]
pub(super) struct Shelf(AtomicU64);

impl Shelf {
    fn put(&self, version: u64) {
        self.0.store(version, Release);
    }

    fn look(&self) -> u64 {
        self.0.load(Acquire)
    }
}

impl Guarded for Shelf {
    type Held = u64;

    fn take(&self, _key: &str) -> Option<u64> {
        Some(self.0.swap(NOTHING, AcqRel))
    }

    fn drop_all(&self) {
        self.put(NOTHING);
    }

    fn drop_matching(&self, matches: &Matches) -> u64 {
        u64::from(matches(KEY) && self.0.swap(NOTHING, AcqRel) != NOTHING)
    }
}

/// One process and the store.
#[derive(Clone)]
pub(super) struct Tiers {
    shelf: Arc<Shelf>,
    pub(super) gate: Arc<Gate<Shelf>>,
    l2: Arc<Mutex<u64>>,
}

impl Tiers {
    /// L2 has version 1, L1 nothing.
    pub(super) fn new() -> Self {
        let shelf = Arc::new(Shelf::default());
        Self {
            gate: Arc::new(Gate::new(Arc::clone(&shelf))),
            shelf,
            l2: Arc::new(Mutex::new(1)),
        }
    }

    pub(super) fn stored(&self) -> u64 {
        *self.l2.lock().expect("nobody panics")
    }

    pub(super) fn store(&self, version: u64) {
        *self.l2.lock().expect("nobody panics") = version;
    }

    /// A read that misses L1.
    fn fetch(&self) {
        let ticket = self.gate.ticket(KEY);
        let version = self.stored();
        if version != NOTHING {
            let put = |shelf: &Shelf| shelf.put(version);
            self.gate.publish(KEY, ticket, put);
        }
    }

    /// A set.
    fn set(&self, version: u64) {
        let closed = self.gate.close(&Arc::from(KEY), None, |_| ());
        self.store(version);
        closed.open_with(|shelf| shelf.put(version));
    }
}

fn what_was_fetched_before_a_write_is_not_kept(witness: &Witness) {
    let it = Tiers::new();
    let reader = it.apart(|it| it.fetch());
    it.set(2);
    witness.demand(it.shelf.look() != 1, "the writer reads what it replaced");
    join([reader]);
    witness.demand(it.shelf.look() != 1, "L1 keeps what was replaced");
}

/// Somebody else changes L2, and L1 hears of it.
fn what_was_fetched_before_a_void_is_not_kept(witness: &Witness) {
    let it = Tiers::new();
    let readers = [it.apart(|it| it.fetch()), it.apart(|it| it.fetch())];
    it.store(2);
    it.gate.void(KEY);
    witness.demand(it.shelf.look() != 1, "L1 has what it heard to be gone");
    join(readers);
    witness.demand(it.shelf.look() != 1, "L1 keeps what it heard to be gone");
}

fn of_two_writes_the_one_that_l2_kept_is_kept(witness: &Witness) {
    let it = Tiers::new();
    let writers = [it.apart(|it| it.set(2)), it.apart(|it| it.set(3))];
    join(writers);
    let (held, stored) = (it.shelf.look(), it.stored());
    let agrees = held == NOTHING || held == stored;
    witness.demand(agrees, "L1 keeps the write that L2 has replaced");
}

/// Whether somebody was woken. Std's, and polled by hand: a waiter who sleeps for
/// ever would be a deadlock, which loom finds too, and cannot go on after.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

fn who_waits_for_the_end_of_a_generation_is_woken(witness: &Witness) {
    for end in [
        (|it| it.gate.void(KEY)) as fn(Tiers),
        |it| it.gate.stir(KEY),
        |it| _ = it.gate.turn_wide(),
    ] {
        let it = Tiers::new();
        let ticket = it.gate.ticket(KEY);
        let ends = it.apart(end);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        let mut dead = pin!(it.gate.dead(KEY, ticket));
        let is_dead = dead.as_mut().poll(&mut context).is_ready();
        join([ends]);
        let is_woken = is_dead || bell.0.load(SeqCst);
        witness.demand(is_woken, "nobody wakes who waits");
        let ends = is_dead || dead.poll(&mut context).is_ready();
        witness.demand(ends, "who was woken sleeps on");
    }
}

fn every_key() -> Arc<Matches> {
    Arc::new(|_: &str| true)
}

fn what_was_fetched_while_a_pattern_was_removed_is_not_kept(witness: &Witness) {
    let it = Tiers::new();
    let reader = it.apart(|it| it.fetch());
    let (bar, _) = it.gate.bar(every_key());
    it.store(NOTHING);
    drop(bar);
    witness.demand(it.shelf.look() == NOTHING, "who removed it reads it");
    join([reader]);
    witness.demand(it.shelf.look() == NOTHING, "L1 keeps what was removed");
}

fn nothing_is_let_in_while_its_pattern_is_removed(witness: &Witness) {
    let it = Tiers::new();
    let reader = it.apart(|it| it.fetch());
    let (bar, _) = it.gate.bar(every_key());
    join([reader]);
    witness.demand(it.shelf.look() == NOTHING, "L1 has what is being removed");
    drop(bar);
}

/// What is written behind the scan may be removed by it, and nobody is told.
fn nothing_is_written_in_while_its_pattern_is_removed(witness: &Witness) {
    let it = Tiers::new();
    let writer = it.apart(|it| it.set(2));
    let (bar, _) = it.gate.bar(every_key());
    it.store(NOTHING);
    join([writer]);
    witness.demand(it.shelf.look() == NOTHING, "L1 has what may be removed");
    drop(bar);
}

fn a_closed_cache_is_empty(witness: &Witness) {
    let it = Tiers::new();
    let reader = it.apart(|it| it.fetch());
    let writer = it.apart(|it| it.set(2));
    let shut = it.gate.close_all();
    join([reader, writer]);
    witness.demand(it.shelf.look() == NOTHING, "a closed cache holds a value");
    drop(shut);
}
