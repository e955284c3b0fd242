//! What this process knows of the epochs in the store.
//!
//! An epoch is *known* from when it was read over the link until the store tells
//! that it changed, or the link may have missed it. A change has a number, taken
//! from the gate: an epoch that was asked for before a change is not learnt after
//! it, and an entry that was last checked before a change is dead unless the new
//! epoch turns out to be its own.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::{
    clock::Moment,
    tag::{Epoch, Epochs, Mark},
};

/// More tags than this, and all are forgotten: entries are then checked anew.
const MAX_KNOWN: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Tags {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    clear: Place,
    clock: Place,
    tags: HashMap<Arc<str>, Place, RandomState>,
    /// The last epochs without a tag that a record was given.
    untagged: Option<Arc<Epochs>>,
    /// The newest change of any tag that was forgotten.
    floor: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    known: Option<Known>,
    /// The number of the last change that was heard of, or made here.
    changed_at: u64,
    /// The number of the last removal here that may have failed. It counts even if the
    /// epoch in the store is what it was: who asked for it was told so.
    removed_at: u64,
    /// How many removals of the group are under way here.
    closed: u32,
}

/// An epoch, as it was at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) epoch: Epoch,
    pub(crate) link_epoch: u64,
    pub(crate) as_of: Moment,
}

/// The epochs of a cache as they are before a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// The last change that had been heard of.
    pub(crate) wide: u64,
    pub(crate) clear: Epoch,
    pub(crate) clock: Epoch,
    /// When they were.
    pub(crate) as_of: Moment,
}

/// On what grounds an epoch counts as known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds {
    pub(crate) link_epoch: u64,
    /// Up to when the link has told everything.
    pub(crate) told: Moment,
    /// Older knowledge is asked for anew.
    pub(crate) not_before: Moment,
}

/// What is known of the epochs that an entry was born under.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// All are still the current ones; they were at this moment.
    Alive(Moment),
    Dead,
    /// These are not known.
    Ask(Vec<Arc<str>>, AskClear),
}

/// Whether the epoch of `clear` is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskClear {
    Yes,
    No,
}

/// What an entry in L1 is worth after something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Alive,
    Dead,
    /// Nothing is known against it, nor for it.
    Unsure,
}

impl Tags {
    /// What is known of an epoch on these grounds.
    pub(crate) fn known(&self, mark: Mark<'_>, grounds: Grounds) -> Option<Known> {
        self.table.lock().place(mark).known_on(grounds)
    }

    /// Whether an epoch was heard to have changed since this number, or was changed here.
    pub(crate) fn has_changed(&self, mark: Mark<'_>, since: u64) -> bool {
        self.table.lock().place(mark).changed_at > since
    }

    /// The store told that an epoch changed. `number` is drawn under the table's
    /// lock, and is larger than any that a reader has seen before.
    pub(crate) fn changed(&self, mark: Mark<'_>, number: impl FnOnce() -> u64) {
        let mut table = self.table.lock();
        let number = number();
        table.change(mark, number);
    }

    /// The epoch of a cache that has no store to ask: drawn here when first wanted.
    pub(crate) fn own(&self, mark: Mark<'_>, link_epoch: u64) -> Epoch {
        let mut table = self.table.lock();
        let place = table.place_mut(mark);
        let known = place.known.unwrap_or_else(|| Known {
            epoch: Epoch::random(),
            link_epoch,
            as_of: Moment::ALWAYS,
        });
        if place.closed == 0 {
            place.known = Some(known);
        }
        known.epoch
    }

    /// What was read for `asked_at`, the change that was the last before the question.
    pub(crate) fn learn(&self, mark: Mark<'_>, known: Known, asked_at: u64) {
        let mut table = self.table.lock();
        let place = table.place_mut(mark);
        let is_older = |other: Known| known.link_epoch < other.link_epoch;
        if place.closed == 0 && place.changed_at <= asked_at && !place.known.is_some_and(is_older) {
            place.known = Some(known);
        }
    }

    /// The epochs as a record holds them. Records without tags are many, and share theirs.
    pub(crate) fn share(&self, epochs: Epochs) -> Arc<Epochs> {
        if !epochs.tags.is_empty() {
            return Arc::new(epochs);
        }
        let mut table = self.table.lock();
        match &table.untagged {
            Some(shared) if **shared == epochs => Arc::clone(shared),
            _ => Arc::clone(table.untagged.insert(Arc::new(epochs))),
        }
    }

