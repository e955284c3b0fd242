//! What a reader does: look, join.
//!
//! # A read, step by step
//!
//! 1. **Look.** L1, without waiting, allocating or locking anything of ours.
//! 2. **Join.** A ticket, then one flight for the key and ticket. Its leader is a
//!    task of its own: a caller who goes away harms nobody.
//! 3. **Find, load, keep**: what the leader does is in `lead.rs`.

use std::sync::Arc;

use crate::{
    core::{Core, Outcome, Outset, Service},
    entry::{Entry, Freshness, Record, Source},
    error::Error,
    flight::{Boarding, Passenger},
    gate::Ticket,
    lead::{self, Job, Purpose},
    local::Bound,
    options::Coherence,
    remote::Found,
    stats::count,
    trail::Trail,
    vouch::{self, Adopted, Confirmed},
};

/// Flights in a row that bring a reader nothing (a panic in a codec, a value that
/// nobody vouches for any more), before he leads one of his own.
const MAX_ATTEMPTS: usize = 3;

/// What L1 says.
pub(crate) enum Look<V> {
    Fresh(Entry<V>),
    /// To be served, while a load runs behind.
    Stale(Entry<V>),
    /// L2 is to be asked whether it is still so.
    Doubtful(Arc<Record<V>>),
    Nothing,
}

#[inline]
pub(crate) fn look<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &str,
    coherence: Coherence,
) -> Look<V> {
    let Some(record) = core.local.get(key) else {
        return Look::Nothing;
    };
    let now = core.clock.now();
    let freshness = record.freshness(now);
    if matches!(freshness, Freshness::OnError | Freshness::Expired) {
        return Look::Nothing;
    }
    let service = core.service(&record, now, coherence);
    match service {
        Service::AsProven | Service::AsLoaded | Service::AsUnproven => {}
        Service::AfterAsking => return Look::Doubtful(record),
        Service::Never => return Look::Nothing,
    }
    let entry = Entry::new(record, Source::Local, now).vouched(service == Service::AsProven);
    let is_unproven = service == Service::AsUnproven;
    if freshness == Freshness::Fresh {
        if is_unproven {
            core.counters.fresh_unproven_hits.add_one();
        } else {
            core.counters.hits.add_one();
        }
        tracing::debug!(target: "terrace::walk", cache = %core.name, key, "L1 hit");
        return Look::Fresh(entry);
    }
    count(&core.counters.stale_hits);
    if is_unproven {
        core.counters.unproven_hits.add_one();
    }
    tracing::debug!(target: "terrace::walk", cache = %core.name, key, stale = true, "L1 hit");
    Look::Stale(entry)
}

/// A read that never loads, after L1 had nothing that it could serve. A store that does
/// not answer is a miss, unless there is no L1: then it is all that there is to read.
pub(crate) async fn find<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    doubtful: Option<Arc<Record<V>>>,
) -> Result<Option<Entry<V>>, Error> {
    miss(core, key);
    let Some(remote) = &core.remote else {
        return Ok(None);
    };
    let silence = || match core.bound {
        Bound::Nothing => {
            let cause = "the store cannot say, and there is no L1";
            Err(Error::unavailable("reading a value", cause))
        }
        Bound::Entries(_) | Bound::Weight(_) => Ok(None),
    };
    // The ticket first: a write that fails after this look at the list kills it.
    let outset = core.set_out(key);
    if core.pending.has(key) {
        return silence();
    }
    let until = remote.patience();
    if let Some(record) = doubtful {
        let confirmed = vouch::confirm(core, remote, (key, &record), outset, until).await;
        let available = core.defaults.wanted_coherence() == Coherence::Available;
        let entry = || Entry::new(Arc::clone(&record), Source::Local, core.clock.now());
        match confirmed {
            Confirmed::Yes => return Ok(Some(entry().vouched(true))),
            Confirmed::Silence if available => {
                core.counters.unproven_hits.add_one();
                return Ok(Some(entry()));
            }
            Confirmed::Silence => return Ok(None),
            Confirmed::No => {}
        }
    }
    let received = match remote.get(key, until).await {
        Found::Value(received) => received,
        // What another program's newer shape holds cannot be told here either.
        Found::Failed | Found::NotOurs => return silence(),
        Found::Nothing(_) => return Ok(None),
    };
    let (record, is_proven) = match vouch::adopt(core, remote, key, outset, received, until).await {
        Adopted::Record(record, is_proven) => (record, is_proven),
        Adopted::Silence => return silence(),
        Adopted::Dead => return Ok(None),
    };
    let now = core.clock.now();
    let vouched = is_proven || core.defaults.wanted_coherence() == Coherence::Available;
    if !vouched {
        return silence();
    }
    let usable = [Freshness::Fresh, Freshness::Revalidate].contains(&record.freshness(now));
    Ok(usable.then(|| Entry::new(record, Source::Store, now).vouched(is_proven)))
}

