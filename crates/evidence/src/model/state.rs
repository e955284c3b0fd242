//! What there is at one moment: Redis, the processes, the tasks, and what was promised.
//!
//! Only equality counts in the protocol, so nothing here grows without need: a
//! generation is not a number but the question whether a ticket is alive, a value
//! is known by the token under which it was stored.

use std::hash::{Hash, Hasher};

use super::{fifo::Fifo, promise::Breach, redis::Redis};

/// More than any scenario has.
pub(crate) const MAX_PROCESSES: usize = 3;
/// The calls of a scenario, and what they leave to do: recoveries, leases to give back.
pub(crate) const MAX_TASKS: usize = 10;

/// A token of a lease, and of the value stored under it.
pub(crate) type Token = u8;
/// No token, no value.
pub(crate) const NONE: Token = 0;
/// The value that a scenario starts with.
pub(crate) const FIRST: Token = 1;
/// Tokens of one task, one per attempt.
const TOKENS_PER_TASK: u8 = 8;

/// An epoch of the tag or of the tag clock. 0 is "unknown" or "absent".
pub(crate) type Epoch = u8;

/// A set of values, a bit each.
///
/// A value is twice the version of the source that it shows, plus one if it was
/// given to `set`: then it may overtake a write that runs beside it.
pub(crate) type Values = u16;

/// A value, as a number.
pub(crate) type Value = u8;

/// What a process sends to Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    #[default]
    Get,
    Lease,
    Force,
    Fill,
    Release,
    /// `DEL v l`, and what a prefix removal does second.
    Remove,
    /// What a prefix removal does first.
    RemoveLease,
    ReadTag,
    ReadClock,
    BumpTag,
    BumpClock,
    /// Values without their leases: only a mutant sends it.
    RemoveValue,
    /// A set in one script: only a mutant sends it.
    SetAtOnce,
}

/// A command on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Command {
    pub(crate) verb: Verb,
    pub(crate) task: u8,
    /// Which question of the task this belongs to: a late answer fits no other.
    pub(crate) question: u8,
    pub(crate) token: Token,
    /// LEASE: the token that is not wanted. FILL: the token that a set saw.
    pub(crate) other: Token,
}

/// What arrives at a process, in wire order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    #[default]
    Blank,
    Reply {
        command: Command,
        answer: u8,
    },
    /// A bit per key.
    Push(u8),
    /// Everything was flushed.
    Null,
    /// The link is gone.
    End,
}

/// One process: its link, its L1 slot, its gate and tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) outbox: Fifo<Command, 10>,
    pub(crate) inbox: Fifo<Signal, 14>,
    /// Bytes of a dead connection: Redis may still meet them, at any time.
    pub(crate) late: Fifo<Command, 16>,
    /// The link is dead and the process has not read its end yet.
    pub(crate) is_cut: bool,
    /// L1: the token of the entry.
    pub(crate) entry: Token,
    /// The entry was let in before the last cache-wide change: its tag must be looked at.
    pub(crate) is_entry_dated: bool,
    /// A copy for stale-if-error that outlived a void: only a mutant keeps one.
    pub(crate) shelf: Token,
    /// Writers that keep the stripe closed.
    pub(crate) closed: u8,
    /// Removals by prefix under way.
    pub(crate) prefixes: u8,
    pub(crate) table: Epoch,
    pub(crate) table_closed: u8,
    /// The number of the listing, 0 if not listed.
    pub(crate) pending_key: u8,
    pub(crate) pending_tag: u8,
    pub(crate) listings: u8,
    /// What a read that begins here now must not answer: writes of this process returned (G1, G4).
    pub(crate) barred: Values,
    /// The same for writes of anybody, each told Ok before an empty inbox here (G5).
    pub(crate) settled: Values,
}

impl Process {
    pub(crate) fn is_pending(&self) -> bool {
        self.pending_key != 0 || self.pending_tag != 0
    }

    /// A number for a new listing.
    pub(crate) fn next_listing(&mut self) -> u8 {
        self.listings += 1;
        self.listings
    }
}

/// What a task is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Call {
    /// `get_or_load`.
    #[default]
    Read,
    /// `refresh`.
    Refresh,
    /// `set`.
    Set,
    /// `remove`.
    Remove,
    /// `remove_tag`, or `clear` where the tag is the clear epoch.
    RemoveTag,
    /// `remove_prefix`.
    RemovePrefix,
    /// Recovery of a pending key.
    SettleKey,
    /// Recovery of a pending tag.
    SettleTag,
    /// A lease whose answer was lost goes back.
    GiveBack,
}

/// Where a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum At {
    #[default]
    Start,
    Asked,
    Checking,
    Leasing,
    Held,
    Loading,
    Loaded,
    BareLoading,
    BareLoaded,
    Stamping,
    Filling,
    Releasing,
    /// Woken who waited, and RELEASE not yet sent: only a mutant comes here.
    Leaving,
    Joined,
    Forcing,
    SetFilling,
    Removing,
    Bumping,
    FirstScan,
    SecondScan,
    PrefixBump,
    /// Opened, not yet listed: only a mutant comes here.
    Unlisted,
    Done,
}

/// What the reader left for a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Mail {
    #[default]
    Nothing,
    Reply,
    Lost,
}

