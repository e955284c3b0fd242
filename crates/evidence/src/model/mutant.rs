//! Rules of the protocol, each of which can be switched off to see what it is for.

/// What a value's tag is, and when its name is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Tags {
    /// Values have none.
    #[default]
    None,
    /// Known before the load: the clear epoch, which every value has.
    Before,
    /// The loader decides: hence the tag clock.
    After,
}

impl Tags {
    /// How reports call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no tags",
            Self::Before => "clear epoch",
            Self::After => "tag",
        }
    }
}

/// The rules in force.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) tags: Tags,
    pub(crate) mutant: Option<Mutant>,
}

impl Rules {
    pub(crate) fn breaks(self, mutant: Mutant) -> bool {
        let Some(broken) = self.mutant else {
            return false;
        };
        broken == mutant || broken.beside() == Some(mutant)
    }
}

impl Mutant {
    /// A second rule that has to be off for the first to be missed: it covers for it.
    pub(crate) fn beside(self) -> Option<Self> {
        match self {
            // The push for the lost lease would have ended the ticket.
            Self::RefusedFillPublished => Some(Self::LeaseForgetsToWatch),
            _ => None,
        }
    }
}

/// One rule, switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// A refused set is told Ok, and what it saw stays.
    RefusedSetKeepsOld,
    /// Force and fill leave together.
    SetInOneTrip,
    /// Force and fill are one script.
    SetInOneCommand,
    /// A set dies with its caller.
    SetOnCallersTask,
    /// A removal dies with its caller.
    RemoveOnCallersTask,
    /// The end of a write does not end the generation.
    OpenDoesNotVoid,
    /// It does so only if it inserts.
    OpenVoidsOnlyIfItInserts,
    /// LEASE does not end with a read of the lease.
    LeaseForgetsToWatch,
    /// A push for a lease is not heard.
    LeasePushIgnored,
    /// A push for a value is not heard.
    ValuePushIgnored,
    /// A push for an epoch is not heard.
    TagPushIgnored,
    /// A push for the clock is not heard.
    ClockPushIgnored,
    /// Scripts that write an epoch do not end with a read of it.
    EpochForgetsToWatch,
    /// FILL does not end with a read of the value.
    FillForgetsToWatch,
    /// A ticket does not know its link.
    TicketWithoutEpoch,
    /// Flights can be joined across a gap.
    GapKeepsFlights,
    /// A null push is not heard.
    NullIgnored,
    /// The clock is not read a second time.
    ClockNotCompared,
    /// `remove_tag` writes the clock second.
    TagBeforeClock,
    /// The clear epoch is read after the load.
    EpochCapturedAfterLoad,
    /// Epochs enter the table whatever happened meanwhile.
    TableWithoutGate,
    /// L2 is read although a write is pending.
    PendingReadsStore,
    /// The gate opens, and then the list grows.
    OpensBeforeItLists,
    /// A write that succeeds strikes what was listed after it began.
    SettlesForeignListing,
    /// Recovery sends the epoch of the attempt that failed.
    SameEpochTwice,
    /// Two caches of one name share a link.
    TwoCachesOnOneLink,
    /// The heartbeat is a PING: a demoted primary answers it.
    HeartbeatIsPing,
    /// The gate does not close.
    NoClosedGate,
    /// It closes, and reads are let in.
    PublishWhileClosed,
    /// A fill of unknown outcome leaves in L1 what it was to replace.
    FillKeepsWhatItReplaces,
    /// A dead ticket is renewed when the fill begins.
    DeadFlightRenewed,
    /// Who waits for a lease waits for a signal, not for the end of his ticket.
    WaitsForNextSignal,
    /// LEASE takes no token to refuse.
    NothingIsRefused,
    /// Values are removed by prefix, and then leases.
    ValuesBeforeLeases,
    /// L1 is not emptied when a removal by prefix ends.
    NoVoidAfterPrefix,
    /// A running removal by prefix lets reads in.
    PrefixNotListed,
    /// A removal by prefix under way lets finished writes in.
    OpenIgnoresPrefixes,
    /// Redis changes values and tells nobody.
    StoreLosesInSilence,
    /// A copy for stale-if-error outlives a void.
    StaleCopyOutlivesVoid,
    /// What a refused fill brought is let into L1.
    RefusedFillPublished,
    /// What a load without a lease brought counts as proven.
    BareLoadPublished,
    /// The reply to RELEASE wakes nobody.
    ReleaseWakesNobody,
    /// A RELEASE that times out wakes nobody.
    ReleaseWakesOnlyOnReply,
    /// RELEASE wakes when it is sent.
    ReleaseWakesWhenSent,
    /// RELEASE voids: the protocol's first wording. It breaks nothing.
    ReleaseVoids,
    /// A read is let in whatever happened since it began.
    NoTicket,
    /// FILL does not look at the lease.
    FillWithoutToken,
    /// `remove` leaves the lease.
    RemoveLeavesLease,
    /// `remove_tag` leaves flights that can be joined.
    RemoveTagKeepsFlights,
    /// A hit does not compare its tag when something changed.
    HitIgnoresTable,
    /// A gap leaves the table as it is.
    GapKeepsTable,
    /// A gap leaves L1 as it is.
    GapKeepsEntries,
    /// G5 is promised for loads without a lease as well.
    BareLoadsSettle,
    /// RELEASE gives back whatever lease is there.
    ReleaseTakesAnyLease,
    /// `remove_tag` ends the cache-wide generation at its start only.
    RemoveTagWidensOnce,
    /// A null push leaves what is in flight in flight.
    NullFailsNothing,
}
