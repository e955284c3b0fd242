//! L2: a shared place for bytes. The trait, and the stores that ship.

#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::{fmt, pin::Pin, time::Duration};

use bytes::Bytes;

use crate::{envelope::Token, error::Error, key::Slot};

/// The future of a store call.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A shared place for bytes, with leases.
///
/// A store is dumb: it keeps envelopes under slots for a time, and decides
/// one thing, whether a fill still holds the lease that it was given. Deadline,
/// breaker, encoding and statistics are the cache's. Each method is atomic with
/// respect to the others on one slot, and one round trip unless said otherwise.
///
/// Every call runs under the cache's deadline: the future is dropped when it
/// passes, and [`overdue`](Self::overdue) is called. A write whose future is
/// dropped may still happen, as long as its conditions hold when it does.
///
/// Errors: [`Error::unavailable`] if the store cannot be asked,
/// [`Error::rejected`] if it answered with a refusal of its own (read-only, out
/// of memory, no permission).
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What it is, for people: `"Redis"`.
    fn kind(&self) -> &'static str;

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

    /// Removes all leases of the cache, and only then all its values; tells how
    /// many values. Many round trips, each to answer within `step`.
    fn clear<'a>(&'a self, cache: &'a str, step: Duration) -> StoreFuture<'a, u64>;

    /// Answers if the store would answer.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// A call ran into its deadline. A store may take it as a sign.
    fn overdue(&self) {}

    /// Registers a cache's name; false if this store already serves one of it.
    /// Two caches of one name in a process would not hear of each other's writes.
    fn claim(&self, _cache: &str) -> bool {
        true
    }

    /// Takes the registration back.
    fn disclaim(&self, _cache: &str) {}
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