    /// What an entry's epochs are worth to somebody who can ask the store.
    pub(crate) fn check(&self, epochs: &Epochs, grounds: Grounds) -> Check {
        let table = self.table.lock();
        let (mut as_of, mut ask, mut clear) = (Moment::ALWAYS, Vec::new(), AskClear::No);
        for (mark, epoch) in epochs.marks() {
            match table.place(mark).known_on(grounds) {
                Some(known) if known.epoch == epoch => {
                    as_of = as_of.min(known.as_of.max(grounds.told));
                }
                Some(_) => return Check::Dead,
                None => match mark {
                    Mark::Tag(tag) => ask.push(Arc::from(tag)),
                    Mark::Clear | Mark::Clock => clear = AskClear::Yes,
                },
            }
        }
        if ask.is_empty() && clear == AskClear::No {
            Check::Alive(as_of)
        } else {
            Check::Ask(ask, clear)
        }
    }

    /// What an entry of L1 is worth that was last checked at change `checked_at`.
    pub(crate) fn judge(&self, epochs: &Epochs, checked_at: u64, link_epoch: u64) -> Verdict {
        let table = self.table.lock();
        let mut verdict = Verdict::Alive;
        for (mark, epoch) in epochs.marks() {
            let place = table.place(mark);
            if place.removed_at > checked_at {
                return Verdict::Dead;
            }
            match place.known.filter(|known| known.link_epoch == link_epoch) {
                Some(known) if known.epoch == epoch => {}
                Some(_) => return Verdict::Dead,
                None if place.changed_at > checked_at => return Verdict::Dead,
                None => verdict = Verdict::Unsure,
            }
        }
        verdict
    }

    /// Makes an epoch unknown until the guard is opened.
    pub(crate) fn close(
        self: &Arc<Self>,
        mark: Mark<'_>,
        number: impl Fn() -> u64 + Send + 'static,
    ) -> ClosedMark {
        let mut table = self.table.lock();
        let changed_at = number();
        table.change(mark, changed_at);
        let place = table.place_mut(mark);
        place.closed += 1;
        ClosedMark {
            tags: Arc::clone(self),
            mark: OwnMark::of(mark),
            changed_at,
            number: Box::new(number),
            open: false,
        }
    }
}

impl Table {
    fn place(&self, mark: Mark<'_>) -> Place {
        match mark {
            Mark::Clear => self.clear,
            Mark::Clock => self.clock,
            Mark::Tag(tag) => self.tags.get(tag).copied().unwrap_or(self.forgotten()),
        }
    }

    fn place_mut(&mut self, mark: Mark<'_>) -> &mut Place {
        match mark {
            Mark::Clear => &mut self.clear,
            Mark::Clock => &mut self.clock,
            Mark::Tag(tag) => {
                if !self.tags.contains_key(tag) {
                    self.make_room();
                    let place = self.forgotten();
                    self.tags.insert(Arc::from(tag), place);
                }
                self.tags.get_mut(tag).expect("it was just inserted")
            }
        }
    }

    /// What is left of a tag that was forgotten, or never known.
    fn forgotten(&self) -> Place {
        Place {
            changed_at: self.floor,
            removed_at: self.floor,
            ..Place::default()
        }
    }

    fn change(&mut self, mark: Mark<'_>, number: u64) {
        let place = self.place_mut(mark);
        place.known = None;
        place.changed_at = number;
    }

    fn make_room(&mut self) {
        if self.tags.len() < MAX_KNOWN {
            return;
        }
        let newest = self.tags.values().map(|place| place.changed_at).max();
        self.floor = self.floor.max(newest.unwrap_or_default());
        self.tags.retain(|_, place| place.closed > 0);
    }
}

impl Place {
    fn known_on(&self, grounds: Grounds) -> Option<Known> {
        self.known.filter(|known| {
            known.link_epoch == grounds.link_epoch
                && known.as_of.max(grounds.told) >= grounds.not_before
        })
    }
}

#[derive(Debug)]
enum OwnMark {
    Clear,
    Clock,
    Tag(Arc<str>),
}

