//! Each mutant with its rule and the smallest scenario that we know to catch it.
//!
//! A rule is named as in the protocol: C1 to C23, an idea of the design, a question
//! in brackets. `(listing)`, `(OPEN)` and `(release)` are three that the protocol did
//! not have: a write settles only what was listed before it began; the end of a write
//! lets nothing in while a removal by prefix is under way; a RELEASE wakes even if its
//! reply is not waited for.

use super::{
    fault::Fault::{
        self, Abandon, Collide, Cut, FailLoad, Failover, Flush, LoseLease, LoseTag, LoseValue,
        TimeOut,
    },
    mutant::{
        Mutant, Mutant as M,
        Tags::{self, After, Before},
    },
    scenario::{
        Scenario,
        Start::{self, Empty, Filled, Warm},
    },
    state::Call::{self, Read, Refresh, Remove, RemovePrefix, RemoveTag, Set},
};

/// A mutant on trial.
#[derive(Clone, Copy)]
pub(crate) struct Trial {
    pub(crate) mutant: Mutant,
    /// The rule of the protocol that it breaks.
    pub(crate) rule: &'static str,
    calls: Calls,
    tags: Tags,
    start: Start,
    faults: &'static [Fault],
    order: &'static [(usize, usize)],
}

type Calls = &'static [(u8, Call)];