/// Cache or compute, after L1 had nothing that it could serve.
pub(crate) async fn load<V: Send + Sync + 'static>(core: Arc<Core<V>>, job: Job<V>) -> Outcome<V> {
    miss(&core, &job.key);
    Trail::refuse_reentry(core.id(), &job.key)?;
    let coherence = job.options.wanted_coherence();
    let mut attempts = 0;
    let passenger = loop {
        match board(&core, &job.key, coherence) {
            (Boarding::Lead(flight), outset) => {
                break lead::launch(&core, job, flight, outset, Purpose::Miss);
            }
            (Boarding::Join(_), outset) if attempts == MAX_ATTEMPTS => {
                let flight = core.flights.solo(&job.key);
                break lead::launch(&core, job, flight, outset, Purpose::Miss);
            }
            (Boarding::Join(passenger), _) => {
                count(&core.counters.joined);
                if let Some(outcome) = share(&core, passenger, coherence).await {
                    return outcome;
                }
                attempts += 1;
            }
            (Boarding::Outdated, _) => {}
        }
    };
    led(&core, passenger).await
}

/// What somebody else's flight brings, if it is still worth something when it is
/// handed over: a flight that answered with a stale value first goes on behind it,
/// and one that was content with what nobody vouches for is not for everybody.
async fn share<V: Send + Sync + 'static>(
    core: &Core<V>,
    mut passenger: Passenger<Outcome<V>>,
    coherence: Coherence,
) -> Option<Outcome<V>> {
    let now = || core.clock.now();
    let worth = |outcome: Outcome<V>| match outcome {
        Ok(entry) if entry.source() == Source::Loader => entry.at(now()).map(Ok),
        Ok(entry) => match core.service(entry.record(), now(), coherence) {
            Service::AsProven => entry.at(now()).map(|entry| Ok(entry.vouched(true))),
            Service::AsLoaded | Service::AsUnproven => {
                entry.at(now()).map(|entry| Ok(entry.vouched(false)))
            }
            Service::AfterAsking | Service::Never => None,
        },
        Err(error) => Some(Err(error)),
    };
    match worth(passenger.outcome().await?) {
        Some(outcome) => Some(outcome),
        None => worth(passenger.last_outcome().await?),
    }
}

/// What the caller's own flight brings. Its job is the leader's now.
async fn led<V: Send + Sync + 'static>(
    core: &Core<V>,
    (key, mut passenger): (Arc<str>, Passenger<Outcome<V>>),
) -> Outcome<V> {
    let outcome = passenger.outcome().await;
    outcome.unwrap_or_else(|| Err(vanished(core, &key)))
}

/// Loads anew: joins a load under way, or leads one that no stored value satisfies.
pub(crate) async fn refresh<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    job: Job<V>,
) -> Outcome<V> {
    Trail::refuse_reentry(core.id(), &job.key)?;
    let coherence = job.options.wanted_coherence();
    let passenger = loop {
        match board(&core, &job.key, coherence) {
            (Boarding::Lead(flight), outset) => {
                break lead::launch(&core, job, flight, outset, Purpose::Anew);
            }
            // The flight may have been content with a stored value: then this
            // caller's turn comes. A load that failed was a load.
            (Boarding::Join(mut passenger), _) => {
                count(&core.counters.joined);
                match passenger.last_outcome().await {
                    Some(Ok(entry)) if entry.is_of_a_load() => return Ok(entry),
                    Some(Err(error)) => return Err(error),
                    _ if core.stop.is_cancelled() => return Err(Error::closed()),
                    _ => {}
                }
            }
            (Boarding::Outdated, _) => {}
        }
    };
    led(&core, passenger).await
}

/// One load behind a stale value that was served; none if one is running.
pub(crate) fn refresh_behind<V: Send + Sync + 'static>(core: &Arc<Core<V>>, job: Job<V>) {
    if Trail::refuse_reentry(core.id(), &job.key).is_err() {
        return;
    }
    if let (Boarding::Lead(flight), outset) = board(core, &job.key, Coherence::Available) {
        lead::launch(core, job, flight, outset, Purpose::Behind);
    }
}

pub(crate) fn miss<V: Send + Sync + 'static>(core: &Core<V>, key: &str) {
    count(&core.counters.misses);
    tracing::debug!(target: "terrace::walk", cache = %core.name, key, "miss");
}

fn vanished<V: Send + Sync + 'static>(core: &Core<V>, key: &str) -> Error {
    if core.stop.is_cancelled() {
        Error::closed()
    } else {
        Error::panicked(key)
    }
}

type Boarded<V> = Boarding<Ticket, Outcome<V>>;

/// While nobody can tell of changes, a flight may be doomed and not know it:
/// whoever requires proof then leads his own.
fn board<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    coherence: Coherence,
) -> (Boarded<V>, Outset) {
    let outset = core.set_out(key);
    let heard = || core.proof.covers(outset.link_epoch, outset.at);
    if coherence == Coherence::Required && !heard() {
        return (Boarding::Lead(core.flights.solo(key)), outset);
    }
    (core.flights.board(key, outset.ticket), outset)
}
