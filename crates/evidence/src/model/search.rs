//! The steps that can follow a state, for the checker.

use stateright::{Model, Property};

use super::{
    fifo::Fifo,
    mutant::{Mutant, Rules},
    promise::Breach,
    redis::{Key, STORED},
    scenario::Scenario,
    state::{At, Call, Command, Mail, Signal, State, Verb},
};

/// One step. Redis executes, the reader takes, the task goes on: three steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin(usize),
    /// Redis executes the next command of a process.
    Execute(usize),
    /// The reader of a process takes the next reply or push.
    Take(usize),
    /// A task goes on.
    Resume(usize),
    /// The loader of a task reads the source.
    ReadSource(usize),
    /// Redis meets the bytes of a dead connection, or they are lost.
    ExecuteLate(usize),
    LoseLate(usize),
    /// The link is up: a pending write is settled.
    Recover(usize, Call),
    Fault {
        number: usize,
        target: usize,
    },
    /// Nothing else can happen: the lease runs out.
    ExpireLease,
    /// Nothing at all can happen, and not everything is over.
    Stall,
}

/// A scenario under some rules.
pub(crate) struct Search {
    pub(crate) scenario: Scenario,
    pub(crate) rules: Rules,
}

impl Model for Search {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.scenario.start()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.breach.is_some() {
            return;
        }
        self.task_steps(state, steps);
        self.link_steps(state, steps);
        // Nobody sees that late bytes are lost, before the end.
        let is_late = |step: &Step| matches!(step, Step::ExecuteLate(_));
        if let (Some(&Step::ExecuteLate(process)), true) =
            (steps.first(), steps.iter().all(is_late))
        {
            steps.push(Step::LoseLate(process));
        }
        if steps.is_empty() {
            if state.redis.lease != 0 {
                steps.push(Step::ExpireLease);
            } else if !state.is_at_rest() {
                steps.push(Step::Stall);
            }
        }
        self.fault_steps(state, steps);
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = *before;
        self.advance(&mut state, step);
        state.check_proof(self.rules);
        state.forget_unasked();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "the contract holds",
            |_, state: &State| state.breach.is_none(),
        )]
    }
}

