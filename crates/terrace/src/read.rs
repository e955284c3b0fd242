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
    core::{Core, Outcome},
    entry::{Entry, Freshness, Source},
    error::Error,
    flight::{Boarding, Passenger},
    gate::Ticket,
    lead::{self, Job, Purpose},
    remote::Found,
    stats::count,
    trail::Trail,
};

/// Leaders that vanish in a row (a panic in a codec, say) before a reader gives up.
const MAX_ATTEMPTS: usize = 3;

/// What L1 says.
pub(crate) enum Look<V> {
    Fresh(Entry<V>),
    /// To be served, while a load runs behind.
    Stale(Entry<V>),
    Nothing,
}

#[inline]
pub(crate) fn look<V: Send + Sync + 'static>(core: &Core<V>, key: &str) -> Look<V> {
    let Some(record) = core.local.get(key) else {
        return Look::Nothing;
    };
    let now = core.clock.now();
    match record.freshness(now) {
        Freshness::Fresh => {
            core.counters.hits.add_one();
            tracing::debug!(target: "terrace::walk", cache = %core.name, key, "L1 hit");
            Look::Fresh(Entry::new(record, Source::Local, now))
        }
        Freshness::Revalidate => {
            count(&core.counters.stale_hits);
            tracing::debug!(target: "terrace::walk", cache = %core.name, key, stale = true, "L1 hit");
            Look::Stale(Entry::new(record, Source::Local, now))
        }
        Freshness::OnError | Freshness::Expired => Look::Nothing,
    }
}

/// A read that never loads, after L1 had nothing.
pub(crate) async fn find<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
) -> Option<Entry<V>> {
    miss(core, key);
    let remote = core.remote.as_ref()?;
    // The ticket first: a write that fails after this look at the list kills it.
    let ticket = core.gate.ticket(key);
    if core.pending.has(key) {
        return None;
    }
    let Found::Value(received) = remote.get(key, remote.patience()).await else {
        return None;
    };
    let usable = [Freshness::Fresh, Freshness::Revalidate];
    if !usable.contains(&received.record.freshness(core.clock.now())) {
        return None;
    }
    Some(lead::adopt(core, key, ticket, received))
}

/// Cache or compute, after L1 had nothing.
pub(crate) async fn load<V: Send + Sync + 'static>(core: Arc<Core<V>>, job: Job<V>) -> Outcome<V> {
    miss(&core, &job.key);
    Trail::refuse_reentry(core.id(), &job.key)?;
    let mut attempts = 0;
    let passenger = loop {
        match board(&core, &job.key) {
            (Boarding::Lead(flight), ticket) => {
                break lead::launch(&core, job, flight, ticket, Purpose::Miss);
            }
            (Boarding::Join(passenger), _) => {
                count(&core.counters.joined);
                if let Some(outcome) = share(&core, passenger).await {
                    return outcome;
                }
                attempts += 1;
                if attempts == MAX_ATTEMPTS {
                    return Err(vanished(&core, &job.key));
                }
            }
            (Boarding::Outdated, _) => {}
        }
    };
    led(&core, passenger).await
}

/// What somebody else's flight brings, if it is still worth something when it is
/// handed over: a flight that answered with a stale value first goes on behind it.
async fn share<V: Send + Sync + 'static>(
    core: &Core<V>,
    mut passenger: Passenger<Outcome<V>>,
) -> Option<Outcome<V>> {
    let worth = |outcome: Outcome<V>| match outcome {
        Ok(entry) => entry.at(core.clock.now()).map(Ok),
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
    let passenger = loop {
        match board(&core, &job.key) {
            (Boarding::Lead(flight), ticket) => {
                break lead::launch(&core, job, flight, ticket, Purpose::Anew);
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
    if let (Boarding::Lead(flight), ticket) = board(core, &job.key) {
        lead::launch(core, job, flight, ticket, Purpose::Behind);
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

fn board<V: Send + Sync + 'static>(core: &Core<V>, key: &Arc<str>) -> (Boarded<V>, Ticket) {
    let ticket = core.gate.ticket(key);
    (core.flights.board(key, ticket), ticket)
}
