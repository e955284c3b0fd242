//! What the leader of a flight does: find, load, keep.
//!
//! 1. **Find.** It asks L2, then for the lease; another process may be loading,
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

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::{
    clock::Moment,
    core::{Core, Outcome},
    entry::{Entry, Freshness, Record, Source},
    envelope::Token,
    error::{BoxError, Error},
    flight::{Flight, Passenger},
    gate::Ticket,
    lease::HeldLease,
    options::{EntryOptions, Loaded},
    remote::{Found, Leased, Received, Remote},
    stats::count,
    trail::Trail,
    write,
};

/// First and longest pause between two questions for a lease that somebody else
/// holds. A local change of the key ends a pause at once.
const FIRST_POLL: Duration = Duration::from_millis(5);
const LONGEST_POLL: Duration = Duration::from_millis(100);

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
    ticket: Ticket,
    purpose: Purpose,
) -> (Arc<str>, Passenger<Outcome<V>>) {
    let (key, passenger) = (Arc::clone(&job.key), flight.passenger());
    let leader = Leader {
        core: Arc::clone(core),
        trail: Trail::of_caller().step(core.id(), &key),
        key: job.key,
        options: job.options,
        flight,
        ticket,
        purpose,
        stage: Stage::Asking,
        fallback: None,
    };
    let stop = core.stop.clone();
    core.tasks
        .spawn(async move { stop.run_until_cancelled(leader.run(job.load)).await });
    (key, passenger)
}

/// Lets a value that L2 handed over into L1, if the ticket allows; it is an
/// answer either way: who asks now overlaps whatever voided it.
pub(crate) fn adopt<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    ticket: Ticket,
    received: Received<V>,
) -> Entry<V> {
    let record = core.hold(key, received.record);
    write::publish(core, key, ticket, &record);
    tracing::debug!(target: "terrace::walk", cache = %core.name, key = &**key, "L2 hit");
    Entry::new(record, Source::Store, core.clock.now())
}

/// What the leader may do with the value it loads.
enum Standing<V: Send + Sync + 'static> {
    /// There is no L2.
    Alone,
    /// The cluster's one load of this key is ours to store.
    Leased(HeldLease<V>),
    /// L2 is not to be written to: it failed, or a newer version owns the slot.
    Unleased,
    /// A write of this key has an unknown outcome: nothing is kept.
    Pending,
}

/// What a look into L2 leaves to do.
enum Next {
    Answered,
    Replace(Option<Token>),
    Unleased,
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
    ticket: Ticket,
    trail: Trail,
    purpose: Purpose,
    stage: Stage,
    /// A stale value that may stand in if the load fails, and where it was.
    fallback: Option<(Arc<Record<V>>, Source)>,
}