impl Search {
    fn task_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let tasks = &state.tasks[..usize::from(state.task_count)];
        for (index, task) in tasks.iter().enumerate() {
            let can_go_on = match task.at {
                // Two equal calls are one another's mirror image: the first goes first.
                At::Start => {
                    let twin = index.checked_sub(1).map(|before| &tasks[before]);
                    if twin.is_none_or(|twin| twin != task) && self.scenario.may_begin(state, index)
                    {
                        steps.push(Step::Begin(index));
                    }
                    false
                }
                At::Loading | At::BareLoading => {
                    steps.push(Step::ReadSource(index));
                    false
                }
                At::Loaded | At::BareLoaded | At::Unlisted | At::Leaving => true,
                At::Held => state.is_woken(index, self.rules),
                _ => task.mail != Mail::Nothing,
            };
            if can_go_on {
                steps.push(Step::Resume(index));
            }
        }
    }

    #[expect(clippy::unused_self, reason = "one of three that list steps")]
    fn link_steps(&self, state: &State, steps: &mut Vec<Step>) {
        let tasks = &state.tasks[..usize::from(state.task_count)];
        let processes = &state.processes[..usize::from(state.process_count)];
        for (index, process) in processes.iter().enumerate() {
            if !process.outbox.is_empty() {
                steps.push(Step::Execute(index));
            }
            if !process.inbox.is_empty() {
                steps.push(Step::Take(index));
            }
            if !process.late.is_empty() {
                steps.push(Step::ExecuteLate(index));
            }
            for (call, listing) in [
                (Call::SettleKey, process.pending_key),
                (Call::SettleTag, process.pending_tag),
            ] {
                let is_running = tasks.iter().any(|task| {
                    task.call == call && usize::from(task.process) == index && task.is_running()
                });
                if listing != 0 && !process.is_cut && !is_running {
                    steps.push(Step::Recover(index, call));
                }
            }
        }
    }

    fn fault_steps(&self, state: &State, steps: &mut Vec<Step>) {
        for (number, fault) in self.scenario.faults.iter().enumerate() {
            if state.faults_left & (1 << number) != 0 {
                let targets = (0..fault.targets(state)).filter(|&at| fault.hits(state, at));
                steps.extend(targets.map(|target| Step::Fault { number, target }));
            }
        }
    }

    fn advance(&self, state: &mut State, step: Step) {
        match step {
            Step::Begin(task) => self.begin(state, task),
            Step::Execute(process) => {
                let command = state.processes[process].outbox.pop();
                let command = command.expect("only offered if there is one");
                let answer = self.execute(state, command, Some(process));
                let asker = &state.tasks[usize::from(command.task)];
                // An answer that nobody waits for changes nothing when it is read.
                if asker.awaits(command) {
                    let reply = Signal::Reply { command, answer };
                    state.processes[process].inbox.push(reply);
                }
            }
            Step::Take(process) => self.take(state, process),
            Step::Resume(task) if is_reader(state.tasks[task].call) => {
                state.resume_read(task, self.rules);
            }
            Step::Resume(task) => state.resume_write(task, self.rules),
            Step::ReadSource(task) => state.read_source(task),
            Step::ExecuteLate(process) => {
                let command = state.processes[process].late.pop();
                let command = command.expect("only offered if there is one");
                self.execute(state, command, None);
            }
            Step::LoseLate(process) => {
                state.processes[process].late = Fifo::default();
            }
            Step::Recover(process, call) => {
                let process = u8::try_from(process).expect("a few processes");
                let task = state.spawn(call, process);
                state.begin_write(task, self.rules);
            }
            Step::Fault { number, target } => {
                state.faults_left &= !(1 << number);
                self.scenario.faults[number].happen(state, target, self.rules);
            }
            Step::ExpireLease => state.lose(Key::Lease, self.rules),
            Step::Stall => state.report(Breach::NeverAtRest),
        }
    }

    fn begin(&self, state: &mut State, task: usize) {
        if is_reader(state.tasks[task].call) {
            state.begin_read(task, self.rules);
        } else {
            state.begin_write(task, self.rules);
        }
    }

    fn execute(&self, state: &mut State, command: Command, client: Option<usize>) -> u8 {
        let answer = state.execute(command, client, self.rules);
        if matches!(command.verb, Verb::Fill | Verb::SetAtOnce) {
            state.check_fill(command, answer == STORED, self.rules);
        }
        answer
    }

    /// Pushes take effect in the reader, in wire order; replies wait for their task.
    fn take(&self, state: &mut State, process: usize) {
        match state.processes[process].inbox.pop() {
            None | Some(Signal::Blank) => {}
            Some(Signal::Reply { command, answer }) => {
                let task = &mut state.tasks[usize::from(command.task)];
                if !task.awaits(command) {
                    return;
                }
                match command.verb {
                    Verb::ReadTag | Verb::BumpTag => task.stamp = answer,
                    Verb::ReadClock if task.at == At::Leasing => task.clock = answer,
                    Verb::ReadClock => task.clock_after = answer,
                    Verb::BumpClock => {}
                    _ => task.answer = answer,
                }
                task.waits -= 1;
                if task.waits == 0 {
                    task.mail = Mail::Reply;
                }
            }
            Some(Signal::Push(keys)) => self.heard(state, process, keys),
            Some(Signal::Null) if self.rules.breaks(Mutant::NullIgnored) => {}
            Some(Signal::Null) => {
                let fails = !self.rules.breaks(Mutant::NullFailsNothing);
                state.gap(process, fails, self.rules);
            }
            Some(Signal::End) => {
                state.processes[process].is_cut = false;
                state.gap(process, true, self.rules);
            }
        }
    }

    fn heard(&self, state: &mut State, process: usize, keys: u8) {
        let hears = |key: Key, without| keys & key.bit() != 0 && !self.rules.breaks(without);
        if hears(Key::Value, Mutant::ValuePushIgnored)
            || hears(Key::Lease, Mutant::LeasePushIgnored)
        {
            state.void(process, self.rules);
        }
        if hears(Key::Tag, Mutant::TagPushIgnored) {
            state.forget_tag(process);
            state.widen(process, self.rules);
        }
        if hears(Key::Clock, Mutant::ClockPushIgnored) {
            state.widen(process, self.rules);
        }
    }
}

fn is_reader(call: Call) -> bool {
    matches!(call, Call::Read | Call::Refresh | Call::GiveBack)
}