/// A call, from its start to its answer, and the walk behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Task {
    pub(crate) call: Call,
    pub(crate) process: u8,
    pub(crate) at: At,
    pub(crate) mail: Mail,
    /// Replies still to come before the task goes on.
    pub(crate) waits: u8,
    pub(crate) question: u8,
    /// The last reply that is not an epoch.
    pub(crate) answer: u8,
    /// The ticket (or the guard's) is alive.
    pub(crate) ticket: bool,
    /// Later callers may join the flight.
    pub(crate) is_joinable: bool,
    /// The ticket of the tag's place in the table is alive.
    pub(crate) tag_ticket: bool,
    /// The caller went away: nothing is promised to him.
    pub(crate) is_abandoned: bool,
    /// The mutant that waits for a signal got one.
    pub(crate) is_signalled: bool,
    /// The token may be in L2 or L1.
    pub(crate) is_stored: bool,
    pub(crate) token: Token,
    pub(crate) attempt: u8,
    /// LEASE must not return this; what a set saw; the value in hand.
    pub(crate) refused: Token,
    pub(crate) found: Token,
    pub(crate) value: Value,
    pub(crate) stamp: Epoch,
    pub(crate) clock: Epoch,
    pub(crate) clock_after: Epoch,
    pub(crate) listing: u8,
    pub(crate) leader: u8,
    /// A read must not answer these (G1, G4), nor these (G5); a write bars `barred` when it returns.
    pub(crate) barred: Values,
    pub(crate) settled: Values,
}

impl Task {
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.at, At::Start | At::Done)
    }

    pub(crate) fn awaits(&self, command: Command) -> bool {
        self.waits > 0 && self.question == command.question
    }

    /// A token that nobody else has.
    pub(crate) fn draw(&mut self, index: usize) -> Token {
        let task = u8::try_from(index).expect("a few tasks");
        self.token = 2 + task * TOKENS_PER_TASK + self.attempt;
        self.attempt += 1;
        assert!(self.attempt < TOKENS_PER_TASK, "a task draws a few tokens");
        self.token
    }
}

/// Everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) redis: Redis,
    pub(crate) processes: [Process; MAX_PROCESSES],
    pub(crate) process_count: u8,
    pub(crate) tasks: [Task; MAX_TASKS],
    pub(crate) task_count: u8,
    /// Version of the source.
    pub(crate) source: u8,
    /// Barred by writes that were told Ok, anywhere.
    pub(crate) overwritten: Values,
    /// A bit per fault of the scenario that may still happen.
    pub(crate) faults_left: u8,
    pub(crate) breach: Option<Breach>,
}

impl Hash for State {
    /// Leaves out the places that no scenario of this size uses: they are blank.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.redis.hash(hasher);
        self.processes[..usize::from(self.process_count)].hash(hasher);
        self.tasks[..usize::from(self.task_count)].hash(hasher);
        self.source.hash(hasher);
        self.overwritten.hash(hasher);
        self.faults_left.hash(hasher);
        self.breach.hash(hasher);
    }
}

impl State {
    pub(crate) fn process_of(&mut self, task: usize) -> &mut Process {
        &mut self.processes[usize::from(self.tasks[task].process)]
    }

    pub(crate) fn tasks_of(&mut self, process: usize) -> impl Iterator<Item = &mut Task> {
        let count = usize::from(self.task_count);
        self.tasks[..count]
            .iter_mut()
            .filter(move |task| usize::from(task.process) == process)
    }

    /// The value stored under a token, and the tag's epoch that it carries.
    pub(crate) fn stored(&self, token: Token) -> (Value, Epoch) {
        if token == FIRST {
            return (0, 1);
        }
        let writer = &self.tasks[usize::from((token - 2) / TOKENS_PER_TASK)];
        (writer.value, writer.stamp)
    }

    /// A task that nobody called: a recovery, a lease to give back.
    pub(crate) fn spawn(&mut self, call: Call, process: u8) -> usize {
        let index = usize::from(self.task_count);
        assert!(
            index < MAX_TASKS,
            "a scenario needs more tasks than the model has"
        );
        self.tasks[index] = Task {
            call,
            process,
            ..Task::default()
        };
        self.task_count += 1;
        index
    }

    /// Puts a command on the link of the task's process. Several make one question.
    pub(crate) fn send(&mut self, task: usize, verb: Verb, tokens: (Token, Token)) {
        let asker = &mut self.tasks[task];
        if asker.waits == 0 {
            asker.question = asker.question.wrapping_add(1);
            asker.mail = Mail::Nothing;
        }
        asker.waits += 1;
        let command = Command {
            verb,
            task: u8::try_from(task).expect("a few tasks"),
            question: asker.question,
            token: tokens.0,
            other: tokens.1,
        };
        let process = self.process_of(task);
        if process.is_cut {
            process.late.push(command);
        } else {
            process.outbox.push(command);
        }
    }

    /// The task is over. What no later step asks for is forgotten, so that states
    /// that differ in nothing else are one.
    pub(crate) fn finish(&mut self, task: usize) {
        let over = self.tasks[task];
        let kept = if over.is_stored {
            (over.value, over.stamp)
        } else {
            (0, 0)
        };
        self.tasks[task] = Task {
            call: over.call,
            process: over.process,
            at: At::Done,
            is_stored: over.is_stored,
            value: kept.0,
            stamp: kept.1,
            ..Task::default()
        };
    }
}
