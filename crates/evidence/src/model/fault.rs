//! What may go wrong, at any time, once for each mention in a scenario.

use super::{
    mutant::{Mutant, Rules},
    redis::Key,
    state::{At, Call, Mail, Signal, State},
};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// A link breaks: replies are lost, bytes that were sent may arrive at any later time.
    Cut,
    /// A primary is demoted and goes on answering.
    Failover,
    LoseLease,
    LoseValue,
    LoseTag,
    LoseClock,
    /// FLUSHALL.
    Flush,
    /// A caller goes away.
    Abandon,
    /// A task stops waiting for its reply.
    TimeOut,
    /// Another key of the same stripe is voided.
    Collide,
    /// A loader fails.
    FailLoad,
}

impl Fault {
    /// How many there are of what it may hit.
    pub(crate) fn targets(self, state: &State) -> usize {
        match self {
            Self::Cut | Self::Failover | Self::Collide => usize::from(state.process_count),
            Self::Abandon | Self::TimeOut | Self::FailLoad => usize::from(state.task_count),
            _ => 1,
        }
    }

    /// Whether it makes a difference now.
    pub(crate) fn hits(self, state: &State, target: usize) -> bool {
        let task = &state.tasks[target];
        match self {
            Self::Cut | Self::Failover => {
                let process = &state.processes[target];
                let is_in_use = !process.outbox.is_empty()
                    || !process.inbox.is_empty()
                    || state.redis.is_watched_by(target);
                is_in_use && !process.is_cut
            }
            Self::LoseLease => state.redis.lease != 0,
            Self::LoseValue => state.redis.value != 0,
            Self::LoseTag => state.redis.tag != 0,
            Self::LoseClock => state.redis.clock != 0,
            Self::Flush => true,
            Self::Abandon => task.is_running() && !task.is_abandoned && is_a_call(task.call),
            Self::TimeOut => task.waits > 0,
            Self::Collide => state.tasks.iter().any(|task| {
                usize::from(task.process) == target && (task.ticket || task.is_joinable)
            }),
            Self::FailLoad => matches!(task.at, At::Loading | At::BareLoading),
        }
    }

    pub(crate) fn happen(self, state: &mut State, target: usize, rules: Rules) {
        match self {
            Self::Cut => cut(state, target),
            Self::Failover => {
                state.redis.forget_watcher(target);
                if !rules.breaks(Mutant::HeartbeatIsPing) {
                    cut(state, target);
                }
            }
            Self::LoseLease => state.lose(Key::Lease, rules),
            Self::LoseValue => state.lose(Key::Value, rules),
            Self::LoseTag => state.lose(Key::Tag, rules),
            Self::LoseClock => state.lose(Key::Clock, rules),
            Self::Flush => flush(state),
            Self::Abandon => state.abandon(target, rules),
            Self::TimeOut => {
                state.tasks[target].waits = 0;
                state.tasks[target].mail = Mail::Lost;
            }
            Self::Collide => state.turn(target),
            Self::FailLoad => state.fail_load(target, rules),
        }
    }
}

fn is_a_call(call: Call) -> bool {
    !matches!(call, Call::SettleKey | Call::SettleTag | Call::GiveBack)
}

/// What was sent becomes late bytes. A lost reply is not told from a command that
/// Redis meets late, so what has arrived stays.
fn cut(state: &mut State, process: usize) {
    state.redis.forget_watcher(process);
    let process = &mut state.processes[process];
    process.is_cut = true;
    process.inbox.push(Signal::End);
    while let Some(command) = process.outbox.pop() {
        process.late.push(command);
    }
}

fn flush(state: &mut State) {
    state.redis.flush();
    let count = usize::from(state.process_count);
    for process in &mut state.processes[..count] {
        if !process.is_cut {
            process.inbox.push(Signal::Null);
        }
    }
}
