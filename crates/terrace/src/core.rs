//! What the walks work on: the parts of one cache, put together once.

use std::{
    fmt,
    sync::{Arc, Once},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::{Clock, Moment},
    entry::{Entry, Record, Stamp, Standing},
    envelope::Token,
    error::Error,
    flight::Flights,
    gate::{ClosedAll, Gate, Guarded, Matches, Ticket},
    key::check_key,
    local::{Bound, Local},
    options::{Coherence, EntryOptions},
    pending::{Ghosts, Pending},
    proof::{Proof, UNCONFIRMED},
    remote::Remote,
    stats::{Counters, Stats},
    tag::{Epoch, Epochs, Mark},
    tags::{Grounds, Known, Tags, Verdict},
};

/// What a flight brings home.
pub(crate) type Outcome<V> = Result<Entry<V>, Error>;

/// What an entry weighs in L1.
pub(crate) type Weigher<V> = Box<dyn Fn(&str, &V) -> u32 + Send + Sync>;

pub(crate) struct Core<V: Send + Sync + 'static> {
    pub(crate) name: Arc<str>,
    /// L1. What a key has there is changed through `gate` only.
    pub(crate) local: Arc<Local<V>>,
    pub(crate) gate: Arc<Gate<Local<V>>>,
    /// Epochs as far as they are known; their changes are numbered by `gate`.
    pub(crate) tags: Arc<Tags>,
    pub(crate) proof: Proof,
    pub(crate) flights: Arc<Flights<Ticket, Outcome<V>>>,
    pub(crate) remote: Option<Remote<V>>,
    pub(crate) pending: Pending,
    /// Leases that are to be given back when the store answers again.
    pub(crate) ghosts: Ghosts<Token>,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) defaults: EntryOptions,
    pub(crate) max_staleness: Duration,
    pub(crate) longest_stay: Option<Duration>,
    pub(crate) bound: Bound,
    pub(crate) weigher: Option<Weigher<V>>,
    /// How long a `set` may hold a key's lease between its two round trips.
    pub(crate) set_hold: Duration,
    /// Removals by pattern that may walk the keys at the same time. Each is one more
    /// matcher that every publish looks at, and keeps the store busy.
    pub(crate) walks: Semaphore,
    /// Loads and writes that outlive their callers.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Something happened that makes the next heartbeat urgent.
    pub(crate) urgent: Arc<Notify>,
    /// A store that refuses does so often: the log hears of it once.
    pub(crate) not_stored: Once,
    /// Once closed, a cache never lets anything in again.
    pub(crate) shut: Mutex<Option<ClosedAll<Local<V>>>>,
}

/// What must not have passed when somebody who goes to L2, or loads, comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outset {
    pub(crate) ticket: Ticket,
    pub(crate) link_epoch: u64,
    pub(crate) at: Moment,
}

/// Whether a record of L1 may be served right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    AsProven,
    /// Loaded within the bound, and not stored.
    AsLoaded,
    /// The store does not answer, and nobody vouches for it.
    AsUnproven,
    /// L2 is to be asked whether it is still so.
    AfterAsking,
    /// A group that it belongs to has been removed.
    Never,
}

