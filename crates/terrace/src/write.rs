//! What changes the tiers by key: publish, fill, set, remove.
//!
//! Every write to L2 happens behind a closed gate: the key is void in L1 before
//! anything is sent, nothing read meanwhile is let in, and whatever comes of it
//! (done, refused, failed, dropped) the key is void again when the gate opens.
//! Writes run on tasks of their own: a caller who goes away changes nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join;

use crate::{
    clock::Moment,
    core::{Core, Outset},
    entry::{Record, Stamp},
    envelope::Token,
    error::Error,
    gate::{Closed, Ticket},
    local::Local,
    options::{EntryOptions, Life, Loaded},
    pending::{Item, Listing},
    remote::Remote,
    seal::Body,
    stats::count,
    store::{Fill, FillOutcome},
    tag::{Epochs, Mark, check_tags},
    tags::Before,
};

/// What became of a [`set`](crate::Cache::set).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The value is stored.
    Stored,
    /// A later write of the key overtook this one; its value, or none, stands.
    Superseded,
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

/// What L1 holds is L2's value still: it stands on new grounds, if nothing was
/// voided since the ticket.
pub(crate) fn restamp<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    ticket: Ticket,
    record: &Arc<Record<V>>,
    stamp: Stamp,
) {
    core.gate.publish(key, ticket, |local| {
        if local
            .get(key)
            .is_some_and(|held| Arc::ptr_eq(&held, record))
        {
            record.stamp(stamp);
        }
    });
}

/// L1 gives up a record that L2 does not hold: an early eviction, which needs no gate.
pub(crate) fn give_up<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    record: &Arc<Record<V>>,
) {
    let held = core.local.get(key);
    if held.is_some_and(|held| Arc::ptr_eq(&held, record)) {
        core.local.remove(key);
    }
}

/// Gives a lease back, and wakes those here who were told that it is held: no store
/// tells us of our own removals (protocol C23). When the reply is read, for who asked
/// before would be told "held" again; and when there is none, for it may be free.
pub(crate) async fn release<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    token: Token,
) {
    let Some(remote) = &core.remote else { return };
    let released = remote.release(key, token).await;
    // Nothing that L1 holds has changed: losing it would cost the stale value that
    // stands in for the next failure.
    core.gate.stir(key);
    if released.is_err() {
        core.ghosts.add(Arc::clone(key), token);
    }
}

/// Makes the key unseen here.
pub(crate) fn void<V: Send + Sync + 'static>(core: &Core<V>, key: &str) {
    core.gate.void(key);
}

/// A value on its way into both tiers, under the lease of its record's token.
pub(crate) struct Order<V> {
    pub(crate) key: Arc<str>,
    pub(crate) record: Arc<Record<V>>,
    pub(crate) life: Life,
}

impl<V: Send + Sync + 'static> Order<V> {
    fn fill(&self, bytes: Bytes, replaces: Option<Token>) -> Fill {
        Fill {
            token: self.record.token(),
            bytes,
            life: Duration::from_millis(self.life.total()),
            replaces,
        }
    }

    fn wrap(&self, remote: &Remote<V>, body: &Body, epochs: &Epochs) -> Bytes {
        let birth = (self.record.token(), epochs);
        remote.wrap(&self.key, body, self.life, birth)
    }

    /// Into L1, on these grounds, as the gate opens.
    fn let_in(self, closed: Option<Closed<Local<V>>>, stamp: Stamp) {
        let Some(closed) = closed else { return };
        self.record.stamp(stamp);
        closed.open_with(|local| local.insert(self.key, self.record));
    }
}

/// Under which circumstances a load came about.
pub(crate) struct Birth {
    pub(crate) outset: Outset,
    pub(crate) before: Before,
    pub(crate) tags: Vec<Arc<str>>,
    /// When the load began.
    pub(crate) began: Moment,
}

/// Closes a key for a write that is sent next, and sets out. No outset if the ticket
/// under which it came has died; `renewed` hears of the new one. The link's epoch
/// comes first, as in [`Core::set_out`].
fn close<V: Send + Sync + 'static>(
    core: &Core<V>,
    key: &Arc<str>,
    held: Option<Ticket>,
    renewed: impl FnOnce(Ticket),
) -> (Closed<Local<V>>, Option<Outset>) {
    let link_epoch = core.proof.link_epoch();
    let closed = core.gate.close(key, held, renewed);
    let outset = closed.ticket().map(|ticket| Outset {
        ticket,
        link_epoch,
        at: core.clock.now(),
    });
    (closed, outset)
}

