//! A value with its times. The only place that decides freshness.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicI64, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use crate::{clock::Moment, envelope::Token, options::Life, tag::Epochs};

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// L1, in this process.
    Local,
    /// L2, the shared store.
    Store,
    /// A load.
    Loader,
}

/// What may be done with a record at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    Fresh,
    /// Stale, to be served at once while one load runs behind.
    Revalidate,
    /// Stale, to be served only if the load fails.
    OnError,
    Expired,
}

/// How far L1 may rely on a record at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was L2's value at a moment within the bound.
    Proven,
    /// It was loaded within the bound, and never was L2's value as far as we know.
    Recent,
    /// Nobody vouches for it: L2 is to be asked.
    Doubtful,
}

/// On what a record's standing rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Over which link it was got; [`UNCONFIRMED`](crate::proof::UNCONFIRMED) if L2
    /// is not known to have it.
    pub(crate) link_epoch: u64,
    /// The last change of more keys than one that it has been checked against.
    pub(crate) wide: u64,
    /// When L2 was asked for it, or when its load began.
    pub(crate) as_of: Moment,
}

/// Beside a change's number: whether the record survived it nobody could say.
const UNSURE: u64 = 1 << 63;

/// A value as L1 holds it. Its times are the ends of its phases.
pub(crate) struct Record<V> {
    value: V,
    token: Token,
    /// Set once, before L1 gets the record; a load's tags are known after it only.
    epochs: OnceLock<Arc<Epochs>>,
    link_epoch: AtomicU64,
    wide: AtomicU64,
    as_of: AtomicI64,
    born: Moment,
    fresh_until: Moment,
    revalidate_until: Moment,
    on_error_until: Moment,
    /// Invariant: at most the end of the life. Promotion from L2 does not lengthen it.
    leaves: Moment,
    weight: u32,
}

impl<V> Record<V> {
    pub(crate) fn new(value: V, token: Token, life: Life, born: Moment) -> Self {
        let fresh_until = born.plus_millis(life.fresh);
        Self {
            value,
            token,
            epochs: OnceLock::new(),
            link_epoch: AtomicU64::default(),
            wide: AtomicU64::default(),
            as_of: AtomicI64::new(Moment::NEVER.to_raw()),
            born,
            fresh_until,
            revalidate_until: fresh_until.plus_millis(life.revalidate),
            on_error_until: fresh_until.plus_millis(life.on_error),
            leaves: born.plus_millis(life.total()),
            weight: 1,
        }
    }

    /// Puts the record under L1's own rules as it enters at `now`.
    pub(crate) fn enter(&mut self, now: Moment, longest_stay: Option<Duration>, weight: u32) {
        self.weight = weight;
        if let Some(stay) = longest_stay {
            let stay = u64::try_from(stay.as_millis()).unwrap_or(u64::MAX);
            self.leaves = self.leaves.min(now.plus_millis(stay));
        }
    }

    #[inline]
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        if now >= self.leaves {
            Freshness::Expired
        } else if now < self.fresh_until {
            Freshness::Fresh
        } else if now < self.revalidate_until {
            Freshness::Revalidate
        } else if now < self.on_error_until {
            Freshness::OnError
        } else {
            Freshness::Expired
        }
    }

    /// How far it can be relied on. `covered`: its link is proven at this moment;
    /// `recent`: its own moment vouches still.
    #[inline]
    pub(crate) fn standing(&self, covered: bool, recent: impl FnOnce(Moment) -> bool) -> Standing {
        if covered {
            return Standing::Proven;
        }
        match (recent(self.as_of()), self.link_epoch()) {
            (false, _) => Standing::Doubtful,
            (true, 0) => Standing::Recent,
            (true, _) => Standing::Proven,
        }
    }

    /// Under which epochs it lives, from now on.
    pub(crate) fn born_under(&self, epochs: Arc<Epochs>) {
        let first = self.epochs.set(epochs);
        debug_assert!(first.is_ok(), "a record is born once");
    }

    pub(crate) fn epochs(&self) -> Option<&Arc<Epochs>> {
        self.epochs.get()
    }

    /// It agrees with L2 on these grounds. The link epoch comes last: whoever sees
    /// it sees what belongs to it.
    pub(crate) fn stamp(&self, stamp: Stamp) {
        self.as_of.store(stamp.as_of.to_raw(), Relaxed);
        self.wide.store(stamp.wide, Relaxed);
        self.link_epoch.store(stamp.link_epoch, Release);
    }

    #[inline]
    pub(crate) fn link_epoch(&self) -> u64 {
        self.link_epoch.load(Acquire)
    }

    #[inline]
    pub(crate) fn wide(&self) -> u64 {
        self.wide.load(Relaxed)
    }

    /// The last change that it has been checked against, whatever came of it.
    pub(crate) fn checked_at(&self) -> u64 {
        self.wide() & !UNSURE
    }

    /// It has been checked against this change, and lives.
    pub(crate) fn has_survived(&self, wide: u64) {
        let newer = |before: u64| (before & !UNSURE <= wide).then_some(wide);
        let _ = self.wide.fetch_update(Relaxed, Relaxed, newer);
    }

    /// It has been checked against this change, and nobody could say.
    pub(crate) fn is_unsure_since(&self, wide: u64) {
        let newer = |before: u64| (before & !UNSURE < wide).then_some(wide | UNSURE);
        let _ = self.wide.fetch_update(Relaxed, Relaxed, newer);
    }

    pub(crate) fn is_unsure_at(&self, wide: u64) -> bool {
        self.wide() == wide | UNSURE
    }

    fn as_of(&self) -> Moment {
        Moment::from_raw(self.as_of.load(Relaxed))
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    pub(crate) fn value(&self) -> &V {
        &self.value
    }

    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }
}

