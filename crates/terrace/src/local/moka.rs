//! TinyLFU and LRU, by moka.

use std::{sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{Bound, Policy};
use crate::entry::Record;

pub(crate) struct Moka<V>(Cache<Arc<str>, Arc<Record<V>>, RandomState>);

impl<V: Send + Sync + 'static> Moka<V> {
    pub(super) fn new(policy: Policy, bound: Bound, longest_stay: Option<Duration>) -> Self {
        let eviction = match policy {
            Policy::Lru => EvictionPolicy::lru(),
            Policy::TinyLfu | Policy::S3Fifo => EvictionPolicy::tiny_lfu(),
        };
        let mut builder = Cache::builder()
            .max_capacity(bound.limit())
            .eviction_policy(eviction);
        // A weigher costs hit ratio, so only who asked for weights gets one. No
        // `Expiry`: 40 ns a hit for what `Record::freshness` decides anyway.
        if let Bound::Weight(_) = bound {
            builder = builder.weigher(|_, record: &Arc<Record<V>>| record.weight());
        }
        if let Some(stay) = longest_stay {
            builder = builder.time_to_live(stay);
        }
        Self(builder.build_with_hasher(RandomState::default()))
    }

    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<Arc<Record<V>>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: Arc<str>, record: Arc<Record<V>>) {
        self.0.insert(key, record);
    }

    pub(super) fn remove(&self, key: &str) -> Option<Arc<Record<V>>> {
        self.0.remove(key)
    }

    pub(super) fn remove_matching(&self, matches: &dyn Fn(&str) -> bool) -> u64 {
        let is_match = |(key, _): &(Arc<Arc<str>>, _)| matches(key);
        let found = self.0.iter().filter(is_match);
        found
            .map(|(key, _)| u64::from(self.0.remove(&**key).is_some()))
            .sum()
    }

    pub(super) fn clear(&self) {
        self.0.invalidate_all();
    }

    pub(super) fn len(&self) -> u64 {
        self.0.entry_count()
    }
}