/// What became of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The lease is used up.
    Answered,
    /// The lease may be there still.
    Unanswered,
    /// A tag was removed since the load began: it may have been one of its own.
    Overtaken,
}

/// Stores what a load under a lease brought. `renewed` hears of the ticket under
/// which the load goes on while it is stored.
pub(crate) async fn fill<V: Send + Sync + 'static>(
    core: &Core<V>,
    order: Order<V>,
    birth: Birth,
    renewed: impl FnOnce(Ticket),
) -> Filled {
    let Some(remote) = &core.remote else {
        return Filled::Unanswered;
    };
    let body = remote.encode(&order.key, &order.record);
    let (epochs, as_of) = match epochs_of_load(core, remote, &birth).await {
        Born::Under(epochs, as_of) => (core.tags.share(epochs), as_of),
        Born::Overtaken => return Filled::Overtaken,
        Born::Unknown => return Filled::Unanswered,
    };
    order.record.born_under(Arc::clone(&epochs));
    let ticket = birth.outset.ticket;
    let (closed, outset) = close(core, &order.key, Some(ticket), renewed);
    let outcome = match body {
        Ok(body) => {
            let bytes = order.wrap(remote, &body, &epochs);
            remote.fill(&order.key, order.fill(bytes, None)).await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(FillOutcome::Stored) => {
            tracing::debug!(target: "terrace::walk", cache = %core.name, key = &*order.key, "stored");
            if let Some(outset) = outset {
                let stamp = core.stamp(outset, outset.at.min(as_of));
                order.let_in(Some(closed), stamp);
            }
            Filled::Answered
        }
        Ok(FillOutcome::Refused) => Filled::Answered,
        // L1 can hold what L2 cannot, or will not: nothing happened there.
        Err(error) if error.is_value() || error.is_refusal() => {
            let warn = || tracing::warn!(cache = %core.name, %error, "a value is not stored; further ones are counted");
            core.not_stored.call_once(warn);
            let stamp = core.stamp_here(ticket.wide(), birth.began);
            order.let_in(Some(closed), stamp);
            Filled::Unanswered
        }
        Err(_) => Filled::Unanswered,
    }
}

enum Born {
    Under(Epochs, Moment),
    Overtaken,
    Unknown,
}

/// The epochs that a load's result is stored under. Those of its tags are known
/// after it only; so the clock of tags is read once more, after them: if it has
/// moved since before the load, one of them may have been removed meanwhile (C8).
async fn epochs_of_load<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    birth: &Birth,
) -> Born {
    let before = &birth.before;
    if birth.tags.is_empty() {
        return Born::Under(Epochs::untagged(before.clear), before.as_of);
    }
    let tags = birth.tags.iter().map(|tag| Mark::Tag(tag));
    let marks: Vec<Mark<'_>> = tags.chain([Mark::Clock]).collect();
    let (outset, sent) = (birth.outset, core.clock.now());
    let Ok(epochs) = remote.epochs(&marks, remote.patience()).await else {
        return Born::Unknown;
    };
    core.learn(&marks, &epochs, outset, sent);
    let (clock, of_tags) = epochs.split_last().expect("the clock was asked for");
    if *clock != before.clock {
        return Born::Overtaken;
    }
    let tags = birth.tags.iter().cloned().zip(of_tags.iter().copied());
    let epochs = Epochs {
        clear: before.clear,
        tags: tags.collect(),
    };
    Born::Under(epochs, before.as_of.min(sent))
}

/// A write that was sent and not answered. Dropped so, by an error, a panic or the
/// end of the runtime, it goes onto the pending list, and only then its gate opens:
/// nobody may read what it left behind.
pub(crate) struct Unanswered<V: Send + Sync + 'static, C> {
    core: Arc<Core<V>>,
    item: Option<Item>,
    closed: Option<C>,
}

impl<V: Send + Sync + 'static, C> Unanswered<V, C> {
    pub(crate) fn new(core: &Arc<Core<V>>, item: Item, closed: C) -> Self {
        Self {
            core: Arc::clone(core),
            item: Some(item),
            closed: Some(closed),
        }
    }

    pub(crate) fn answered(mut self) -> Option<C> {
        self.item = None;
        self.closed.take()
    }
}

