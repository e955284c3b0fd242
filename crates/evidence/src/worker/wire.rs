//! What a worker is told and what it tells: one JSON object a line.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::history::AnsweredBy;

/// A key of the field: small numbers, so that millions of events stay small.
pub(crate) type Key = u32;

/// Keys stand in groups by their number: prefixes and tags cut them differently.
pub(crate) const PREFIXES: u32 = 4;
pub(crate) const TAGS: u32 = 3;

/// How the caches call the key. Prefixes contain one another's names nowhere.
pub(crate) fn name_of(key: Key) -> String {
    format!("{}{key}", prefix_of(key))
}

pub(crate) fn prefix_of(key: Key) -> String {
    format!("p{}:", key % PREFIXES)
}

/// The tag of a key, if it has one. Half of them have none: a removed tag keeps what
/// has tags from being stored at all, and would hide whether leases are taken.
pub(crate) fn tag_of(key: Key) -> Option<String> {
    let block = key / (PREFIXES * TAGS);
    block.is_multiple_of(2).then(|| tag_near(key))
}

/// The tag of the key, or of its neighbours that have one.
pub(crate) fn tag_near(key: Key) -> String {
    format!("t{}", key / PREFIXES % TAGS)
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) action: Action,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Read(Key, Reading),
    /// The version that the source has, or reaches with it.
    Set(Key, Change),
    Remove(Key),
    RemoveTag(String),
    RemovePrefix(String),
    RemoveMatching(String),
    Clear,
    /// So many callers of a key at once, none of which goes away.
    Callers {
        key: Key,
        count: u32,
    },
    /// Answers when the local tier has nothing for the key any more.
    AwaitVoid {
        key: Key,
        limit_millis: u64,
    },
    Stats,
    Start(Workload),
    /// Ends the workload; answers when the last call has returned.
    Rest,
    /// For the subject of a convergence run: reads these keys in a loop, without a
    /// pause, until [`Rest`](Self::Rest).
    Spin(Vec<Key>),
    /// So many writes with a pause between two; answers the last version.
    Write {
        key: Key,
        from: u64,
        count: u64,
        pause_micros: u64,
    },
    /// What a reader sees now.
    Last(Key),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reading {
    Peek,
    Get,
    Load,
    /// `Coherence::Required`.
    LoadRequired,
    Refresh,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// The source moves on first, under its lock.
    Next,
    /// This version, whatever the source has.
    To(u64),
}

/// A random mix of calls, the same for the same seed and order of answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Workload {
    pub(crate) seed: u64,
    pub(crate) keys: u32,
    pub(crate) tasks: u32,
    /// The longest pause of a task between two calls.
    pub(crate) pause_micros: u64,
    /// Calls that change something, of 10,000.
    pub(crate) changes: u32,
    /// Of these, removals of groups, of 100.
    pub(crate) groups: u32,
    /// Readers that ask for `Coherence::Required`, of 100.
    pub(crate) required: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Message {
    /// 0: nobody asked.
    pub(crate) id: u64,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Read(ReadEvent),
    Done {
        began: Duration,
        ended: Duration,
    },
    /// A call returned an error, or the request could not be carried out.
    Failed {
        why: String,
        began: Duration,
        ended: Duration,
    },
    Called {
        answered: u32,
        failed: u32,
    },
    Stats(BTreeMap<String, u64>),
    Last(Option<u64>),
    Events(Vec<Event>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    #[serde(rename = "r")]
    Read(ReadEvent),
    #[serde(rename = "v")]
    Void(VoidEvent),
    /// A value that nobody wrote, or of another key.
    #[serde(rename = "i")]
    Invalid(String),
    /// A read that failed although its source answers.
    #[serde(rename = "f")]
    ReadFailed(String),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct ReadEvent {
    #[serde(rename = "k")]
    pub(crate) key: Key,
    #[serde(rename = "v")]
    pub(crate) version: Option<u64>,
    pub(crate) by: By,
    #[serde(rename = "p")]
    pub(crate) proven: bool,
    #[serde(rename = "a")]
    pub(crate) alone: bool,
    #[serde(rename = "b")]
    pub(crate) began: Duration,
    #[serde(rename = "e")]
    pub(crate) ended: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VoidEvent {
    #[serde(rename = "f")]
    pub(crate) floors: Vec<(Key, u64)>,
    pub(crate) ok: bool,
    #[serde(rename = "b")]
    pub(crate) began: Duration,
    #[serde(rename = "e")]
    pub(crate) ended: Duration,
    pub(crate) call: Call,
}

/// What made a void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Set,
    Remove,
    RemoveTag,
    RemovePrefix,
    RemoveMatching,
    Clear,
    /// A removal that failed and was carried out later.
    Recovery,
    /// FLUSHALL, a killed Redis, DEL by somebody else.
    Outside,
}

impl Call {
    /// Whether the values are gone from Redis afterwards, rather than disowned there.
    pub(crate) fn deletes(self) -> bool {
        !matches!(self, Self::RemoveTag | Self::Clear)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum By {
    #[serde(rename = "l")]
    Local,
    #[serde(rename = "s")]
    Store,
    #[serde(rename = "o")]
    Loader,
}

impl From<By> for AnsweredBy {
    fn from(by: By) -> Self {
        match by {
            By::Local => Self::Local,
            By::Store => Self::Store,
            By::Loader => Self::Loader,
        }
    }
}
