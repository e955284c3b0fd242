//! A value with its times. The only place that decides freshness.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use crate::{clock::Moment, options::Life};

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

/// A value as L1 holds it. Its times are the ends of its phases.
pub(crate) struct Record<V> {
    value: V,
    born: Moment,
    fresh_until: Moment,
    revalidate_until: Moment,
    on_error_until: Moment,
    /// Invariant: at most the end of the life. Promotion from L2 does not lengthen it.
    leaves: Moment,
    weight: u32,
}

impl<V> Record<V> {
    pub(crate) fn new(value: V, life: Life, born: Moment) -> Self {
        let fresh_until = born.plus_millis(life.fresh);
        Self {
            value,
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
            of_a_load: source == Source::Loader,
        }
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

    pub(crate) fn record(&self) -> &Arc<Record<V>> {
        &self.record
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
            .finish()
    }
}
