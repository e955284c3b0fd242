//! What the cache promises, checked at each answer, at each fill and in each state.

use super::{
    mutant::{Mutant, Rules, Tags},
    state::{At, Call, Command, NONE, Process, State, Task, Token, Value, Values, Verb},
};

/// A promise that a state breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Breach {
    /// G1, G4: a read that began after a write returned here answers what was there before it.
    Resurrection,
    /// G2: L2 takes a value that a finished write had overtaken.
    UnfencedFill,
    /// G3: an entry counts as proven and is not what L2 holds.
    UnprovenHit,
    /// G5: a removal was told Ok, this process has heard of it, and serves the old value.
    NotSettled,
    /// C1: a set was told Ok, and L2 still holds what it was to replace.
    SetLeftOldValue,
    /// C17: a value that is of no use cannot be replaced.
    Irreplaceable,
    /// A task waits for ever, or a gate stays closed.
    NeverAtRest,
}

impl Breach {
    /// How reports call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Resurrection => "G1/G4 no resurrection",
            Self::UnfencedFill => "G2 fenced fills",
            Self::UnprovenHit => "G3 a proven entry is what L2 holds",
            Self::NotSettled => "G5 settles",
            Self::SetLeftOldValue => "a set told Ok leaves nothing older",
            Self::Irreplaceable => "what is of no use can be replaced",
            Self::NeverAtRest => "comes to rest",
        }
    }
}

fn has(values: Values, value: Value) -> bool {
    values & (1 << value) != 0
}

impl State {
    /// The first breach counts: the search ends there.
    pub(crate) fn report(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }

    /// A read begins: what it must not answer is fixed here.
    pub(crate) fn open_eyes(&mut self, task: usize) {
        let process = *self.process_of(task);
        self.tasks[task].barred = process.barred;
        self.tasks[task].settled = process.settled;
    }

    /// A write begins: everything that was read or loaded before is older than it,
    /// and so is what was given to a set that is over. A set that runs may yet
    /// come after it.
    pub(crate) fn supersede(&mut self, task: usize) {
        self.source += 1;
        let mut older = (1 << (2 * self.source)) - 1;
        let count = usize::from(self.task_count);
        for other in &self.tasks[..count] {
            if other.call == Call::Set && other.is_running() {
                older &= !(1 << other.value);
            }
        }
        self.tasks[task].barred = older;
    }

    /// A write returns, Ok or not: no later read of this process sees what it overtook.
    pub(crate) fn returned(&mut self, task: usize, is_ok: bool) {
        let Task {
            barred,
            is_abandoned,
            ..
        } = self.tasks[task];
        if is_abandoned {
            return;
        }
        self.process_of(task).barred |= barred;
        if is_ok {
            self.overwritten |= barred;
        }
    }

    /// A read is answered, and with it all who joined.
    ///
    /// A load without a lease is the answer of a process whose store did not
    /// answer. It is marked unproven, and G5 is not promised for it (see the
    /// module's documentation).
    pub(crate) fn answer(&mut self, task: usize, value: Value, rules: Rules) {
        let is_bare = self.tasks[task].at == At::BareLoaded;
        let leads_bare = is_bare && !rules.breaks(Mutant::BareLoadsSettle);
        self.judge(task, value, leads_bare);
        for joined in self.passengers(task) {
            self.judge(joined, value, leads_bare);
            self.finish(joined);
        }
    }

    fn judge(&mut self, task: usize, value: Value, is_bare: bool) {
        let reader = self.tasks[task];
        if reader.is_abandoned {
            return;
        }
        if has(reader.barred, value) {
            self.report(Breach::Resurrection);
        } else if has(reader.settled, value) && !is_bare {
            self.report(Breach::NotSettled);
        }
    }

    /// Who waits for what a flight brings.
    pub(crate) fn passengers(&self, leader: usize) -> impl Iterator<Item = usize> + use<> {
        let tasks = self.tasks;
        (0..usize::from(self.task_count)).filter(move |&index| {
            tasks[index].at == At::Joined && usize::from(tasks[index].leader) == leader
        })
    }

    /// A fill was executed.
    pub(crate) fn check_fill(&mut self, command: Command, is_stored: bool, rules: Rules) {
        let writer = self.tasks[usize::from(command.task)];
        let is_valid = rules.tags == Tags::None || writer.stamp == self.redis.tag;
        if is_stored && is_valid && has(self.overwritten, writer.value) {
            self.report(Breach::UnfencedFill);
        }
        let is_awaited = writer.awaits(command);
        if writer.call == Call::Set && command.verb == Verb::Fill && is_awaited {
            self.check_set(writer.barred, rules);
        }
    }

    /// The set whose fill was just executed will be told Ok.
    fn check_set(&mut self, older: Values, rules: Rules) {
        if self.redis.value == NONE {
            return;
        }
        let (value, stamp) = self.stored(self.redis.value);
        let is_valid = rules.tags == Tags::None || stamp == self.redis.tag;
        if is_valid && has(older, value) {
            self.report(Breach::SetLeftOldValue);
        }
    }

    /// Checked in each state. An empty inbox stands for a heartbeat that was answered.
    pub(crate) fn check_proof(&mut self, rules: Rules) {
        for index in 0..usize::from(self.process_count) {
            if !self.processes[index].inbox.is_empty() {
                continue;
            }
            self.processes[index].settled |= self.overwritten;
            if let Some(entry) = self.hit(index, rules)
                && !self.is_current(entry, rules)
            {
                self.report(Breach::UnprovenHit);
            }
        }
    }

    fn is_current(&self, entry: Token, rules: Rules) -> bool {
        let is_valid = rules.tags == Tags::None || self.stored(entry).1 == self.redis.tag;
        entry == self.redis.value && is_valid
    }

    /// What is barred where no read will begin any more makes no difference.
    pub(crate) fn forget_unasked(&mut self) {
        let tasks = &self.tasks[..usize::from(self.task_count)];
        for (index, process) in self.processes.iter_mut().enumerate() {
            let will_read = tasks.iter().any(|task| {
                usize::from(task.process) == index
                    && task.at == At::Start
                    && matches!(task.call, Call::Read | Call::Refresh)
            });
            if !will_read {
                process.barred = 0;
                process.settled = 0;
            }
        }
    }

    /// Nothing can happen any more. Is everything over?
    pub(crate) fn is_at_rest(&self) -> bool {
        let count = usize::from(self.task_count);
        let are_over = self.tasks[..count].iter().all(|task| task.at == At::Done);
        let are_open = self.processes.iter().all(|process| {
            process.closed == 0 && process.table_closed == 0 && process.prefixes == 0
        });
        are_over && are_open && !self.processes.iter().any(Process::is_pending)
    }
}
