//! What removes groups of keys: by tag, by pattern, or all.
//!
//! A tag, or everything, goes by a new epoch: one round trip, whatever the number
//! of members. A pattern has no epoch: its keys are walked. Both move the clock of
//! tags, so that loads which began before are stored nowhere. All of it runs on
//! tasks of its own, and the group is closed here from before anything is sent.

use std::sync::Arc;

use crate::{
    clock::Moment,
    core::Core,
    error::Error,
    pattern::Pattern,
    pending::{Item, Listing},
    stats::count,
    tag::{Epoch, Mark},
    tags::{ClosedMark, Known},
    write::{Unanswered, on_own_task},
};

/// What [`remove_prefix`](crate::Cache::remove_prefix) and
/// [`remove_matching`](crate::Cache::remove_matching) removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// Entries that L1 held.
    pub local: u64,
    /// Values that L2 held; `None` for a cache without one.
    pub store: Option<u64>,
}

pub(crate) async fn remove_tag<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    tag: Arc<str>,
) -> Result<(), Error> {
    let listing = core.pending.listing(&Item::Tag(Arc::clone(&tag)));
    let task = tag_through(Arc::clone(&core), Arc::clone(&tag), listing);
    on_own_task(&core, "removing tag", &tag, task).await
}

pub(crate) async fn clear<V: Send + Sync + 'static>(core: Arc<Core<V>>) -> Result<(), Error> {
    let task = clear_through(Arc::clone(&core));
    on_own_task(&core, "clearing", &core.name, task).await
}

pub(crate) async fn remove_matching<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    pattern: Pattern,
) -> Result<Removed, Error> {
    let name = format!("{pattern:?}");
    let pattern = Arc::new(pattern);
    let listing = core.pending.listing(&Item::Matching(Arc::clone(&pattern)));
    let task = matching_through(Arc::clone(&core), pattern, listing);
    on_own_task(&core, "removing", &name, task).await
}

pub(crate) async fn tag_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    tag: Arc<str>,
    listing: Option<Listing>,
) -> Result<(), Error> {
    let item = Item::Tag(Arc::clone(&tag));
    // The clock first: a load that read the tag's new epoch has to find it moved.
    renew(&core, &item, &[Mark::Clock, Mark::Tag(&tag)]).await?;
    core.pending.settle(&item, listing);
    count(&core.counters.group_removals);
    Ok(())
}

/// A clear also settles whatever was pending before: no value of then is alive.
pub(crate) async fn clear_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
) -> Result<(), Error> {
    let before = core.pending.unsettled();
    let renewed = renew(&core, &Item::Everything, &[Mark::Clear]).await;
    // All that L1 held is dead, whatever the store says; its memory goes at once.
    core.local.clear();
    renewed?;
    for (item, listing) in before {
        core.pending.settle(&item, Some(listing));
    }
    count(&core.counters.group_removals);
    Ok(())
}

/// Gives these marks new epochs, here and in the store.
async fn renew<V: Send + Sync + 'static>(
    core: &Arc<Core<V>>,
    item: &Item,
    marks: &[Mark<'_>],
) -> Result<(), Error> {
    let close = |mark: &Mark<'_>| {
        let gate = Arc::clone(&core.gate);
        core.tags.close(*mark, move || gate.turn_wide())
    };
    let closed: Vec<ClosedMark> = marks.iter().map(close).collect();
    // New ones at each attempt: an epoch sent twice could bring back what another
    // removal has removed in between (protocol C11).
    let fresh: Vec<Epoch> = marks.iter().map(|_| Epoch::random()).collect();
    let (link_epoch, sent) = (core.proof.link_epoch(), core.clock.now());
    let closed = match &core.remote {
        None => Some(closed),
        Some(remote) => {
            let unanswered = Unanswered::new(core, item.clone(), closed);
            let epochs: Vec<_> = marks.iter().copied().zip(fresh.iter().copied()).collect();
            remote.renew(&epochs).await?;
            unanswered.answered()
        }
    };
    let as_of = if core.remote.is_none() {
        Moment::ALWAYS
    } else {
        sent
    };
    for (closed, epoch) in closed.into_iter().flatten().zip(fresh) {
        closed.open_with(Known {
            epoch,
            link_epoch,
            as_of,
        });
    }
    Ok(())
}

pub(crate) async fn matching_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    pattern: Arc<Pattern>,
    listing: Option<Listing>,
) -> Result<Removed, Error> {
    let turn = core.stop.run_until_cancelled(core.walks.acquire()).await;
    let _turn = turn.and_then(Result::ok).ok_or_else(Error::closed)?;
    let own = Arc::clone(&pattern);
    let (barred, local) = core.gate.bar(Arc::new(move |key: &str| own.matches(key)));
    let mut removed = Removed { local, store: None };
    if let Some(remote) = &core.remote {
        let item = Item::Matching(Arc::clone(&pattern));
        let unanswered = Unanswered::new(&core, item.clone(), barred);
        // It may take a minute: a cache that is closed does not wait for it.
        let walk = core
            .stop
            .run_until_cancelled(remote.remove_matching(&pattern));
        removed.store = Some(walk.await.unwrap_or_else(|| Err(Error::closed()))?);
        // Loads under way elsewhere have lost their leases, but whoever comes after
        // this must not join them: the clock tells the others.
        renew(&core, &item, &[Mark::Clock]).await?;
        core.pending.settle(&item, listing);
        drop(unanswered.answered());
    }
    count(&core.counters.group_removals);
    Ok(removed)
}
