//! L2: a shared place for bytes. The trait, and the stores that ship.

#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    breaker::Breaker,
    envelope::Token,
    error::Error,
    key::Slot,
    pattern::Pattern,
    tag::{Epoch, Mark},
};

/// The future of a store call.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A shared place for bytes, with leases, that tells what others change in it.
///
/// A store is dumb: it keeps envelopes under slots for a time, and decides
/// one thing, whether a fill still holds the lease that it was given. Deadline,
/// breaker, encoding and statistics are the cache's. Each method is atomic with
/// respect to the others on one slot, and one round trip unless said otherwise.
///
/// Every call runs under the cache's deadline: the future is dropped when it
/// passes, and [`overdue`](Self::overdue) is called. A write whose future is
/// dropped may still happen, as long as its conditions hold when it does. A store
/// never sends a call twice by itself.
///
/// # What a listener is told
///
/// A cache [listens](Self::listen) to its store. It is told of every change of a
/// slot or a mark that it has read or written (except of its own), *before* any
/// later reply reaches it; of whatever may have swallowed such news it is told as a
/// [gap](Listener::gap). A store that cannot do this says so in its
/// [heartbeat](Self::heartbeat), and the cache asks again instead.
///
/// Errors: [`Error::unavailable`] if the store cannot be asked,
/// [`Error::rejected`] if it answered with a refusal of its own (read-only, out
/// of memory, no permission).
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What it is, for people: `"Redis"`.
    fn kind(&self) -> &'static str;

    /// What the caches of this store have found out about it: one for all clones.
    fn health(&self) -> &Arc<Health>;

    /// What is stored, at most the first `limit` bytes of it.
    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>>;

    /// The right to load and store: the stored value unless its token is
    /// refused, else a new lease unless somebody holds one.
    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease>;

    /// Takes the lease whoever holds it, leaves the value alone, and tells its token.
    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>>;

    /// Stores if the lease is still the fill's, and gives the lease back.
    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome>;

    /// Gives the lease back, if it is still this one.
    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()>;

    /// Removes the value and every outstanding right to fill, in one step.
    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()>;

    /// Removes all leases whose keys match, and only then all such values; tells how
    /// many values. Many round trips, each to answer within `step`.
    fn remove_matching<'a>(
        &'a self,
        cache: &'a str,
        pattern: &'a Pattern,
        step: Duration,
    ) -> StoreFuture<'a, u64>;

    /// The epochs of a cache's marks, read in this order; a mark that has none gets one.
    fn epochs<'a>(&'a self, cache: &'a str, marks: &'a [Mark<'a>]) -> StoreFuture<'a, Vec<Epoch>>;

    /// Writes epochs, in this order.
    fn renew<'a>(&'a self, cache: &'a str, epochs: &'a [(Mark<'a>, Epoch)]) -> StoreFuture<'a, ()>;

    /// Answers if the store would answer, within `limit`, and tells what it can vouch
    /// for. It may wait as long again to find that out.
    fn heartbeat<'a>(&'a self, cache: &'a str, limit: Duration) -> StoreFuture<'a, Heartbeat>;

    /// A call ran into its deadline. A store may take it as a sign.
    fn overdue(&self) {}

    /// Registers a cache's name and whom to tell; false if this store already
    /// serves one of the name. Two caches of one name in a process would not hear
    /// of each other's writes.
    fn listen(&self, cache: &str, listener: Weak<dyn Listener>) -> bool;

    /// Takes this listener's registration back; a later one of the name stays.
    fn hush(&self, cache: &str, listener: &Weak<dyn Listener>);
}

/// Who is told what others changed: a cache. Called in the order in which the
/// store's replies become visible, and must not wait for anything.
pub trait Listener: Send + Sync {
    /// Somebody else changed this, or it ran out.
    fn changed(&self, changed: Changed<'_>);

    /// News may have been missed.
    fn gap(&self, gap: Gap);
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed<'a> {
    /// The value or the lease of this key.
    Key(&'a str),
    /// The epoch of this mark.
    Mark(Mark<'a>),
}

/// After a gap nothing that was got before it is proven any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// From here on everything is told again.
    Over,
    /// The store cannot be asked until further notice.
    Lasting,
}

/// The answer to [`Store::heartbeat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heartbeat {
    /// Whether the listener has been told of everything that happened before the
    /// heartbeat was sent.
    pub hearing: Hearing,
    /// Whether the store takes writes.
    pub writing: Writing,
    /// How long it took news to arrive, if that was measured.
    pub lag: Option<Duration>,
}

impl Heartbeat {
    /// Of a store that takes writes.
    pub fn new(hearing: Hearing) -> Self {
        Self {
            hearing,
            writing: Writing::Taken,
            lag: None,
        }
    }

    /// The same, with what writes get for an answer.
    pub fn writing(mut self, writing: Writing) -> Self {
        self.writing = writing;
        self
    }

    /// The same, with the time that news took.
    pub fn lag(mut self, lag: Duration) -> Self {
        self.lag = Some(lag);
        self
    }
}

/// Whether a store tells of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// All that was changed before the heartbeat was sent has been told.
    Complete,
    /// Not known this time: it vouches for nothing.
    Unclear,
    /// It answers with what may be old (a replica): it vouches for nothing, and
    /// neither does what it hands out.
    Behind,
    /// It does not tell, or what it tells does not arrive.
    Deaf,
}

/// What a store does with writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// It takes them, as far as is known.
    Taken,
    /// It refuses them: read-only, out of memory.
    Refused,
}

/// What the caches of one store have found out about it together.
///
/// Two breakers: one opens when it does not answer, and nothing is asked then; one
/// opens when it answers and refuses writes (full, read-only), and nothing is
/// stored then, while reads and removals go on.
#[derive(Debug, Default)]
pub struct Health {
    pub(crate) calls: Breaker,
    pub(crate) writes: Breaker,
}

/// Stored bytes, and how long the store will keep them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The envelope, or its first bytes if it is longer than was asked for.
    pub bytes: Bytes,
    /// What is left of its life; `None` if it has no end.
    pub remaining: Option<Duration>,
}

/// What a caller of [`Store::lease`] asks for.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest {
    /// The new lease's name, if there is to be one.
    pub token: Token,
    /// How long it is held.
    pub hold: Duration,
    /// The token of a stored value that must not be the answer.
    pub refuse: Option<Token>,
    /// At most so many bytes of the value.
    pub limit: usize,
}

/// The answer to [`Store::lease`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// There is a value, and its token was not refused.
    Value(Stored),
    /// Somebody else is loading; his lease ends in this time at the latest.
    Held(Duration),
    /// The lease is the caller's.
    Yours,
}

/// What a caller of [`Store::fill`] wants stored.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The lease that allows it, also the envelope's token.
    pub token: Token,
    /// The envelope.
    pub bytes: Bytes,
    /// How long the store keeps it, at least 1 ms.
    pub life: Duration,
    /// For a set: the token that [`Store::force`] told. A refused fill removes
    /// the value if that token is still there, so that a set that was told Ok
    /// leaves nothing older behind.
    pub replaces: Option<Token>,
}

/// The answer to [`Store::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillOutcome {
    /// Stored; the lease is gone.
    Stored,
    /// The lease was gone; nothing was stored.
    Refused,
}