impl<V: Send + Sync + 'static> Leader<V> {
    async fn run(mut self, load: Load<V>) {
        let Some(standing) = self.standing().await else {
            return;
        };
        match self.load(load).await {
            Ok(loaded) => self.keep(loaded, standing).await,
            // The lease, if there is one, goes back as it is dropped.
            Err(error) => self.fail(error),
        }
    }

    /// Asks the tiers. `None`: everybody has been answered, or nobody waits.
    async fn standing(&mut self) -> Option<Standing<V>> {
        if self.look_again() {
            return None;
        }
        let core = Arc::clone(&self.core);
        let Some(remote) = &core.remote else {
            return Some(Standing::Alone);
        };
        if core.pending.has(&self.key) {
            return Some(Standing::Pending);
        }
        let until = remote.patience();
        let mut refuse = None;
        if self.purpose != Purpose::Miss || !remote.expects_nothing() {
            let found = remote.get(&self.key, until).await;
            match self.sort(found) {
                Next::Answered => return None,
                Next::Replace(token) => refuse = token,
                Next::Unleased => return Some(self.unleased()),
            }
        }
        self.stage = Stage::Leasing;
        self.lease(remote, refuse, until).await
    }

    /// Whether a fresh value that is found will do.
    fn is_content(&self) -> bool {
        self.purpose != Purpose::Anew || self.stage != Stage::Asking
    }

    /// L1 may have got the value between the caller's look and his flight.
    fn look_again(&mut self) -> bool {
        let Some(record) = self.core.local.get(&self.key) else {
            return false;
        };
        let now = self.core.clock.now();
        match record.freshness(now) {
            Freshness::Fresh if self.is_content() => {
                self.flight.land(Ok(Entry::new(record, Source::Local, now)));
                return true;
            }
            Freshness::Expired => {}
            _ => self.fallback = Some((record, Source::Local)),
        }
        false
    }

    fn sort(&mut self, found: Found<V>) -> Next {
        let received = match found {
            Found::Value(received) => received,
            Found::Nothing(token) => return Next::Replace(token),
            Found::NotOurs | Found::Failed => return Next::Unleased,
        };
        let token = received.token;
        let core = Arc::clone(&self.core);
        match received.record.freshness(core.clock.now()) {
            Freshness::Fresh if self.is_content() => {
                let mut entry = adopt(&core, &self.key, self.ticket, received);
                if self.stage == Stage::Waited {
                    entry = entry.for_a_load();
                }
                self.flight.land(Ok(entry));
                return Next::Answered;
            }
            // Serve it, and go on behind it.
            Freshness::Revalidate if self.purpose == Purpose::Miss => {
                let entry = adopt(&core, &self.key, self.ticket, received);
                self.fallback = Some((Arc::clone(entry.record()), Source::Store));
                self.flight.land(Ok(entry));
                self.purpose = Purpose::Behind;
            }
            Freshness::Expired => {}
            _ => {
                // Into L1 too, where a removal of the key finds it.
                let record = core.hold(&self.key, received.record);
                write::publish(&core, &self.key, self.ticket, &record);
                self.fallback = Some((record, Source::Store));
            }
        }
        Next::Replace(Some(token))
    }

    async fn lease(
        &mut self,
        remote: &Remote<V>,
        mut refuse: Option<Token>,
        mut until: Moment,
    ) -> Option<Standing<V>> {
        let hold = self.options.lease_hold();
        let mut poll = Poll::new(hold);
        loop {
            // Made before the question: the answer may be lost, and have been "yours".
            let lease = HeldLease::new(&self.core, &self.key);
            let terms = (lease.token(), hold);
            let leased = remote.lease(&self.key, terms, refuse, until).await;
            match leased {
                Leased::Yours => return Some(Standing::Leased(lease)),
                Leased::NoAnswer => return Some(self.unleased()),
                _ => lease.used_up(),
            }
            match leased {
                Leased::Yours | Leased::NoAnswer | Leased::NotAsked => {
                    return Some(self.unleased());
                }
                Leased::Found(found) => match self.sort(found) {
                    Next::Answered => return None,
                    Next::Replace(token) => refuse = token,
                    Next::Unleased => return Some(self.unleased()),
                },
                Leased::Held(_) if self.purpose == Purpose::Behind => return None,
                Leased::Held(left) => {
                    if poll.is_first() {
                        count(&self.core.counters.lease_waits);
                    }
                    let Some(pause) = poll.next(left) else {
                        return Some(self.unleased());
                    };
                    // L1 may hold the very value that a refresh is to replace.
                    let looks = self.purpose == Purpose::Miss;
                    if self.wait(pause).await || (looks && self.look_again()) {
                        return None;
                    }
                    self.stage = Stage::Waited;
                    // The new ticket came first: a write that fails from here on kills it.
                    if self.core.pending.has(&self.key) {
                        return Some(Standing::Pending);
                    }
                    until = remote.patience();
                }
            }
        }
    }

    /// Waits for a change of the key here, at most `pause`. True if somebody
    /// else's flight has answered meanwhile.
    async fn wait(&mut self, pause: Duration) -> bool {
        let dead = self.core.gate.dead(&self.key, self.ticket);
        if timeout(pause, dead).await.is_err() {
            return false;
        }
        self.ticket = self.core.gate.ticket(&self.key);
        // What was found under the dead ticket may be what was removed.
        let fallback = self.fallback.take();
        self.fallback = fallback.filter(|(record, _)| self.is_in_l1(record));
        let Some(mut other) = self.flight.restart(self.ticket) else {
            return false;
        };
        if let Some(outcome) = other.outcome().await {
            self.flight.land(outcome);
        }
        true
    }

    fn unleased(&self) -> Standing<V> {
        count(&self.core.counters.unleased);
        Standing::Unleased
    }

    async fn load(&self, load: Load<V>) -> Result<Loaded<V>, Error> {
        count(&self.core.counters.loads);
        let key = &self.key;
        let load = AssertUnwindSafe(self.trail.clone().follow(load)).catch_unwind();
        let limit = self.options.load_limit();
        match timeout(limit, load).await {
            Ok(Ok(Ok(loaded))) => Ok(loaded),
            Ok(Ok(Err(cause))) => Err(Error::load(key, cause)),
            Ok(Err(_panic)) => Err(Error::panicked(key)),
            Err(_elapsed) => Err(Error::load_timeout(key, limit)),
        }
    }

    async fn keep(self, loaded: Loaded<V>, standing: Standing<V>) {
        let life = match self.options.life(loaded.ttl) {
            Ok(life) => life,
            Err(error) => return self.fail(error),
        };
        let (core, key) = (&self.core, &self.key);
        let now = core.clock.now();
        let record = core.hold(key, Record::new(loaded.value, life, now));
        let answer = Ok(Entry::new(Arc::clone(&record), Source::Loader, now));
        match standing {
            Standing::Leased(lease) if loaded.store => {
                self.flight.land(answer);
                let order = write::Order {
                    key: Arc::clone(key),
                    record,
                    life,
                    token: lease.token(),
                };
                let renewed = |ticket| self.flight.renew(ticket);
                if write::fill(core, order, self.ticket, renewed).await {
                    lease.used_up();
                }
            }
            Standing::Alone | Standing::Unleased if loaded.store => {
                write::publish(core, key, self.ticket, &record);
                self.flight.land(answer);
            }
            _ => {
                // Kept nowhere: nobody who comes later may get it, nor what it replaces.
                self.flight.detach();
                self.flight.land(answer);
                write::void(core, key);
            }
        }
    }

    fn fail(self, error: Error) {
        count(&self.core.counters.load_failures);
        tracing::debug!(cache = %self.core.name, %error, "load failed");
        self.flight.detach();
        let now = self.core.clock.now();
        let alive = self.core.gate.is_alive(&self.key, self.ticket);
        let stands = |record: &Arc<Record<V>>| {
            record.freshness(now) != Freshness::Expired && (alive || self.is_in_l1(record))
        };
        match &self.fallback {
            Some((record, source)) if stands(record) => {
                count(&self.core.counters.stale_on_error);
                let entry = Entry::new(Arc::clone(record), *source, now);
                self.flight.land(Ok(entry.for_a_load()));
            }
            _ => self.flight.land(Err(error)),
        }
    }

    /// Whether L1 holds this very copy. A write of another key may end the ticket;
    /// whatever voids this key takes the copy.
    fn is_in_l1(&self, record: &Arc<Record<V>>) -> bool {
        let held = self.core.local.get(&self.key);
        held.is_some_and(|held| Arc::ptr_eq(&held, record))
    }
}

/// The pauses between questions for a lease, growing, and bounded in sum by the
/// time that a lease lasts.
struct Poll {
    patience: Duration,
    pause: Duration,
}

impl Poll {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            pause: FIRST_POLL,
        }
    }

    fn is_first(&self) -> bool {
        self.pause == FIRST_POLL
    }

    /// `None`: waited long enough. `left` is what the holder has left.
    fn next(&mut self, left: Duration) -> Option<Duration> {
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