const fn trial(
    mutant: Mutant,
    rule: &'static str,
    calls: Calls,
    (start, faults): (Start, &'static [Fault]),
) -> Trial {
    Trial {
        mutant,
        rule,
        calls,
        tags: Tags::None,
        start,
        faults,
        order: &[],
    }
}

impl Trial {
    const fn tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    const fn in_order(mut self, order: &'static [(usize, usize)]) -> Self {
        self.order = order;
        self
    }

    pub(crate) fn scenario(&self) -> Scenario {
        Scenario {
            calls: self.calls.to_vec(),
            tags: self.tags,
            start: self.start,
            faults: self.faults.to_vec(),
            order: self.order,
        }
    }
}

const A: u8 = 0;
const B: u8 = 1;

const READ: Calls = &[(A, Read)];
const REFRESH: Calls = &[(A, Refresh)];
const REMOVE: Calls = &[(A, Remove)];
const READ_OWN_SET: Calls = &[(A, Read), (A, Set)];
const READ_OWN_REMOVE: Calls = &[(A, Read), (A, Remove)];
const READ_THEIR_REMOVE: Calls = &[(A, Read), (B, Remove)];
const READS_THEIR_REMOVE: Calls = &[(A, Read), (A, Read), (B, Remove)];
const READS_OWN_REMOVE: Calls = &[(A, Read), (A, Read), (A, Remove)];
const TWO_READS: Calls = &[(A, Read), (A, Read)];
const READ_EACH: Calls = &[(A, Read), (B, Read)];
const READS_OWN_SET: Calls = &[(A, Read), (A, Read), (A, Set)];
const READ_THEIR_TAG: Calls = &[(A, Read), (B, RemoveTag)];
const READS_THEIR_TAG: Calls = &[(A, Read), (A, Read), (B, RemoveTag)];
const READS_OWN_TAG: Calls = &[(A, Read), (A, Read), (A, RemoveTag)];
const READ_OWN_PREFIX: Calls = &[(A, Read), (A, RemovePrefix)];
const SET_REMOVE_READ: Calls = &[(A, Set), (B, Remove), (B, Read)];
const SETS_AND_READ: Calls = &[(A, Set), (A, Read), (B, Set)];
const PREFIX_AND_READS: Calls = &[(A, RemovePrefix), (A, Read), (B, Read)];
const REMOVE_TWICE: Calls = &[(A, Remove), (B, Read), (A, Remove), (A, Read)];
const TAG_REMOVED_BY_BOTH: Calls = &[(A, RemoveTag), (B, Read), (A, Read), (B, RemoveTag)];
const TAG_REMOVED_TWICE: Calls = &[(A, RemoveTag), (B, Read), (B, RemoveTag), (B, Read)];

/// All that the search must catch.
pub(crate) const TRIALS: &[&[Trial]] = &[WRITES, PUSHES, FLIGHTS, TAGS, GATES];

const WRITES: &[Trial] = &[
    trial(
        M::RefusedSetKeepsOld,
        "C1",
        SETS_AND_READ,
        (Filled, &[LoseLease]),
    ),
    trial(M::SetInOneTrip, "C2", SET_REMOVE_READ, (Empty, &[Cut])).in_order(&[(0, 1), (1, 2)]),
    trial(M::SetInOneCommand, "C2", SET_REMOVE_READ, (Empty, &[Cut])).in_order(&[(0, 1), (1, 2)]),
    trial(
        M::SetOnCallersTask,
        "C3",
        READ_OWN_SET,
        (Filled, &[Abandon]),
    ),
    trial(
        M::RemoveOnCallersTask,
        "C3",
        READ_OWN_REMOVE,
        (Filled, &[Abandon]),
    ),
    trial(
        M::FillKeepsWhatItReplaces,
        "C3",
        REFRESH,
        (Warm, &[TimeOut]),
    ),
    trial(M::OpenDoesNotVoid, "C4", READ_OWN_SET, (Filled, &[])),
    trial(
        M::OpenVoidsOnlyIfItInserts,
        "C4",
        READ_OWN_SET,
        (Filled, &[Collide]),
    ),
    trial(
        M::PendingReadsStore,
        "C10",
        READ_OWN_REMOVE,
        (Filled, &[Cut]),
    ),
    trial(
        M::OpensBeforeItLists,
        "C10",
        READS_OWN_REMOVE,
        (Filled, &[Cut]),
    ),
    trial(
        M::SettlesForeignListing,
        "(listing)",
        REMOVE_TWICE,
        (Empty, &[Cut]),
    )
    .in_order(&[(1, 2), (2, 3)]),
    trial(M::FillWithoutToken, "(o)", READ_THEIR_REMOVE, (Empty, &[])),
    trial(M::RemoveLeavesLease, "(a)", READ_THEIR_REMOVE, (Empty, &[])),
];

const PUSHES: &[Trial] = &[
    trial(
        M::LeaseForgetsToWatch,
        "C5",
        READS_THEIR_REMOVE,
        (Empty, &[]),
    ),
    trial(M::LeasePushIgnored, "C5", READS_THEIR_REMOVE, (Empty, &[])),
    trial(
        M::ValuePushIgnored,
        "idea 5",
        READ_THEIR_REMOVE,
        (Filled, &[]),
    ),
    trial(M::FillForgetsToWatch, "C6", READ_THEIR_REMOVE, (Empty, &[])),
    trial(M::NullIgnored, "C7", READ, (Filled, &[Flush])),
    trial(
        M::TicketWithoutEpoch,
        "C7",
        READ_THEIR_REMOVE,
        (Filled, &[Cut]),
    ),
    trial(M::GapKeepsEntries, "C7", READ_THEIR_REMOVE, (Warm, &[Cut])),
    trial(
        M::GapKeepsFlights,
        "C7",
        READS_THEIR_REMOVE,
        (Empty, &[Cut]),
    ),
    trial(
        M::TwoCachesOnOneLink,
        "C12",
        READ_THEIR_REMOVE,
        (Filled, &[]),
    ),
    trial(
        M::HeartbeatIsPing,
        "C13",
        READ_THEIR_REMOVE,
        (Filled, &[Failover]),
    ),
    trial(M::StoreLosesInSilence, "C20", READ, (Filled, &[LoseValue])),
    trial(
        M::EpochForgetsToWatch,
        "C6",
        TAG_REMOVED_BY_BOTH,
        (Empty, &[]),
    )
    .tags(Before)
    .in_order(&[(0, 1), (1, 2)]),
    trial(M::GapKeepsTable, "C7", READ_THEIR_TAG, (Warm, &[Cut])).tags(Before),
];

const FLIGHTS: &[Trial] = &[
    trial(M::NoTicket, "idea 1", READ_THEIR_REMOVE, (Filled, &[])),
    trial(M::DeadFlightRenewed, "C15", READS_OWN_SET, (Empty, &[])),
    trial(M::WaitsForNextSignal, "C16", READ_EACH, (Empty, &[])),
    trial(M::NothingIsRefused, "C17", REFRESH, (Filled, &[])),
    trial(
        M::StaleCopyOutlivesVoid,
        "C21",
        READ_OWN_REMOVE,
        (Warm, &[FailLoad]),
    ),
    trial(
        M::RefusedFillPublished,
        "C22",
        READ_THEIR_REMOVE,
        (Empty, &[]),
    ),
    trial(M::BareLoadPublished, "C22", READ, (Filled, &[TimeOut])),
    trial(
        M::BareLoadsSettle,
        "C22",
        READS_THEIR_REMOVE,
        (Empty, &[TimeOut]),
    ),
    trial(
        M::ReleaseWakesNobody,
        "C23",
        TWO_READS,
        (Empty, &[Collide, FailLoad]),
    ),
    trial(
        M::ReleaseWakesOnlyOnReply,
        "(release)",
        TWO_READS,
        (Empty, &[Collide, FailLoad, TimeOut]),
    ),
    trial(
        M::ReleaseWakesWhenSent,
        "C23",
        TWO_READS,
        (Empty, &[Collide, FailLoad]),
    ),
];

const TAGS: &[Trial] = &[
    trial(M::TagPushIgnored, "idea 7", READ_THEIR_TAG, (Warm, &[])).tags(Before),
    trial(M::HitIgnoresTable, "HIT", READ_THEIR_TAG, (Warm, &[])).tags(Before),
    trial(M::ClockNotCompared, "C8", READ_THEIR_TAG, (Empty, &[])).tags(After),
    trial(M::TagBeforeClock, "C8", READ_THEIR_TAG, (Empty, &[])).tags(After),
    trial(
        M::EpochCapturedAfterLoad,
        "C8",
        READ_THEIR_TAG,
        (Empty, &[]),
    )
    .tags(Before),
    trial(M::ClockPushIgnored, "C8", READS_THEIR_TAG, (Empty, &[])).tags(After),
    trial(M::TableWithoutGate, "C9", REFRESH, (Warm, &[LoseTag])).tags(Before),
    trial(
        M::SameEpochTwice,
        "C11",
        TAG_REMOVED_TWICE,
        (Empty, &[TimeOut]),
    )
    .tags(Before)
    .in_order(&[(1, 2), (2, 3)]),
    trial(
        M::RemoveTagKeepsFlights,
        "idea 2",
        READS_OWN_TAG,
        (Empty, &[]),
    )
    .tags(Before),
];

const GATES: &[Trial] = &[
    trial(M::NoClosedGate, "C14", REMOVE, (Warm, &[])),
    trial(M::PublishWhileClosed, "C14", READ_OWN_SET, (Filled, &[])),
    trial(M::ValuesBeforeLeases, "C18", PREFIX_AND_READS, (Empty, &[])),
    trial(M::NoVoidAfterPrefix, "C18", READ_OWN_PREFIX, (Filled, &[])),
    trial(M::PrefixNotListed, "C14", READ_OWN_PREFIX, (Filled, &[])),
    trial(
        M::OpenIgnoresPrefixes,
        "(OPEN)",
        READ_OWN_PREFIX,
        (Empty, &[]),
    ),
];

const REFRESH_AND_READ: Calls = &[(A, Refresh), (A, Read), (B, Remove)];
const READ_SET_REMOVE: Calls = &[(A, Read), (A, Set), (B, Remove)];
const SET_BETWEEN_READS: Calls = &[(A, Read), (B, Set), (A, Read)];

/// Changes that break nothing here, and why they are not mutants.
pub(crate) const HARMLESS: &[(Trial, &str)] = &[
    (
        trial(
            M::ReleaseVoids,
            "ADR 0006",
            REFRESH_AND_READ,
            (Warm, &[FailLoad]),
        ),
        "the protocol's first wording; costs the stale value",
    ),
    (
        trial(
            M::ReleaseTakesAnyLease,
            "RELEASE",
            SET_BETWEEN_READS,
            (Filled, &[TimeOut]),
        ),
        "costs somebody's load: fills are fenced by the token",
    ),
    (
        trial(
            M::RemoveTagWidensOnce,
            "REMOVE_TAG",
            READS_OWN_TAG,
            (Filled, &[]),
        )
        .tags(After),
        "one link is first in, first out; two links are not",
    ),
    (
        trial(
            M::NullFailsNothing,
            "GAP",
            READ_SET_REMOVE,
            (Filled, &[Flush]),
        ),
        "costs nothing to wait for the replies: the link is still there",
    ),
];

/// Rules that a model of this size cannot express, and what should catch their absence.
pub const NOT_MODELLED: &[(&str, &str)] = &[
    (
        "C12, the guard itself",
        "that a second build of one name gets the same core: unit test; the model shows only what two would do",
    ),
    (
        "C13, the heartbeat's fields",
        "role, id and tracking flags: unit tests of the parser, a real failover in an integration test",
    ),
    (
        "C14, arithmetic of the proof",
        "send time, max_staleness, suspend: unit tests with a manual clock; in the model an empty inbox is a proof",
    ),
    (
        "C17 under load",
        "that a refused value is replaced in the end: integration test with a dead tag and many readers",
    ),
    (
        "C19, cold epoch keys",
        "costs hits, breaks nothing (losing them is a fault here): integration test under allkeys-lru",
    ),
    (
        "C20, SWAPDB",
        "unsupported, and printed so; the mutant shows only why",
    ),
    (
        "lock-free compare of `wide`",
        "the order of two atomics: loom",
    ),
    (
        "REMOVE: L1 before an await before DEL",
        "voiding and queueing is one step here: a mutant of the code with an await between them",
    ),
    (
        "LOOK AGAIN, unproven entries, Coherence::Required",
        "an entry of an old link is dropped here: integration tests with an outage",
    ),
    (
        "lease hold longer than the load's deadline",
        "needs time: unit test of the options",
    ),
    (
        "slots, MOVED, rescan, two links",
        "one primary here: integration test with a live migration",
    ),
    (
        "more than one key, SCAN cursors, bulk reads",
        "a collision is an event here, a scan one DEL: integration tests",
    ),
    (
        "overflow of the pending list",
        "one key and one tag here: unit test of the list",
    ),
];