impl<V: Send + Sync + 'static, C> Drop for Unanswered<V, C> {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.core.pending.add(item);
        }
        drop(self.closed.take());
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
    let tags = check_tags(loaded.tags)?;
    if !loaded.store {
        return Err(Error::config("set: a value that is not to be stored"));
    }
    let now = core.clock.now();
    let record = Record::new(loaded.value, Token::random(), life, now);
    let record = core.hold(&key, record);
    let Some(remote) = &core.remote else {
        // The number first: what changes from here on is compared at the next hit.
        let wide = core.gate.wide();
        record.born_under(core.epochs_here(&tags));
        record.stamp(core.stamp_here(wide, now));
        let name = Arc::clone(&key);
        core.gate.replace(&name, |local| local.insert(key, record));
        return Ok(Written::Stored);
    };
    // A value that cannot be encoded is refused before anything is touched.
    let body = remote.encode(&key, &record)?;
    let name = Arc::clone(&key);
    let order = Order { key, record, life };
    let task = set_through(Arc::clone(&core), order, body, tags);
    on_own_task(&core, "setting", &name, task).await
}

async fn set_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    order: Order<V>,
    body: Body,
    tags: Vec<Arc<str>>,
) -> Result<Written, Error> {
    let Some(remote) = &core.remote else {
        return Ok(Written::Superseded);
    };
    let item = Item::Key(Arc::clone(&order.key));
    let listing = core.pending.listing(&item);
    let (closed, outset) = close(&core, &order.key, None, |_| ());
    let unanswered = Unanswered::new(&core, item.clone(), closed);
    let outcome = force_and_fill(&core, remote, &order, &body, (tags, outset)).await?;
    let closed = unanswered.answered();
    let written = match outcome {
        FillOutcome::Stored => {
            let key = &*order.key;
            tracing::debug!(target: "terrace::walk", cache = %core.name, key, "stored");
            if let Some(outset) = outset {
                order.let_in(closed, core.stamp(outset, outset.at));
            }
            Written::Stored
        }
        FillOutcome::Refused => {
            count(&core.counters.superseded);
            drop(closed);
            Written::Superseded
        }
    };
    core.pending.settle(&item, listing);
    Ok(written)
}

/// Two round trips, and that is the fence: the fill leaves only after the reply
/// to the force was read. In one trip, late bytes would bring both (protocol C2).
/// The epochs come with the first: a value that was born under older ones would be
/// dead on arrival.
async fn force_and_fill<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    order: &Order<V>,
    body: &Body,
    (tags, outset): (Vec<Arc<str>>, Option<Outset>),
) -> Result<FillOutcome, Error> {
    let mut marks = vec![Mark::Clear];
    marks.extend(tags.iter().map(|tag| Mark::Tag(tag)));
    let sent = core.clock.now();
    let epochs = remote.epochs_to_write(&marks);
    let force = remote.force(&order.key, order.record.token(), core.set_hold);
    let (current, replaces) = try_join(epochs, force).await?;
    if let Some(outset) = outset {
        core.learn(&marks, &current, outset, sent);
    }
    let epochs = Epochs {
        clear: current[0],
        tags: tags.into_iter().zip(current[1..].iter().copied()).collect(),
    };
    let bytes = order.wrap(remote, body, &epochs);
    order.record.born_under(core.tags.share(epochs));
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
    let listing = core.pending.listing(&Item::Key(Arc::clone(&key)));
    let task = remove_through(Arc::clone(&core), Arc::clone(&key), listing);
    on_own_task(&core, "removing", &key, task).await
}

pub(crate) async fn remove_through<V: Send + Sync + 'static>(
    core: Arc<Core<V>>,
    key: Arc<str>,
    listing: Option<Listing>,
) -> Result<(), Error> {
    let Some(remote) = &core.remote else {
        return Ok(());
    };
    let item = Item::Key(Arc::clone(&key));
    let closed = core.gate.close(&key, None, |_| ());
    let unanswered = Unanswered::new(&core, item.clone(), closed);
    remote.remove(&key).await?;
    count(&core.counters.removals);
    core.pending.settle(&item, listing);
    drop(unanswered.answered());
    Ok(())
}

/// Runs a write so that it goes on without its caller.
pub(crate) async fn on_own_task<V: Send + Sync + 'static, T: Send + 'static>(
    core: &Core<V>,
    verb: &str,
    what: &str,
    task: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let joined = core.tasks.spawn(task).await;
    joined.unwrap_or_else(|_| Err(Error::write_lost(verb, what)))
}