impl<V: Send + Sync + 'static> Core<V> {
    /// Tells this cache from every other that lives.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(&*self.name).addr()
    }

    /// A key for the slow path: checked here, once. An unchecked one cannot be in L1.
    pub(crate) fn admit(&self, key: &str) -> Result<Arc<str>, Error> {
        self.refuse_if_closed()?;
        check_key(key)?;
        Ok(Arc::from(key))
    }

    pub(crate) fn refuse_if_closed(&self) -> Result<(), Error> {
        if self.stop.is_cancelled() {
            return Err(Error::closed());
        }
        Ok(())
    }

    /// To be taken before anything is asked of anybody. The link's epoch comes
    /// first: a gap in between makes the outset's proof void, or its ticket dead.
    pub(crate) fn set_out(&self, key: &str) -> Outset {
        let link_epoch = self.proof.link_epoch();
        Outset {
            ticket: self.gate.ticket(key),
            link_epoch,
            at: self.clock.now(),
        }
    }

    /// What L2 said at `as_of` to somebody with this outset.
    pub(crate) fn stamp(&self, outset: Outset, as_of: Moment) -> Stamp {
        // A store whose heartbeats are not answered, or not as they should be,
        // vouches for nothing that it hands out.
        let vouches = self.proof.is_answering();
        Stamp {
            link_epoch: if vouches {
                outset.link_epoch
            } else {
                UNCONFIRMED
            },
            wide: outset.ticket.wide(),
            as_of,
        }
    }

    /// Whether a record may be served. A few atomic loads while nothing changes; a
    /// change of any group has every record compare its epochs once.
    #[inline]
    pub(crate) fn service(&self, record: &Record<V>, now: Moment, coherence: Coherence) -> Service {
        // Read before the comparison: a change during it is seen the next time.
        let wide = self.gate.wide();
        if record.wide() != wide
            && let Some(service) = self.service_after_a_change(record, wide, coherence)
        {
            return service;
        }
        let covered = self.proof.covers(record.link_epoch(), now);
        let recent = |as_of| self.proof.is_recent(as_of, now);
        match record.standing(covered, recent) {
            Standing::Proven => Service::AsProven,
            Standing::Recent if coherence == Coherence::Available => Service::AsLoaded,
            Standing::Recent | Standing::Doubtful => self.service_in_doubt(coherence),
        }
    }

    /// What became of it in a change that it was not checked against; nothing, if it lives.
    #[cold]
    fn service_after_a_change(
        &self,
        record: &Record<V>,
        wide: u64,
        coherence: Coherence,
    ) -> Option<Service> {
        // Nobody could say, and there is still nobody to ask: not worth the table's lock.
        if record.is_unsure_at(wide) && self.serves_in_doubt(coherence) {
            return Some(Service::AsUnproven);
        }
        match self.judge(record) {
            Verdict::Alive => {
                record.has_survived(wide);
                None
            }
            Verdict::Dead => Some(Service::Never),
            Verdict::Unsure => {
                record.is_unsure_since(wide);
                Some(self.service_in_doubt(coherence))
            }
        }
    }

    fn service_in_doubt(&self, coherence: Coherence) -> Service {
        if self.serves_in_doubt(coherence) {
            Service::AsUnproven
        } else {
            Service::AfterAsking
        }
    }

    fn serves_in_doubt(&self, coherence: Coherence) -> bool {
        coherence == Coherence::Available && !self.proof.is_answering()
    }

    fn judge(&self, record: &Record<V>) -> Verdict {
        let Some(epochs) = record.epochs() else {
            return Verdict::Dead;
        };
        self.tags
            .judge(epochs, record.checked_at(), self.proof.link_epoch())
    }

    /// On what grounds an epoch counts as known now.
    pub(crate) fn grounds(&self) -> Grounds {
        // The time first, as in `Proof::covers`: a newer one does not vouch for an older epoch.
        let told = self.proof.as_of();
        Grounds {
            link_epoch: self.proof.link_epoch(),
            told,
            not_before: self.proof.not_before(self.clock.now()),
        }
    }

    /// What the store said of these marks, to somebody with this outset.
    pub(crate) fn learn(&self, marks: &[Mark<'_>], epochs: &[Epoch], outset: Outset, at: Moment) {
        for (mark, epoch) in marks.iter().zip(epochs) {
            let known = Known {
                epoch: *epoch,
                link_epoch: outset.link_epoch,
                as_of: at,
            };
            self.tags.learn(*mark, known, outset.ticket.wide());
        }
    }

    /// The epochs for a value that the store does not get: its own where there is no
    /// store, else what is known. A guess is never the current one, and that is
    /// found out when the store answers.
    pub(crate) fn epochs_here(&self, tags: &[Arc<str>]) -> Arc<Epochs> {
        let (link_epoch, grounds) = (self.proof.link_epoch(), self.grounds());
        let epoch = |mark: Mark<'_>| match &self.remote {
            None => self.tags.own(mark, link_epoch),
            Some(_) => self
                .tags
                .known(mark, grounds)
                .map_or_else(Epoch::random, |known| known.epoch),
        };
        let with_epoch = |tag: &Arc<str>| (Arc::clone(tag), epoch(Mark::Tag(tag)));
        let tags = tags.iter().map(with_epoch).collect();
        let clear = epoch(Mark::Clear);
        self.tags.share(Epochs { clear, tags })
    }

    /// What nobody but this process has, since `as_of`.
    pub(crate) fn stamp_here(&self, wide: u64, as_of: Moment) -> Stamp {
        let link_epoch = match &self.remote {
            None => self.proof.link_epoch(),
            Some(_) => UNCONFIRMED,
        };
        Stamp {
            link_epoch,
            wide,
            as_of,
        }
    }

    /// The record under L1's own rules.
    pub(crate) fn hold(&self, key: &str, mut record: Record<V>) -> Arc<Record<V>> {
        // An engine lets entries of weight 0 pile up without bound.
        let weigh = |weigher: &Weigher<V>| weigher(key, record.value()).max(1);
        let weight = self.weigher.as_ref().map_or(1, weigh);
        record.enter(self.clock.now(), self.longest_stay, weight);
        Arc::new(record)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            pending: u64::try_from(self.pending.len()).unwrap_or(u64::MAX),
            entries: self.local.len(),
            capacity: self.bound.limit(),
            store: self.remote.as_ref().map(Remote::state),
            ..self.counters.snapshot()
        }
    }

    /// The store may serve another cache of this name from here on.
    pub(crate) fn give_up_name(&self) {
        if let Some(remote) = &self.remote {
            remote.hush();
        }
    }

    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.give_up_name();
        let shut = self.gate.close_all();
        self.shut.lock().get_or_insert(shut);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl<V: Send + Sync + 'static> Drop for Core<V> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<V: Send + Sync + 'static> Guarded for Local<V> {
    type Held = Arc<Record<V>>;

    fn take(&self, key: &str) -> Option<Self::Held> {
        self.remove(key)
    }

    fn drop_all(&self) {
        self.clear();
    }

    fn drop_matching(&self, matches: &Matches) -> u64 {
        self.remove_matching(matches)
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Core<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
