//! The walks of a writer: set, remove, remove_tag, remove_prefix, and their recovery.

use super::{
    mutant::{Mutant, Rules, Tags},
    redis::STORED,
    state::{At, Call, Mail, NONE, State, Task, Verb},
};

/// Tokens of epochs that a mutant sends twice.
const REPEATED_EPOCH: u8 = 100;

impl State {
    /// A write begins. The source has the new version before the cache is told.
    pub(crate) fn begin_write(&mut self, task: usize, rules: Rules) {
        let call = self.tasks[task].call;
        if !matches!(call, Call::SettleKey | Call::SettleTag) {
            self.supersede(task);
        }
        let process = self.process_of(task);
        let listing = match call {
            Call::RemoveTag | Call::SettleTag => process.pending_tag,
            _ => process.pending_key,
        };
        self.tasks[task].listing = listing;
        match call {
            Call::Set => self.begin_set(task, rules),
            Call::RemoveTag | Call::SettleTag => self.begin_remove_tag(task, rules),
            Call::RemovePrefix => self.begin_remove_prefix(task, rules),
            _ => {
                self.close(task, false, rules);
                self.send(task, Verb::Remove, (NONE, NONE));
                self.tasks[task].at = At::Removing;
            }
        }
    }

    fn begin_set(&mut self, task: usize, rules: Rules) {
        self.tasks[task].value = 2 * self.source + 1;
        self.close(task, false, rules);
        if rules.tags != Tags::None {
            self.send(task, Verb::ReadTag, (NONE, NONE));
        }
        let token = self.tasks[task].draw(task);
        self.tasks[task].is_stored = true;
        if rules.breaks(Mutant::SetInOneCommand) {
            self.send(task, Verb::SetAtOnce, (token, NONE));
            self.tasks[task].at = At::SetFilling;
            return;
        }
        self.send(task, Verb::Force, (token, NONE));
        self.tasks[task].at = At::Forcing;
        if rules.breaks(Mutant::SetInOneTrip) {
            self.send(task, Verb::Fill, (token, NONE));
            self.tasks[task].at = At::SetFilling;
        }
    }

    fn begin_remove_tag(&mut self, task: usize, rules: Rules) {
        let index = usize::from(self.tasks[task].process);
        self.forget_tag(index);
        self.processes[index].table_closed += 1;
        self.tasks[task].tag_ticket = true;
        self.widen(index, rules);
        let again = if rules.breaks(Mutant::SameEpochTwice) {
            REPEATED_EPOCH + self.tasks[task].process
        } else {
            NONE
        };
        let has_clock = rules.tags == Tags::After;
        let clock_first = !rules.breaks(Mutant::TagBeforeClock);
        if has_clock && clock_first {
            self.send(task, Verb::BumpClock, (NONE, NONE));
        }
        self.send(task, Verb::BumpTag, (again, NONE));
        if has_clock && !clock_first {
            self.send(task, Verb::BumpClock, (NONE, NONE));
        }
        self.tasks[task].at = At::Bumping;
    }

    fn begin_remove_prefix(&mut self, task: usize, rules: Rules) {
        let index = usize::from(self.tasks[task].process);
        if !rules.breaks(Mutant::PrefixNotListed) {
            self.processes[index].prefixes += 1;
        }
        self.void(index, rules);
        self.widen(index, rules);
        let first = if rules.breaks(Mutant::ValuesBeforeLeases) {
            Verb::RemoveValue
        } else {
            Verb::RemoveLease
        };
        self.send(task, first, (NONE, NONE));
        self.tasks[task].at = At::FirstScan;
    }

    /// A writer's task goes on.
    pub(crate) fn resume_write(&mut self, task: usize, rules: Rules) {
        let mail = std::mem::take(&mut self.tasks[task].mail);
        let at = self.tasks[task].at;
        if at == At::Unlisted {
            self.list(task);
            return self.end_write(task, false);
        }
        if mail == Mail::Lost {
            return self.fail_write(task, rules);
        }
        match at {
            At::Forcing => {
                // Only now: the reply to the force is the fence.
                let asker = &mut self.tasks[task];
                let seen = if rules.breaks(Mutant::RefusedSetKeepsOld) {
                    NONE
                } else {
                    asker.answer
                };
                let token = asker.token;
                asker.at = At::SetFilling;
                self.send(task, Verb::Fill, (token, seen));
            }
            At::FirstScan => {
                let second = if rules.breaks(Mutant::ValuesBeforeLeases) {
                    Verb::RemoveLease
                } else {
                    Verb::Remove
                };
                self.send(task, second, (NONE, NONE));
                self.tasks[task].at = At::SecondScan;
            }
            At::SecondScan if rules.tags == Tags::After => {
                self.send(task, Verb::BumpClock, (NONE, NONE));
                self.tasks[task].at = At::PrefixBump;
            }
            _ => self.succeed_write(task, rules),
        }
    }