fn to_u32(millis: u64) -> u32 {
    u32::try_from(millis).unwrap_or(u32::MAX)
}

/// An answer: the value, and what is known about it.
///
/// Two words and cheap to clone; the value is shared, never copied. Age and
/// staleness are those of the moment of the answer.
///
/// It dereferences to the value. Where the value has methods of the same names,
/// go through [`value`](Self::value).
pub struct Entry<V> {
    record: Arc<Record<V>>,
    age_millis: u32,
    source: Source,
    stale: bool,
    proven: bool,
    /// Whether a load was made for this answer, here or elsewhere, well or in vain.
    of_a_load: bool,
}

impl<V> Entry<V> {
    #[inline]
    pub(crate) fn new(record: Arc<Record<V>>, source: Source, now: Moment) -> Self {
        let stale = record.freshness(now) != Freshness::Fresh;
        let age_millis = to_u32(now.millis_since(record.born));
        Self {
            record,
            age_millis,
            source,
            stale,
            proven: false,
            of_a_load: source == Source::Loader,
        }
    }

    /// The same answer, vouched for.
    #[inline]
    pub(crate) fn vouched(mut self, proven: bool) -> Self {
        self.proven = proven;
        self
    }

    /// The answer to a load that failed, or was made in another process.
    pub(crate) fn for_a_load(mut self) -> Self {
        self.of_a_load = true;
        self
    }

    /// Whether a load was made for this answer, here or elsewhere, well or in vain.
    pub(crate) fn is_of_a_load(&self) -> bool {
        self.of_a_load
    }

    /// The same answer for somebody who gets it at `now`; `None` once it may not be
    /// handed out any more. What a load brought is for everybody who waited for it.
    pub(crate) fn at(mut self, now: Moment) -> Option<Self> {
        let freshness = self.record.freshness(now);
        let in_time = matches!(freshness, Freshness::Fresh | Freshness::Revalidate);
        let usable = in_time || self.of_a_load;
        self.stale = freshness != Freshness::Fresh;
        self.age_millis = to_u32(now.millis_since(self.record.born));
        usable.then_some(self)
    }

    pub(crate) fn record(&self) -> &Record<V> {
        &self.record
    }

    /// The value itself.
    pub fn value(&self) -> &V {
        self.record.value()
    }

    /// How long before this answer the value was loaded or set, wherever that
    /// was; in whole milliseconds, 49 days at most.
    pub fn age(&self) -> Duration {
        Duration::from_millis(u64::from(self.age_millis))
    }

    /// Whether the ttl had passed, and a stale window was used.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Where the answer came from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether the value provably was the store's within the cache's
    /// `max_staleness` before this answer.
    ///
    /// Always so for a cache without a store. Otherwise false for what a load has just
    /// brought (it is new, and not stored yet), and for what L1 served while the
    /// store did not answer.
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.set("one", 1).await?;
    /// assert!(cache.peek("one").expect("it was just set").proven());
    /// # Ok(()) }
    /// ```
    pub fn proven(&self) -> bool {
        self.proven
    }
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            ..*self
        }
    }
}

impl<V> Deref for Entry<V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.value()
    }
}

impl<V: fmt::Debug> fmt::Debug for Entry<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("value", self.value())
            .field("age", &self.age())
            .field("source", &self.source)
            .field("stale", &self.stale)
            .field("proven", &self.proven)
            .finish()
    }
}
