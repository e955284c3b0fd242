//! Signals about the store in, local corrections out.
//!
//! News of changes voids at once, in the order in which the store sends it. A gap
//! ends the link's epoch. Heartbeats prove that nothing was missed, close the
//! breakers again, and find out when what writes left unsettled can be settled.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    core::Core,
    error::Error,
    recover,
    stats::count,
    store::{Changed, Gap, Hearing, Listener},
    write,
};

/// So many heartbeats within the bound: one may be lost, and one late.
const BEATS_A_BOUND: u32 = 4;
/// A store that is back is used again within two of these, whatever the bound.
const LONGEST_BEAT: Duration = Duration::from_secs(1);

/// The cache's ear: what the store tells goes straight to the gate.
struct Ear<V: Send + Sync + 'static>(Weak<Core<V>>);

impl<V: Send + Sync + 'static> Listener for Ear<V> {
    fn changed(&self, changed: Changed<'_>) {
        let Some(core) = self.0.upgrade() else { return };
        count(&core.counters.changes_heard);
        match changed {
            Changed::Key(key) => write::void(&core, key),
            Changed::Mark(mark) => core.tags.changed(mark, || core.gate.turn_wide()),
        }
    }

    fn gap(&self, gap: Gap) {
        if let Some(core) = self.0.upgrade() {
            miss_news(&core, gap);
        }
    }
}

/// Nothing that was got before this is proven any more, and nothing that is under
/// way will be: the epoch first, then the tickets.
fn miss_news<V: Send + Sync + 'static>(core: &Core<V>, gap: Gap) {
    count(&core.counters.gaps);
    core.proof.gap();
    core.proof.set_answering(gap == Gap::Over);
    core.gate.turn_wide();
    core.urgent.notify_one();
}

/// Registers with the store, and listens until the cache is gone or closed.
pub(crate) fn start<V: Send + Sync + 'static>(core: &Arc<Core<V>>) -> Result<(), Error> {
    let Some(remote) = &core.remote else {
        return Ok(());
    };
    let ear: Arc<dyn Listener> = Arc::new(Ear(Arc::downgrade(core)));
    if !remote.listen(Arc::downgrade(&ear)) {
        let name = &core.name;
        return Err(Error::config(format!(
            "cache {name:?}: its store has one of this name"
        )));
    }
    let beating = beat(Arc::downgrade(core), ear);
    let stop: CancellationToken = core.stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(beating).await });
    Ok(())
}

/// What the loop of heartbeats remembers.
struct Beats {
    is_deaf: bool,
    suspended: Option<i64>,
    recovery: Option<JoinHandle<()>>,
}

/// Keeps the ear alive, which the store holds weakly.
async fn beat<V: Send + Sync + 'static>(core: Weak<Core<V>>, _ear: Arc<dyn Listener>) {
    let mut beats = Beats {
        is_deaf: false,
        suspended: None,
        recovery: None,
    };
    while let Some(core) = core.upgrade() {
        notice_suspension(&core, &mut beats.suspended);
        heartbeat(&core, &mut beats).await;
        let every = (core.max_staleness / BEATS_A_BOUND).min(LONGEST_BEAT);
        // Caches and processes must not fall into step.
        let pause = every.mul_f64(rand::random_range(0.8..1.0));
        let urgent = Arc::clone(&core.urgent);
        drop(core);
        let _ = timeout(pause, urgent.notified()).await;
    }
}

async fn heartbeat<V: Send + Sync + 'static>(core: &Arc<Core<V>>, beats: &mut Beats) {
    let Some(remote) = &core.remote else { return };
    // Both before the question: the answer vouches for this moment of this link.
    let (link_epoch, sent) = (core.proof.link_epoch(), core.clock.now());
    // A store that went silent is known to have, before the last proof runs out.
    let limit = core.max_staleness / 2;
    let Some(answer) = remote.heartbeat(limit).await else {
        core.proof.set_answering(false);
        return;
    };
    let was_deaf = beats.is_deaf;
    match answer.hearing {
        Hearing::Unclear | Hearing::Behind => {}
        Hearing::Deaf => beats.is_deaf = true,
        // What was changed while nothing was heard has been missed.
        Hearing::Complete if was_deaf => {
            beats.is_deaf = false;
            miss_news(core, Gap::Over);
        }
        Hearing::Complete => core.proof.grant(link_epoch, sent),
    }
    if was_deaf != beats.is_deaf {
        let hears = was_deaf;
        tracing::warn!(cache = %core.name, hears, "what others change in the store");
    }
    // A link that was lost meanwhile is not revived by its last answer.
    if core.proof.link_epoch() == link_epoch {
        let answering = answer.hearing != Hearing::Behind;
        core.proof.set_answering(answering);
    }
    // On a task of its own: the next heartbeat must not wait for it.
    let idle = beats.recovery.as_ref().is_none_or(JoinHandle::is_finished);
    if idle && (core.pending.len() > 0 || !core.ghosts.is_empty()) {
        let core = Arc::clone(core);
        let tasks = core.tasks.clone();
        // A cache that is closed does not wait for it; what is cut off stays listed.
        let recovery = async move {
            let stop = core.stop.clone();
            stop.run_until_cancelled(recover::recover(&core)).await;
        };
        beats.recovery = Some(tasks.spawn(recovery));
    }
}

/// The host's sleep does not count in the clock that entries live by.
fn notice_suspension<V: Send + Sync + 'static>(core: &Core<V>, before: &mut Option<i64>) {
    let suspended = core.clock.suspended_millis();
    let least = i64::try_from((core.max_staleness / BEATS_A_BOUND).as_millis()).unwrap_or(i64::MAX);
    if before.is_some_and(|before| suspended - before > least) {
        tracing::warn!(cache = %core.name, "the host was suspended");
        miss_news(core, Gap::Over);
    }
    *before = Some(suspended);
}