    /// Redis said yes.
    fn succeed_write(&mut self, task: usize, rules: Rules) {
        self.settle(task, rules);
        self.open_write(task, true, rules);
        self.end_write(task, true);
    }

    /// Nobody knows what Redis did: the list grows before the gate opens.
    fn fail_write(&mut self, task: usize, rules: Rules) {
        if rules.breaks(Mutant::OpensBeforeItLists) {
            self.open_write(task, false, rules);
            self.tasks[task].at = At::Unlisted;
            return;
        }
        self.list(task);
        self.open_write(task, false, rules);
        self.end_write(task, false);
    }

    fn end_write(&mut self, task: usize, is_ok: bool) {
        if !matches!(self.tasks[task].call, Call::SettleKey | Call::SettleTag) {
            self.returned(task, is_ok);
        }
        self.finish(task);
    }

    /// Gives back what the write had closed.
    fn open_write(&mut self, task: usize, is_ok: bool, rules: Rules) {
        let writer = self.tasks[task];
        let index = usize::from(writer.process);
        match writer.call {
            Call::RemoveTag | Call::SettleTag => self.open_tag(task, is_ok, rules),
            Call::RemovePrefix => {
                if !rules.breaks(Mutant::NoVoidAfterPrefix) {
                    self.void(index, rules);
                    self.widen(index, rules);
                }
                if !rules.breaks(Mutant::PrefixNotListed) {
                    self.processes[index].prefixes -= 1;
                }
            }
            Call::Set => {
                let is_stored = is_ok && writer.answer == STORED;
                self.open(task, is_stored.then_some(writer.token), rules);
            }
            _ => self.open(task, None, rules),
        }
    }

    fn open_tag(&mut self, task: usize, is_ok: bool, rules: Rules) {
        let writer = self.tasks[task];
        let index = usize::from(writer.process);
        self.processes[index].table_closed -= 1;
        let is_due = writer.tag_ticket && self.processes[index].table_closed == 0;
        self.forget_tag(index);
        if is_ok && (is_due || rules.breaks(Mutant::TableWithoutGate)) {
            self.processes[index].table = writer.stamp;
        }
        if !rules.breaks(Mutant::RemoveTagWidensOnce) {
            self.widen(index, rules);
        }
    }

    /// While it is listed, L2 is not read for it.
    fn list(&mut self, task: usize) {
        let call = self.tasks[task].call;
        let process = self.process_of(task);
        let listing = process.next_listing();
        match call {
            // A recovery that failed leaves its listing as it is.
            Call::SettleKey | Call::SettleTag => process.listings -= 1,
            Call::RemoveTag => process.pending_tag = listing,
            _ => process.pending_key = listing,
        }
    }

    /// Only what was listed when the write began is settled by it.
    fn settle(&mut self, task: usize, rules: Rules) {
        let Task { call, listing, .. } = self.tasks[task];
        let is_blind = rules.breaks(Mutant::SettlesForeignListing);
        let process = self.process_of(task);
        let pending = match call {
            Call::RemoveTag | Call::SettleTag => &mut process.pending_tag,
            _ => &mut process.pending_key,
        };
        if *pending == listing || is_blind {
            *pending = 0;
        }
    }

    /// The caller of a write goes away.
    pub(crate) fn abandon(&mut self, task: usize, rules: Rules) {
        self.tasks[task].is_abandoned = true;
        match self.tasks[task].call {
            Call::Set if rules.breaks(Mutant::SetOnCallersTask) => {
                self.process_of(task).closed -= 1;
                self.finish(task);
            }
            Call::Remove if rules.breaks(Mutant::RemoveOnCallersTask) => self.finish(task),
            _ => {}
        }
    }
}
