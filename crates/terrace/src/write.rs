//! All that changes the tiers: publish, fill, set, remove, clear, and their recovery.
//!
//! Every write to L2 happens behind a closed gate: the key is void in L1 before
//! anything is sent, nothing read meanwhile is let in, and whatever comes of it
//! (done, refused, failed, dropped) the key is void again when the gate opens.
//! Writes run on tasks of their own: a caller who goes away changes nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    core::Core,
    entry::Record,
    envelope::Token,
    error::Error,
    gate::Ticket,
    local::Local,
    options::{EntryOptions, Life, Loaded},
    pending::Listing,
    remote::Remote,
    stats::count,
    store::{Fill, FillOutcome},
};

/// What became of a [`set`](crate::Cache::set).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The value is stored.
    Stored,
    /// A later write of the key overtook this one; its value, or none, stands.
    Superseded,
}

/// What a [`clear`](crate::Cache::clear) removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleared {
    /// Entries that L1 held, roughly: engines count with a short delay.
    pub local: u64,
    /// Values that L2 held; `None` for a cache without one.
    pub store: Option<u64>,
}

/// Lets in what a read brought, if nothing was voided since its ticket.
pub(crate) fn publish<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    ticket: Ticket,
    record: &Arc<Record<V>>,
) -> bool {
    core.gate.publish(key, ticket, |local| {
        local.insert(Arc::clone(key), Arc::clone(record));
    })
}

/// Gives a lease back, and wakes those here who were told that it is held: when
/// the reply is read, for no store tells us of our own removals (protocol C23).
pub(crate) async fn release<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    token: Token,
) {
    let Some(remote) = &core.remote else { return };
    match remote.release(key, token).await {
        // Nothing that L1 holds has changed: losing it would cost the stale value
        // that stands in for the next failure.
        Ok(()) => core.gate.stir(key),
        Err(_) => core.ghosts.add(Arc::clone(key), token),
    }
}

/// Makes the key unseen here.
pub(crate) fn void<V: Send + Sync + 'static>(core: &Core<V>, key: &str) {
    core.gate.void(key);
}

/// A value on its way into both tiers, under the lease of this token.
pub(crate) struct Order<V> {
    pub(crate) key: Arc<str>,
    pub(crate) record: Arc<Record<V>>,
    pub(crate) life: Life,
    pub(crate) token: Token,
}

impl<V: Send + Sync + 'static> Order<V> {
    fn fill(&self, bytes: Bytes, replaces: Option<Token>) -> Fill {
        Fill {
            token: self.token,
            bytes,
            life: Duration::from_millis(self.life.total()),
            replaces,
        }
    }

    fn insert(self, local: &Local<V>) {
        local.insert(self.key, self.record);
    }
}

/// Stores what a load under a lease brought. `renewed` hears of the ticket under
/// which the load goes on while it is stored. True once the lease is used up.
pub(crate) async fn fill<V: Send + Sync + 'static>(
    core: &Core<V>,
    order: Order<V>,
    ticket: Ticket,
    renewed: impl FnOnce(Ticket),
) -> bool {
    let Some(remote) = &core.remote else {
        return false;
    };
    let sealed = remote.seal(&order.key, order.record.value(), order.life, order.token);
    let closed = core.gate.close(&order.key, Some(ticket), renewed);
    let outcome = match sealed {
        Ok(bytes) => remote.fill(&order.key, order.fill(bytes, None)).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(FillOutcome::Stored) => {
            tracing::debug!(target: "terrace::walk", cache = %core.name, key = &*order.key, "stored");
            closed.open_with(|local| order.insert(local));
            true
        }
        Ok(FillOutcome::Refused) => true,
        // L1 can hold what L2 cannot, or will not: nothing happened there.
        Err(error) if error.is_value() || error.is_refusal() => {
            let warn = || tracing::warn!(cache = %core.name, %error, "a value is not stored; further ones are counted");
            core.not_stored.call_once(warn);
            closed.open_with(|local| order.insert(local));
            false
        }
        Err(_) => false,
    }
}

/// A write that was sent and not answered. Dropped so, by an error, a panic or the
/// end of the runtime, it goes onto the pending list, and only then its gate opens:
/// nobody may read what it left behind.
struct Unanswered<V: Send + Sync + 'static, C> {
    core: Arc<Core<V>>,
    /// `None`: everything.
    key: Option<Arc<str>>,
    closed: Option<C>,
}

impl<V: Send + Sync + 'static, C> Unanswered<V, C> {
    fn new(core: &Arc<Core<V>>, key: Option<&Arc<str>>, closed: C) -> Self {
        Self {
            core: Arc::clone(core),
            key: key.cloned(),
            closed: Some(closed),
        }
    }

    fn answered(mut self) -> Option<C> {
        self.closed.take()
    }
}

impl<V: Send + Sync + 'static, C> Drop for Unanswered<V, C> {
    fn drop(&mut self) {
        let Some(closed) = self.closed.take() else {
            return;
        };
        match self.key.take() {
            Some(key) => self.core.pending.add(key),
            None => self.core.pending.add_everything(),
        }
        drop(closed);
    }
}

