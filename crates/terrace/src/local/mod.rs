//! L1 engines behind one small interface. They may forget early; they never give a verdict.

mod moka;
mod quick;

use std::{fmt, sync::Arc, time::Duration};

use crate::entry::Record;

/// Which entries L1 keeps when it is full.
///
/// docs/adr/0002 has the hit ratios and the costs that chose the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// By estimated frequency (moka): strong on skewed traffic, weak on plain loops of recency.
    TinyLfu,
    /// Least recently used (moka).
    Lru,
    /// Small, main and ghost queues (quick_cache): the cheapest hit, and good on both.
    #[default]
    S3Fifo,
}

impl Policy {
    /// The engine that runs it: "moka" or "quick_cache".
    pub fn engine(self) -> &'static str {
        match self {
            Self::TinyLfu | Self::Lru => "moka",
            Self::S3Fifo => "quick_cache",
        }
    }
}

/// How much L1 may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries(u64),
    Weight(u64),
    /// There is no L1.
    Nothing,
}

impl Bound {
    pub(crate) fn limit(self) -> u64 {
        match self {
            Self::Entries(limit) | Self::Weight(limit) => limit,
            Self::Nothing => 0,
        }
    }
}

/// An enum and not a trait object: the difference on a hit is not measurable,
/// and there are exactly two, and the one that keeps nothing.
pub(crate) enum Local<V> {
    Moka(moka::Moka<V>),
    Quick(quick::Quick<V>),
    Nothing,
}

impl<V: Send + Sync + 'static> Local<V> {
    pub(crate) fn new(policy: Policy, bound: Bound, longest_stay: Option<Duration>) -> Self {
        match (bound, policy) {
            (Bound::Nothing, _) => Self::Nothing,
            (_, Policy::TinyLfu | Policy::Lru) => {
                Self::Moka(moka::Moka::new(policy, bound, longest_stay))
            }
            (_, Policy::S3Fifo) => Self::Quick(quick::Quick::new(bound)),
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<Arc<Record<V>>> {
        match self {
            Self::Moka(engine) => engine.get(key),
            Self::Quick(engine) => engine.get(key),
            Self::Nothing => None,
        }
    }

    pub(crate) fn insert(&self, key: Arc<str>, record: Arc<Record<V>>) {
        match self {
            Self::Moka(engine) => engine.insert(key, record),
            Self::Quick(engine) => engine.insert(key, record),
            Self::Nothing => {}
        }
    }

    pub(crate) fn remove(&self, key: &str) -> Option<Arc<Record<V>>> {
        match self {
            Self::Moka(engine) => engine.remove(key),
            Self::Quick(engine) => engine.remove(key),
            Self::Nothing => None,
        }
    }

    /// Tells how many it removed.
    pub(crate) fn remove_matching(&self, matches: &dyn Fn(&str) -> bool) -> u64 {
        match self {
            Self::Moka(engine) => engine.remove_matching(matches),
            Self::Quick(engine) => engine.remove_matching(matches),
            Self::Nothing => 0,
        }
    }

    pub(crate) fn clear(&self) {
        match self {
            Self::Moka(engine) => engine.clear(),
            Self::Quick(engine) => engine.clear(),
            Self::Nothing => {}
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Moka(engine) => engine.len(),
            Self::Quick(engine) => engine.len(),
            Self::Nothing => 0,
        }
    }
}

impl<V> fmt::Debug for Local<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Moka(_) => "Local::Moka",
            Self::Quick(_) => "Local::Quick",
            Self::Nothing => "Local::Nothing",
        })
    }
}
