//! The gate of a process: what ends a generation, what is let into L1, what a hit is.

use super::{
    mutant::{Mutant, Rules, Tags},
    state::{At, Epoch, Mail, NONE, State, Token},
};

impl State {
    /// The generation ends: every ticket is dead, who waits looks again.
    pub(crate) fn turn(&mut self, process: usize) {
        for task in self.tasks_of(process) {
            task.ticket = false;
            task.is_joinable = false;
            task.is_signalled |= task.at == At::Held;
        }
    }

    pub(crate) fn void(&mut self, process: usize, rules: Rules) {
        self.turn(process);
        let entry = std::mem::replace(&mut self.processes[process].entry, NONE);
        self.processes[process].is_entry_dated = false;
        if entry != NONE && rules.breaks(Mutant::StaleCopyOutlivesVoid) {
            self.processes[process].shelf = entry;
        }
    }

    /// The cache-wide generation ends.
    pub(crate) fn widen(&mut self, process: usize, rules: Rules) {
        let joinable: Vec<bool> = self
            .tasks_of(process)
            .map(|task| task.is_joinable)
            .collect();
        self.turn(process);
        if rules.breaks(Mutant::RemoveTagKeepsFlights) {
            for (task, joinable) in self.tasks_of(process).zip(joinable) {
                task.is_joinable = joinable;
            }
        }
        let process = &mut self.processes[process];
        // Without tags there is nothing that an entry could be compared with.
        process.is_entry_dated = process.entry != NONE && rules.tags != Tags::None;
    }

    /// The tag's place in the table is unknown from now on; who asked before does not fill it.
    pub(crate) fn forget_tag(&mut self, process: usize) {
        for task in self.tasks_of(process) {
            task.tag_ticket = false;
        }
        self.processes[process].table = 0;
    }

    /// An epoch that Redis answered comes into the table, if nothing happened since it was asked.
    pub(crate) fn install(&mut self, task: usize, epoch: Epoch, rules: Rules) {
        let is_due = self.tasks[task].tag_ticket && self.process_of(task).table_closed == 0;
        if is_due || rules.breaks(Mutant::TableWithoutGate) {
            self.process_of(task).table = epoch;
        }
    }

    /// What L1 answers, without asking anybody.
    pub(crate) fn hit(&self, process: usize, rules: Rules) -> Option<Token> {
        let process = &self.processes[process];
        let tag = self.stored_or_none(process.entry)?;
        let is_undated = !process.is_entry_dated || rules.breaks(Mutant::HitIgnoresTable);
        let is_valid = is_undated || (process.table != 0 && process.table == tag);
        is_valid.then_some(process.entry)
    }

    fn stored_or_none(&self, token: Token) -> Option<Epoch> {
        (token != NONE).then(|| self.stored(token).1)
    }

    /// Lets in what a read brought.
    pub(crate) fn publish(&mut self, task: usize, token: Token, rules: Rules) {
        let is_alive = self.tasks[task].ticket || rules.breaks(Mutant::NoTicket);
        let process = self.process_of(task);
        let is_open = process.closed == 0 || rules.breaks(Mutant::PublishWhileClosed);
        if is_alive && is_open && process.prefixes == 0 {
            process.entry = token;
            process.is_entry_dated = false;
        }
    }

    /// The gate closes before a write is sent. `is_load`: the ticket is renewed only
    /// if it was alive; a write gets a new one.
    pub(crate) fn close(&mut self, task: usize, is_load: bool, rules: Rules) {
        let process = usize::from(self.tasks[task].process);
        let was_alive = self.tasks[task].ticket || rules.breaks(Mutant::DeadFlightRenewed);
        if !rules.breaks(Mutant::NoClosedGate) {
            if is_load && rules.breaks(Mutant::FillKeepsWhatItReplaces) {
                self.turn(process);
            } else {
                self.void(process, rules);
            }
            self.processes[process].closed += 1;
        }
        let task = &mut self.tasks[task];
        task.ticket = !is_load || was_alive;
        task.is_joinable = is_load && was_alive;
    }

    /// The gate opens. The generation ends and the key is void whatever came of the
    /// write; only the insert depends on the ticket.
    pub(crate) fn open(&mut self, task: usize, insert: Option<Token>, rules: Rules) {
        let index = usize::from(self.tasks[task].process);
        let ticket = self.tasks[task].ticket;
        let process = &mut self.processes[index];
        if !rules.breaks(Mutant::NoClosedGate) {
            process.closed -= 1;
        }
        let is_due = ticket && process.closed == 0;
        let keeps = rules.breaks(Mutant::OpenDoesNotVoid)
            || (rules.breaks(Mutant::OpenVoidsOnlyIfItInserts) && !(is_due && insert.is_some()))
            || (rules.breaks(Mutant::FillKeepsWhatItReplaces)
                && self.tasks[task].at == At::Filling
                && insert.is_none());
        if !keeps {
            self.void(index, rules);
        }
        let is_due = is_due
            && (self.processes[index].prefixes == 0 || rules.breaks(Mutant::OpenIgnoresPrefixes));
        if let (true, Some(token)) = (is_due, insert) {
            self.processes[index].entry = token;
            self.processes[index].is_entry_dated = false;
        }
    }

    /// The process may have missed a change. `fails`: what is in flight has no outcome.
    pub(crate) fn gap(&mut self, process: usize, fails: bool, rules: Rules) {
        let before: Vec<(bool, bool)> = self
            .tasks_of(process)
            .map(|task| (task.ticket, task.is_joinable))
            .collect();
        if rules.breaks(Mutant::GapKeepsEntries) {
            self.turn(process);
        } else {
            self.void(process, rules);
        }
        if !rules.breaks(Mutant::GapKeepsTable) {
            self.forget_tag(process);
        }
        for (task, (ticket, joinable)) in self.tasks_of(process).zip(before) {
            task.ticket = ticket && rules.breaks(Mutant::TicketWithoutEpoch);
            task.is_joinable = joinable && rules.breaks(Mutant::GapKeepsFlights);
            if task.waits > 0 && fails {
                task.waits = 0;
                task.mail = Mail::Lost;
            }
        }
    }
}
