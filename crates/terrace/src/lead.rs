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
    core::{Core, Outcome, Outset, Service},
    entry::{Entry, Freshness, Record, Source},
    envelope::Token,
    error::{BoxError, Error},
    flight::{Flight, Passenger},
    gate::Ticket,
    lease::{HeldLease, Poll},
    options::{Coherence, EntryOptions, Loaded},
    remote::{Found, Leased, Remote},
    stats::count,
    tag::check_tags,
    tags::Before,
    trail::Trail,
    vouch::{self, Adopted, Confirmed},
    write,
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

/// What a look into a tier leaves to do.
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
    outset: Outset,
    trail: Trail,
    purpose: Purpose,
    stage: Stage,
    /// A stale value that may stand in if the load fails, and where it was.
    fallback: Option<(Arc<Record<V>>, Source)>,
}

/// What the leader finds in L1.
enum Local<V> {
    Answered,
    Doubtful(Arc<Record<V>>),
    Nothing,
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

    /// Asks the tiers. `None`: everybody has been answered, or nobody waits.
    async fn right(&mut self) -> Option<Right<V>> {
        let local = self.look_again();
        let core = Arc::clone(&self.core);
        let Some(remote) = &core.remote else {
            return (!matches!(local, Local::Answered)).then_some(Right::Alone);
        };
        let until = remote.patience();
        let mut refuse = None;
        match local {
            Local::Answered => return None,
            _ if core.pending.has(&self.key) => return Some(Right::Nothing),
            Local::Doubtful(record) => match self.confirm(remote, record, until).await {
                Next::Answered => return None,
                Next::Replace(token) => refuse = token,
                Next::Unleased => return Some(self.unleased()),
            },
            Local::Nothing => {}
        }
        if refuse.is_none() && (self.purpose != Purpose::Miss || !remote.expects_nothing()) {
            let found = remote.get(&self.key, until).await;
            match self.sort(remote, found, until).await {
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
    fn look_again(&mut self) -> Local<V> {
        let Some(record) = self.core.local.get(&self.key) else {
            return Local::Nothing;
        };
        let now = self.core.clock.now();
        let freshness = record.freshness(now);
        let wanted = self.options.wanted_coherence();
        let service = self.core.service(&record, now, wanted);
        if freshness == Freshness::Expired || service == Service::Never {
            return Local::Nothing;
        }
        let will_do = freshness == Freshness::Fresh && self.is_content();
        if service == Service::AfterAsking {
            // A value for the failure of the load is asked for when it fails.
            if will_do {
                return Local::Doubtful(record);
            }
        } else if will_do {
            let entry = Entry::new(record, Source::Local, now);
            let entry = entry.vouched(service == Service::AsProven);
            self.flight.land(Ok(entry));
            return Local::Answered;
        }
        self.fallback = Some((record, Source::Local));
        Local::Nothing
    }

    /// What L1 holds and nobody vouches for: L2 may.
    async fn confirm(&mut self, remote: &Remote<V>, record: Arc<Record<V>>, until: Moment) -> Next {
        let outset = self.outset;
        let held = (&self.key, &record);
        let confirmed = vouch::confirm(&self.core, remote, held, outset, until).await;
        let is_proven = match confirmed {
            Confirmed::Yes => true,
            // L2 has something else, or nothing: to be found out.
            Confirmed::No => return Next::Replace(None),
            Confirmed::Silence if self.options.wanted_coherence() == Coherence::Required => {
                return Next::Unleased;
            }
            Confirmed::Silence => {
                self.core.counters.unproven_hits.add_one();
                false
            }
        };
        let entry = Entry::new(record, Source::Local, self.core.clock.now());
        self.flight.land(Ok(entry.vouched(is_proven)));
        Next::Answered
    }

    async fn sort(&mut self, remote: &Remote<V>, found: Found<V>, until: Moment) -> Next {
        let received = match found {
            Found::Value(received) => received,
            Found::Nothing(token) => return Next::Replace(token),
            Found::NotOurs | Found::Failed => return Next::Unleased,
        };
        let token = received.record.token();
        let core = Arc::clone(&self.core);
        let adopted = vouch::adopt(&core, remote, &self.key, self.outset, received, until).await;
        let (record, is_proven) = match adopted {
            Adopted::Record(record, is_proven) => (record, is_proven),
            Adopted::Dead => return Next::Replace(Some(token)),
            Adopted::Silence => return Next::Unleased,
        };
        // A store that does not answer as it should vouches for nothing.
        if !is_proven && self.options.wanted_coherence() == Coherence::Required {
            return Next::Unleased;
        }
        let now = core.clock.now();
        let entry = Entry::new(Arc::clone(&record), Source::Store, now).vouched(is_proven);
        match record.freshness(now) {
            Freshness::Fresh if self.is_content() => {
                let waited = self.stage == Stage::Waited;
                let entry = if waited { entry.for_a_load() } else { entry };
                self.flight.land(Ok(entry));
                return Next::Answered;
            }
            // Serve it, and go on behind it.
            Freshness::Revalidate if self.purpose == Purpose::Miss => {
                self.fallback = Some((record, Source::Store));
                self.flight.land(Ok(entry));
                self.purpose = Purpose::Behind;
            }
            Freshness::Expired => {}
            _ => self.fallback = Some((record, Source::Store)),
        }
        Next::Replace(Some(token))
    }

    async fn lease(
        &mut self,
        remote: &Remote<V>,
        mut refuse: Option<Token>,
        mut until: Moment,
    ) -> Option<Right<V>> {
        let core = Arc::clone(&self.core);
        let hold = self.options.lease_hold();
        let mut poll = Poll::new(hold);
        loop {
            let before = vouch::before_load(&core, remote, self.outset, until).await;
            let Ok(before) = before else {
                return Some(self.unleased());
            };
            // Made before the question: the answer may be lost, and have been "yours".
            let lease = HeldLease::new(&core, &self.key);
            let terms = (lease.token(), hold);
            let leased = remote.lease(&self.key, terms, refuse, until).await;
            match leased {
                Leased::Yours => return Some(Right::Leased(lease, before)),
                Leased::NoAnswer => return Some(self.unleased()),
                _ => lease.used_up(),
            }
            match leased {
                Leased::Yours | Leased::NoAnswer | Leased::NotAsked => {
                    return Some(self.unleased());
                }
                Leased::Found(found) => match self.sort(remote, found, until).await {
                    Next::Answered => return None,
                    Next::Replace(token) => refuse = token,
                    Next::Unleased => return Some(self.unleased()),
                },
                Leased::Held(_) if self.purpose == Purpose::Behind => return None,
                Leased::Held(left) => {
                    if poll.is_first() {
                        count(&core.counters.lease_waits);
                    }
                    let Some(pause) = poll.next(left) else {
                        return Some(self.unleased());
                    };
                    // L1 may hold the very value that a refresh is to replace.
                    let looks = self.purpose == Purpose::Miss;
                    if self.wait(pause).await
                        || (looks && matches!(self.look_again(), Local::Answered))
                    {
                        return None;
                    }
                    self.stage = Stage::Waited;
                    // The new ticket came first: a write that fails from here on kills it.
                    if core.pending.has(&self.key) {
                        return Some(Right::Nothing);
                    }
                    until = remote.patience();
                }
            }
        }
    }

    /// Waits for a change of the key here, at most `pause`. True if somebody
    /// else's flight has answered meanwhile.
    async fn wait(&mut self, pause: Duration) -> bool {
        let dead = self.core.gate.dead(&self.key, self.outset.ticket);
        if timeout(pause, dead).await.is_err() {
            return false;
        }
        self.outset = self.core.set_out(&self.key);
        // What was found under the dead ticket may be what was removed.
        let fallback = self.fallback.take();
        self.fallback = fallback.filter(|(record, _)| self.is_in_l1(record));
        let Some(mut other) = self.flight.restart(self.outset.ticket) else {
            return false;
        };
        if let Some(outcome) = other.outcome().await {
            self.flight.land(outcome);
        }
        true
    }

    fn unleased(&self) -> Right<V> {
        count(&self.core.counters.unleased);
        Right::Unleased
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
