//! How the leader of a flight finds a value, or comes by the right to load one.

use std::{
    ops::ControlFlow::{self, Break, Continue},
    sync::Arc,
    time::Duration,
};

use tokio::time::timeout;

use super::{Leader, Purpose, Right, Stage};
use crate::{
    clock::Moment,
    core::Service,
    entry::{Entry, Freshness, Record, Source},
    envelope::Token,
    lease::{HeldLease, Poll},
    options::Coherence,
    remote::{Found, Leased, Remote},
    stats::count,
    vouch::{self, Adopted, Confirmed},
};

/// What a look into a tier leaves to do.
enum Next {
    Answered,
    Replace(Option<Token>),
    Unleased,
}

/// What the leader finds in L1.
enum Local<V> {
    Answered,
    Doubtful(Arc<Record<V>>),
    Nothing,
}

impl<V: Send + Sync + 'static> Leader<V> {
    /// Asks the tiers. `None`: everybody has been answered, or nobody waits.
    pub(super) async fn right(&mut self) -> Option<Right<V>> {
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
            match remote.lease(&self.key, terms, refuse, until).await {
                Leased::Yours => return Some(Right::Leased(lease, before)),
                Leased::NoAnswer => return Some(self.unleased()),
                Leased::NotAsked => {
                    lease.used_up();
                    return Some(self.unleased());
                }
                Leased::Found(found) => {
                    lease.used_up();
                    match self.sort(remote, found, until).await {
                        Next::Answered => return None,
                        Next::Replace(token) => refuse = token,
                        Next::Unleased => return Some(self.unleased()),
                    }
                }
                Leased::Held(left) => {
                    lease.used_up();
                    if let Break(end) = self.stand_by(&mut poll, left).await {
                        return end;
                    }
                    until = remote.patience();
                }
            }
        }
    }

    /// Somebody else loads: waits for what comes of it, to ask again if nothing does.
    async fn stand_by(&mut self, poll: &mut Poll, left: Duration) -> ControlFlow<Option<Right<V>>> {
        if self.purpose == Purpose::Behind {
            return Break(None);
        }
        if poll.is_first() {
            count(&self.core.counters.lease_waits);
        }
        let Some(pause) = poll.next(left) else {
            return Break(Some(self.unleased()));
        };
        // L1 may hold the very value that a refresh is to replace.
        let looks = self.purpose == Purpose::Miss;
        if self.wait(pause).await || (looks && matches!(self.look_again(), Local::Answered)) {
            return Break(None);
        }
        self.stage = Stage::Waited;
        // The new ticket came first: a write that fails from here on kills it.
        if self.core.pending.has(&self.key) {
            return Break(Some(Right::Nothing));
        }
        Continue(())
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
}
