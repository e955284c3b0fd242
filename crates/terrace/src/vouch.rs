//! What vouches for an entry: that its groups have not been removed, and that L2
//! still holds it.

use std::sync::Arc;

use crate::{
    clock::Moment,
    core::{Core, Outset, Service},
    entry::Record,
    options::Coherence,
    proof::UNCONFIRMED,
    remote::{Remote, Silence},
    seal::Received,
    stats::count,
    tag::{Epoch, Epochs, Mark},
    tags::{AskClear, Before, Check},
    write,
};

/// Whether an entry's groups stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attested {
    /// None of them has been removed; none had been at this moment.
    Alive(Moment),
    Dead,
    Silence,
}

/// Whether L2 still holds what L1 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Yes,
    No,
    Silence,
}

/// Compares the epochs that an entry was born under with the current ones. Asks
/// the store for those that are not known here, in one round trip.
pub(crate) async fn attest<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    epochs: &Epochs,
    outset: Outset,
    until: Moment,
) -> Attested {
    // Removed here, and the store has not said that it knows.
    if epochs.tags.iter().any(|(tag, _)| core.pending.has_tag(tag)) {
        return Attested::Dead;
    }
    let (tags, clear) = match core.tags.check(epochs, core.grounds()) {
        Check::Alive(as_of) => return Attested::Alive(as_of),
        Check::Dead => return Attested::Dead,
        Check::Ask(tags, clear) => (tags, clear),
    };
    let mut marks: Vec<Mark<'_>> = tags.iter().map(|tag| Mark::Tag(tag)).collect();
    if clear == AskClear::Yes {
        marks.push(Mark::Clear);
    }
    let Ok((current, sent)) = ask(core, remote, &marks, outset, until).await else {
        return Attested::Silence;
    };
    let is_current = |(mark, epoch): (Mark<'_>, Epoch)| {
        let asked = marks.iter().position(|asked| *asked == mark);
        asked.is_none_or(|index| current[index] == epoch)
    };
    if epochs.marks().all(is_current) {
        Attested::Alive(sent.min(known_as_of(core, epochs, &marks, sent)))
    } else {
        Attested::Dead
    }
}

/// Since when those epochs are known that did not have to be asked for.
fn known_as_of<V: Send + Sync + 'static>(
    core: &Core<V>,
    epochs: &Epochs,
    asked: &[Mark<'_>],
    sent: Moment,
) -> Moment {
    let grounds = core.grounds();
    let unasked = epochs.marks().filter(|(mark, _)| !asked.contains(mark));
    unasked.fold(sent, |as_of, (mark, _)| {
        let known = core.tags.known(mark, grounds);
        as_of.min(known.map_or(Moment::NEVER, |known| known.as_of.max(grounds.told)))
    })
}

/// The epochs that a load is to be born under. Read before it begins: what is
/// removed from then on removes its result as well.
pub(crate) async fn before_load<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    outset: Outset,
    until: Moment,
) -> Result<Before, Silence> {
    // The number first: what changes from here on is told apart from what did before.
    let (wide, grounds) = (core.gate.wide(), core.grounds());
    let known = |mark| core.tags.known(mark, grounds);
    if let (Some(clock), Some(clear)) = (known(Mark::Clock), known(Mark::Clear)) {
        return Ok(Before {
            wide,
            clear: clear.epoch,
            clock: clock.epoch,
            as_of: clear.as_of.max(grounds.told),
        });
    }
    let marks = [Mark::Clock, Mark::Clear];
    let (epochs, as_of) = ask(core, remote, &marks, outset, until).await?;
    Ok(Before {
        wide,
        clock: epochs[0],
        clear: epochs[1],
        as_of,
    })
}

/// Waits until everything has been removed since a load began. News of the epoch
/// alone does not say so: it may have been written for the first time, or have been
/// lost and replaced, which the load's own reading tells from a removal.
pub(crate) async fn cleared<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    key: &Arc<str>,
    before: &Before,
) {
    let mut seen = before.wide;
    loop {
        let outset = core.set_out(key);
        if core.tags.has_changed(Mark::Clear, seen) {
            seen = outset.ticket.wide();
            let current = ask(core, remote, &[Mark::Clear], outset, remote.patience()).await;
            if current.is_ok_and(|(epochs, _)| epochs[0] != before.clear) {
                return;
            }
        }
        core.gate.dead(key, outset.ticket).await;
    }
}

