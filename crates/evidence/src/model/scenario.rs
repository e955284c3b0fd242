//! What is searched: a few calls on a few processes, a start, and what may go wrong.

use std::fmt;

use super::{
    fault::Fault,
    mutant::Tags,
    redis::Key,
    state::{At, Call, FIRST, State},
};

/// What there is before the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Empty,
    /// L2 holds a value.
    Filled,
    /// And every L1 holds it, too.
    Warm,
}

/// Calls that may begin in any order, at any time.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) calls: Vec<(u8, Call)>,
    pub(crate) tags: Tags,
    pub(crate) start: Start,
    pub(crate) faults: Vec<Fault>,
    /// Pairs of calls: the second begins only when the first is over. Without it a
    /// few calls more than three are too many.
    pub(crate) order: &'static [(usize, usize)],
}

impl Scenario {
    pub(crate) fn may_begin(&self, state: &State, call: usize) -> bool {
        let mut before = self.order.iter().filter(|&&(_, later)| later == call);
        before.all(|&(first, _)| state.tasks[first].at == At::Done)
    }

    pub(crate) fn start(&self) -> State {
        let mut state = State::default();
        for &(process, call) in &self.calls {
            state.spawn(call, process);
            state.process_count = state.process_count.max(process + 1);
        }
        state.redis.tag = 1;
        state.redis.clock = 1;
        state.redis.last_epoch = 1;
        state.faults_left = (0..self.faults.len()).fold(0, |bits, number| bits | 1 << number);
        if self.start != Start::Empty {
            state.redis.value = FIRST;
        }
        if self.start == Start::Warm {
            for process in 0..usize::from(state.process_count) {
                state.redis.watch(Key::Value, Some(process));
                state.processes[process].entry = FIRST;
                if self.tags != Tags::None {
                    state.redis.watch(Key::Tag, Some(process));
                    state.processes[process].table = 1;
                }
            }
        }
        state
    }
}

fn word(call: Call) -> &'static str {
    match call {
        Call::Read => "read",
        Call::Refresh => "refresh",
        Call::Set => "set",
        Call::Remove => "remove",
        Call::RemoveTag => "remove_tag",
        Call::RemovePrefix => "remove_prefix",
        Call::SettleKey | Call::SettleTag | Call::GiveBack => "(recovery)",
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &(process, call)) in self.calls.iter().enumerate() {
            let waits = self.order.iter().any(|&(_, later)| later == index);
            let gap = match (index, waits) {
                (0, _) => "",
                (_, true) => " > ",
                _ => " ",
            };
            let name = char::from(b'A' + process);
            write!(f, "{gap}{name}.{}", word(call))?;
        }
        write!(f, ", {:?}", self.start)?;
        if self.tags != Tags::None {
            write!(f, ", {}", self.tags.name())?;
        }
        for fault in &self.faults {
            write!(f, ", {fault:?}")?;
        }
        Ok(())
    }
}