/// Writes a value to both tiers.
pub(crate) async fn set<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    key: Arc<str>,
    loaded: Loaded<V>,
    options: &EntryOptions,
) -> Result<Written, Error> {
    options.check()?;
    let life = options.life(loaded.ttl)?;
    if !loaded.store {
        return Err(Error::config("set: a value that is not to be stored"));
    }
    let record = core.hold(&key, Record::new(loaded.value, life, core.clock.now()));
    let order = Order {
        key,
        record,
        life,
        token: Token::random(),
    };
    let Some(remote) = &core.remote else {
        let key = Arc::clone(&order.key);
        core.gate.replace(&key, |local| order.insert(local));
        return Ok(Written::Stored);
    };
    // A value that cannot be encoded is refused before anything is touched.
    let bytes = remote.seal(&order.key, order.record.value(), life, order.token)?;
    let key = Arc::clone(&order.key);
    let task = set_through(Arc::clone(&core), order, bytes);
    on_own_task(&core, "setting", &key, task).await
}

async fn set_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    order: Order<V>,
    bytes: Bytes,
) -> Result<Written, Error> {
    let Some(remote) = &core.remote else {
        return Ok(Written::Superseded);
    };
    let key = Arc::clone(&order.key);
    let listing = core.pending.listing(&key);
    let closed = core.gate.close(&key, None, |_| ());
    let unanswered = Unanswered::new(&core, Some(&key), closed);
    let outcome = force_and_fill(remote, &order, bytes, core.set_hold).await?;
    let closed = unanswered.answered();
    let written = match outcome {
        FillOutcome::Stored => {
            tracing::debug!(target: "terrace::walk", cache = %core.name, key = &*key, "stored");
            if let Some(closed) = closed {
                closed.open_with(|local| order.insert(local));
            }
            Written::Stored
        }
        FillOutcome::Refused => {
            count(&core.counters.superseded);
            drop(closed);
            Written::Superseded
        }
    };
    core.pending.settle(&key, listing);
    Ok(written)
}

/// Two round trips, and that is the fence: the fill leaves only after the reply
/// to the force was read. In one trip, late bytes would bring both (protocol C2).
async fn force_and_fill<V: Send + Sync + 'static>(
    remote: &Remote<V>,
    order: &Order<V>,
    bytes: Bytes,
    hold: Duration,
) -> Result<FillOutcome, Error> {
    let replaces = remote.force(&order.key, order.token, hold).await?;
    remote.fill(&order.key, order.fill(bytes, replaces)).await
}

pub(crate) async fn remove<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    key: Arc<str>,
) -> Result<(), Error> {
    if core.remote.is_none() {
        core.gate.void(&key);
        count(&core.counters.removals);
        return Ok(());
    }
    let listing = core.pending.listing(&key);
    let task = remove_through(Arc::clone(&core), Arc::clone(&key), listing);
    on_own_task(&core, "removing", &key, task).await
}

async fn remove_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    key: Arc<str>,
    listing: Option<Listing>,
) -> Result<(), Error> {
    let Some(remote) = &core.remote else {
        return Ok(());
    };
    let closed = core.gate.close(&key, None, |_| ());
    let unanswered = Unanswered::new(&core, Some(&key), closed);
    remote.remove(&key).await?;
    count(&core.counters.removals);
    core.pending.settle(&key, listing);
    drop(unanswered.answered());
    Ok(())
}

pub(crate) async fn clear<V: Send + Sync + 'static>(core: Arc<Core<V>>) -> Result<Cleared, Error> {
    let task = clear_through(Arc::clone(&core));
    let name = Arc::clone(&core.name);
    on_own_task(&core, "clearing", &name, task).await
}

async fn clear_through<V: Send + Sync + 'static>(core: Arc<Core<V>>) -> Result<Cleared, Error> {
    let local = core.local.len();
    let before = core.pending.unsettled();
    let closed = core.gate.close_all();
    let store = match &core.remote {
        None => None,
        Some(remote) => {
            let unanswered = Unanswered::new(&core, None, closed);
            let removed = remote.clear().await?;
            core.pending.settle_everything(&before);
            drop(unanswered.answered());
            Some(removed)
        }
    };
    Ok(Cleared { local, store })
}

/// The store answers again: leases go back, and what is pending is removed there,
/// never re-played. It may take a newer value with it: a miss, nothing worse.
pub(crate) async fn recover<V: Send + Sync + 'static>(core: &Arc<Core<V>>) {
    for (key, token) in core.ghosts.take() {
        release(core, &key, token).await;
    }
    let unsettled = core.pending.unsettled();
    if unsettled.everything.is_some() {
        later(core, clear_through(Arc::clone(core)).await);
        return;
    }
    for (key, listing) in unsettled.keys {
        let removal = remove_through(Arc::clone(core), key, Some(listing));
        // One key that the store refuses must not keep the others waiting.
        if later(core, removal.await) {
            return;
        }
    }
}

/// Whether the store is away again.
fn later<V: Send + Sync + 'static, T>(core: &Core<V>, result: Result<T, Error>) -> bool {
    let Err(error) = result else { return false };
    tracing::debug!(cache = %core.name, %error, "recovery goes on later");
    !error.is_refusal()
}

async fn on_own_task<V: Send + Sync + 'static, T: Send + 'static>(
    core: &Core<V>,
    verb: &str,
    key: &str,
    task: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let joined = core.tasks.spawn(task).await;
    joined.unwrap_or_else(|_| Err(Error::write_lost(verb, key)))
}