/// Reads epochs in this order, and learns them. Tells when they were asked for.
async fn ask<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    marks: &[Mark<'_>],
    outset: Outset,
    until: Moment,
) -> Result<(Vec<Epoch>, Moment), Silence> {
    let sent = core.clock.now();
    let epochs = remote.epochs(marks, until).await?;
    core.learn(marks, &epochs, outset, sent);
    Ok((epochs, sent))
}

/// Looks again at what L1 holds and nobody vouches for: one or two round trips for
/// some seventy bytes. If L2 still has it, it is proven from here on; if L2 has
/// something else, L1 gives it up.
pub(crate) async fn confirm<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    (key, record): (&Arc<str>, &Arc<Record<V>>),
    outset: Outset,
    until: Moment,
) -> Confirmed {
    let sent = core.clock.now();
    let Ok(token) = remote.token(key, until).await else {
        return Confirmed::Silence;
    };
    let same = token == Some(record.token());
    let attested = match record.epochs() {
        Some(epochs) if same => attest(core, remote, epochs, outset, until).await,
        _ => Attested::Dead,
    };
    match attested {
        Attested::Alive(as_of) => {
            let stamp = core.stamp(outset, as_of.min(sent));
            // A store that does not answer as it should vouches for nothing.
            if stamp.link_epoch == UNCONFIRMED {
                return Confirmed::Silence;
            }
            count(&core.counters.confirmed);
            write::restamp(core, key, outset.ticket, record, stamp);
            Confirmed::Yes
        }
        Attested::Dead => {
            count(&core.counters.outdated);
            write::give_up(core, key, record);
            Confirmed::No
        }
        Attested::Silence => Confirmed::Silence,
    }
}

/// What became of a value that L2 handed over.
pub(crate) enum Adopted<V> {
    /// As L1 holds it, if the ticket allowed; whether L2 vouches for it.
    Record(Arc<Record<V>>, bool),
    /// One of its groups has been removed.
    Dead,
    /// The store did not say whether its groups stand.
    Silence,
}

/// Lets a value that L2 handed over into L1, if its groups stand and the ticket
/// allows; it is an answer either way: who asks now overlaps whatever voided it.
pub(crate) async fn adopt<V: Send + Sync + 'static>(
    core: &Core<V>,
    remote: &Remote<V>,
    key: &Arc<str>,
    outset: Outset,
    received: Received<V>,
    until: Moment,
) -> Adopted<V> {
    let as_of = match attest(core, remote, &received.epochs, outset, until).await {
        Attested::Alive(as_of) => as_of.min(received.sent),
        Attested::Dead => return Adopted::Dead,
        Attested::Silence => return Adopted::Silence,
    };
    let record = core.hold(key, received.record);
    let stamp = core.stamp(outset, as_of);
    record.born_under(core.tags.share(received.epochs));
    record.stamp(stamp);
    write::publish(core, key, outset.ticket, &record);
    tracing::debug!(target: "terrace::walk", cache = %core.name, key = &**key, "L2 hit");
    Adopted::Record(record, stamp.link_epoch != UNCONFIRMED)
}

/// Whether a record that was found before may be served after all, L2 being asked if
/// need be; and then whether it is proven. If it is not held any more, something was
/// voided since: whether it was this, L2 alone knows.
pub(crate) async fn serve<V: Send + Sync + 'static>(
    core: &Core<V>,
    (key, record): (&Arc<str>, &Arc<Record<V>>),
    is_held: bool,
    wanted: Coherence,
) -> Option<bool> {
    match core.service(record, core.clock.now(), wanted) {
        Service::Never => return None,
        Service::AsProven if is_held => return Some(true),
        Service::AsLoaded | Service::AsUnproven if is_held => return Some(false),
        _ => {}
    }
    let available = is_held && wanted == Coherence::Available;
    match confirm_now(core, (key, record)).await {
        Confirmed::Yes => Some(true),
        Confirmed::No => None,
        Confirmed::Silence => available.then_some(false),
    }
}

/// [`confirm`], as a question of its own. L2 is not believed where a write of the key
/// is pending.
async fn confirm_now<V: Send + Sync + 'static>(
    core: &Core<V>,
    (key, record): (&Arc<str>, &Arc<Record<V>>),
) -> Confirmed {
    let Some(remote) = &core.remote else {
        return Confirmed::No;
    };
    let outset = core.set_out(key);
    if core.pending.has(key) {
        return Confirmed::No;
    }
    confirm(core, remote, (key, record), outset, remote.patience()).await
}
