//! What the leader of a flight does: find, load, keep.
//!
//! 1. **Find** (`find.rs`). It asks L2, then for the lease; another process may be loading,
//!    and then it waits for him.
//! 2. **Load.** Under its deadline, a panic caught.
//! 3. **Keep.** Everybody is answered, and the fill goes on in the flight, which
//!    can be joined until L1 has the value.
//!
//! # What looks odd, and is meant
//!
//! A flight that waits for another process starts over with a new ticket when its
//! own dies: it has read nothing yet, and its old ticket would refuse whatever it
//! finds. A flight that has begun to load never does (protocol rule C15).
//!
//! A read whose first call to the store failed asks it nothing more: one fault
//! costs one deadline.

mod find;

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::{
    clock::Moment,
    core::{Core, Outcome, Outset},
    entry::{Entry, Freshness, Record, Source},
    envelope::Token,
    error::{BoxError, Error},
    flight::{Flight, Passenger},
    gate::Ticket,
    lease::HeldLease,
    options::{EntryOptions, Loaded},
    stats::count,
    tag::check_tags,
    tags::Before,
    trail::Trail,
    vouch, write,
};

/// A load, ready to run. It has not been polled.
pub(crate) type Load<V> = Pin<Box<dyn Future<Output = Result<Loaded<V>, BoxError>> + Send>>;

/// What a leader sets out to do.
pub(crate) struct Job<V> {
    pub(crate) key: Arc<str>,
    pub(crate) options: EntryOptions,
    pub(crate) load: Load<V>,
}

/// Why a flight was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Nothing usable in L1: any fresh value will do.
    Miss,
    /// A stale value was served: a fresh one will do, nobody waits.
    Behind,
    /// The caller wants a new load, whatever is there.
    Anew,
}

pub(crate) fn launch<V: Send + Sync + 'static>(
    core: &Arc<Core<V>>,
    job: Job<V>,
    flight: Flight<Ticket, Outcome<V>>,
    outset: Outset,
    purpose: Purpose,
) -> (Arc<str>, Passenger<Outcome<V>>) {
    let (key, passenger) = (Arc::clone(&job.key), flight.passenger());
    let leader = Leader {
        core: Arc::clone(core),
        trail: Trail::of_caller().step(core.id(), &key),
        key: job.key,
        options: job.options,
        flight,
        outset,
        purpose,
        stage: Stage::Asking,
        fallback: None,
    };
    let stop = core.stop.clone();
    core.tasks
        .spawn(async move { stop.run_until_cancelled(leader.run(job.load)).await });
    (key, passenger)
}

/// What the leader may do with the value it loads.
enum Right<V: Send + Sync + 'static> {
    /// There is no L2.
    Alone,
    /// The cluster's one load of this key is ours to store, under these epochs.
    Leased(HeldLease<V>, Before),
    /// L2 is not to be written to: it failed, or a newer version owns the slot.
    Unleased,
    /// None: a write of this key has an unknown outcome, or everything was removed
    /// since the load began. What it brings is kept nowhere.
    Nothing,
}

/// How far a leader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What it finds may be what the caller wants replaced.
    Asking,
    /// What it finds was stored after the caller asked.
    Leasing,
    /// It waited for another process: what it finds is of that process's load.
    Waited,
}

/// The task that leads a flight.
struct Leader<V: Send + Sync + 'static> {
    core: Arc<Core<V>>,
    key: Arc<str>,
    options: EntryOptions,
    flight: Flight<Ticket, Outcome<V>>,
    outset: Outset,
    trail: Trail,
    purpose: Purpose,
    stage: Stage,
    /// A stale value that may stand in if the load fails, and where it was.
    fallback: Option<(Arc<Record<V>>, Source)>,
}