impl OwnMark {
    fn of(mark: Mark<'_>) -> Self {
        match mark {
            Mark::Clear => Self::Clear,
            Mark::Clock => Self::Clock,
            Mark::Tag(tag) => Self::Tag(Arc::from(tag)),
        }
    }

    fn as_mark(&self) -> Mark<'_> {
        match self {
            Self::Clear => Mark::Clear,
            Self::Clock => Mark::Clock,
            Self::Tag(tag) => Mark::Tag(tag),
        }
    }
}

/// A group that is being removed here. Dropping it leaves its epoch unknown.
#[must_use = "the group's epoch stays unknown until this is dropped"]
pub(crate) struct ClosedMark {
    tags: Arc<Tags>,
    mark: OwnMark,
    changed_at: u64,
    number: Box<dyn Fn() -> u64 + Send>,
    open: bool,
}

impl ClosedMark {
    /// The new epoch is in the store. It is known from now on if nobody has
    /// changed it since this group was closed.
    pub(crate) fn open_with(mut self, known: Known) {
        self.end(Some(known));
    }

    fn end(&mut self, known: Option<Known>) {
        if std::mem::replace(&mut self.open, true) {
            return;
        }
        let mut table = self.tags.table.lock();
        let number = (self.number)();
        let place = table.place_mut(self.mark.as_mark());
        place.closed -= 1;
        let undisturbed = place.changed_at == self.changed_at && place.closed == 0;
        place.known = known.filter(|_| undisturbed);
        place.changed_at = number;
        if place.known.is_none() {
            place.removed_at = number;
        }
    }
}

impl Drop for ClosedMark {
    fn drop(&mut self) {
        self.end(None);
    }
}

#[cfg(test)]
mod tests {
    //! Forgetting: through the public API it takes 65,536 removals.

    use super::*;

    const LINK: u64 = 1;

    fn known(epoch: Epoch) -> Known {
        Known {
            epoch,
            link_epoch: LINK,
            as_of: Moment::ALWAYS,
        }
    }

    fn born_under(tag: &str, epoch: Epoch) -> Epochs {
        Epochs {
            clear: Epoch::from_bytes([0; 16]),
            tags: [(Arc::from(tag), epoch)].into(),
        }
    }

    /// Knows the clear epoch, and hears of so many other tags that it forgets.
    fn forgetful() -> Arc<Tags> {
        let tags = Arc::new(Tags::default());
        tags.learn(Mark::Clear, known(Epoch::from_bytes([0; 16])), 0);
        tags
    }

    fn overflow(tags: &Tags) {
        for number in 0..MAX_KNOWN {
            tags.changed(Mark::Tag(&format!("other:{number}")), || 1);
        }
        assert!(tags.table.lock().tags.len() < MAX_KNOWN);
    }

    #[test]
    fn a_change_that_was_forgotten_kills_what_was_checked_before_it_and_nothing_else() {
        let (tags, epochs) = (forgetful(), born_under("t", Epoch::random()));
        tags.changed(Mark::Tag("t"), || 5);
        overflow(&tags);
        assert_eq!(tags.judge(&epochs, 4, LINK), Verdict::Dead);
        assert_eq!(tags.judge(&epochs, 5, LINK), Verdict::Unsure);
        assert!(tags.has_changed(Mark::Tag("t"), 4));
        // Nor is an epoch learnt that was asked for before it.
        tags.learn(Mark::Tag("t"), known(Epoch::random()), 4);
        assert_eq!(tags.judge(&epochs, 5, LINK), Verdict::Unsure);
    }

    #[test]
    fn a_group_that_is_being_removed_is_not_forgotten() {
        let (tags, new) = (forgetful(), Epoch::random());
        let closed = tags.close(Mark::Tag("t"), || 5);
        overflow(&tags);
        // Not by somebody who asked the store while it was being removed, either.
        tags.learn(Mark::Tag("t"), known(Epoch::random()), 9);
        let epochs = born_under("t", new);
        assert_eq!(tags.judge(&epochs, 9, LINK), Verdict::Unsure);
        closed.open_with(known(new));
        assert_eq!(tags.judge(&epochs, 9, LINK), Verdict::Alive);
    }
}