impl<V: Send + Sync + 'static> Leader<V> {
    async fn run(mut self, load: Load<V>) {
        let Some(mut right) = self.right().await else {
            return;
        };
        let began = self.core.clock.now();
        match self.load(load, &mut right).await {
            Ok(loaded) => self.keep(loaded, right, began).await,
            // The lease, if there is one, goes back as it is dropped.
            Err(error) => self.fail(error).await,
        }
    }

    async fn load(&self, load: Load<V>, right: &mut Right<V>) -> Result<Loaded<V>, Error> {
        count(&self.core.counters.loads);
        let key = &self.key;
        let load = AssertUnwindSafe(self.trail.clone().follow(load)).catch_unwind();
        let limit = self.options.load_limit();
        let load = timeout(limit, load);
        tokio::pin!(load);
        let outcome = tokio::select! {
            outcome = &mut load => outcome,
            // Nobody who comes later may get what this load brings: they need not
            // wait for its lease either.
            () = self.cleared(right) => {
                *right = Right::Nothing;
                load.await
            }
        };
        match outcome {
            Ok(Ok(Ok(loaded))) => Ok(loaded),
            Ok(Ok(Err(cause))) => Err(Error::load(key, cause)),
            Ok(Err(_panic)) => Err(Error::panicked(key)),
            Err(_elapsed) => Err(Error::load_timeout(key, limit)),
        }
    }

    /// Waits until everything has been removed, if the load is to be stored at all.
    async fn cleared(&self, right: &Right<V>) {
        match (right, &self.core.remote) {
            (Right::Leased(_, before), Some(remote)) => {
                vouch::cleared(&self.core, remote, &self.key, before).await;
            }
            _ => std::future::pending().await,
        }
    }

    async fn keep(self, loaded: Loaded<V>, right: Right<V>, began: Moment) {
        let life = self.options.life(loaded.ttl);
        let (life, tags) = match (life, check_tags(loaded.tags)) {
            (Ok(life), Ok(tags)) => (life, tags),
            (Err(error), _) | (_, Err(error)) => return self.fail(error).await,
        };
        let (core, key) = (&self.core, &self.key);
        let now = core.clock.now();
        let token = match &right {
            Right::Leased(lease, _) => lease.token(),
            _ => Token::random(),
        };
        let record = core.hold(key, Record::new(loaded.value, token, life, now));
        let answer = Entry::new(Arc::clone(&record), Source::Loader, now);
        match right {
            Right::Leased(lease, before) if loaded.store => {
                self.flight.land(Ok(answer));
                let order = write::Order {
                    key: Arc::clone(key),
                    record,
                    life,
                };
                let birth = write::Birth {
                    outset: self.outset,
                    before,
                    tags,
                    began,
                };
                match write::fill(core, order, birth, |ticket| self.flight.renew(ticket)).await {
                    write::Filled::Answered => lease.used_up(),
                    write::Filled::Unanswered => {}
                    write::Filled::Overtaken => {
                        count(&core.counters.overtaken);
                        self.flight.detach();
                        write::void(core, key);
                    }
                }
            }
            Right::Alone | Right::Unleased if loaded.store => {
                let wide = self.outset.ticket.wide();
                record.born_under(core.epochs_here(&tags));
                record.stamp(core.stamp_here(wide, began));
                write::publish(core, key, self.outset.ticket, &record);
                let is_alone = core.remote.is_none();
                self.flight.land(Ok(answer.vouched(is_alone)));
            }
            _ => {
                // Kept nowhere: nobody who comes later may get it, nor what it replaces.
                self.flight.detach();
                self.flight.land(Ok(answer));
                write::void(core, key);
            }
        }
    }

    async fn fail(self, error: Error) {
        count(&self.core.counters.load_failures);
        tracing::debug!(cache = %self.core.name, %error, "load failed");
        self.flight.detach();
        let outcome = match self.stand_in().await {
            Some(entry) => {
                count(&self.core.counters.stale_on_error);
                Ok(entry.for_a_load())
            }
            None => Err(error),
        };
        self.flight.land(outcome);
    }

    /// The stale value, if it may stand in for a load that failed.
    async fn stand_in(&self) -> Option<Entry<V>> {
        let (record, source) = self.fallback.as_ref()?;
        let (core, now) = (&self.core, self.core.clock.now());
        let alive = core.gate.is_alive(&self.key, self.outset.ticket);
        if record.freshness(now) == Freshness::Expired {
            return None;
        }
        let is_held = alive || self.is_in_l1(record);
        let wanted = self.options.wanted_coherence();
        let is_proven = vouch::serve(core, (&self.key, record), is_held, wanted).await?;
        let entry = Entry::new(Arc::clone(record), *source, core.clock.now());
        Some(entry.vouched(is_proven))
    }

    /// Whether L1 holds this very copy. A write of another key may end the ticket;
    /// whatever voids this key takes the copy.
    fn is_in_l1(&self, record: &Arc<Record<V>>) -> bool {
        let held = self.core.local.get(&self.key);
        held.is_some_and(|held| Arc::ptr_eq(&held, record))
    }
}
