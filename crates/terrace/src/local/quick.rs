//! S3-FIFO (a Clock-PRO kin), by quick_cache.

use std::{cell::RefCell, sync::Arc};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use super::Bound;
use crate::entry::Record;

pub(crate) struct Quick<V>(Cache<Arc<str>, Arc<Record<V>>, ByRecord>);

/// One weigher for both bounds: an entry of a cache bounded by count weighs 1.
#[derive(Clone)]
struct ByRecord;

impl<V> Weighter<Arc<str>, Arc<Record<V>>> for ByRecord {
    fn weight(&self, _key: &Arc<str>, record: &Arc<Record<V>>) -> u64 {
        u64::from(record.weight())
    }
}

/// Weights are bytes as a rule; a first guess for the table's size, which grows.
const ASSUMED_WEIGHT: u64 = 1_024;

/// No entry is kept that weighs more than its shard may, and the engine makes four
/// shards a core. With this many, a tenth of the whole fits on every machine.
const WEIGHED_SHARDS: usize = 8;

/// The engine's own 0.97 leaves newcomers so little room that traffic by recency
/// suffers; this costs the other traces next to nothing (docs/adr/0002).
const HOT_ALLOCATION: f64 = 0.9;

impl<V: Send + Sync + 'static> Quick<V> {
    pub(super) fn new(bound: Bound) -> Self {
        let mut options = OptionsBuilder::new();
        let items = match bound {
            Bound::Entries(_) | Bound::Nothing => bound.limit(),
            Bound::Weight(limit) => {
                options.shards(WEIGHED_SHARDS);
                limit / ASSUMED_WEIGHT + 1
            }
        };
        let options = options
            .estimated_items_capacity(usize::try_from(items).unwrap_or(usize::MAX))
            .weight_capacity(bound.limit())
            .hot_allocation(HOT_ALLOCATION)
            .build()
            .expect("both capacities are set");
        Self(Cache::with_options(
            options,
            ByRecord,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ))
    }

    #[inline]
    pub(super) fn get(&self, key: &str) -> Option<Arc<Record<V>>> {
        self.0.get(key)
    }

    pub(super) fn insert(&self, key: Arc<str>, record: Arc<Record<V>>) {
        self.0.insert(key, record);
    }

    pub(super) fn remove(&self, key: &str) -> Option<Arc<Record<V>>> {
        // Removing what is not resident would erase the engine's memory of a key
        // that it evicted, and with it half of the hit ratio: every write voids first.
        if !self.0.contains_key(key) {
            return None;
        }
        self.0.remove(key).map(|(_, record)| record)
    }

    pub(super) fn remove_matching(&self, matches: &dyn Fn(&str) -> bool) -> u64 {
        // Values are kept until the engine's lock is gone: a drop may run anybody's code.
        let dropped = RefCell::new(Vec::new());
        self.0.retain(|key, record| {
            let goes = matches(key);
            if goes {
                dropped.borrow_mut().push(Arc::clone(record));
            }
            !goes
        });
        u64::try_from(dropped.into_inner().len()).unwrap_or(u64::MAX)
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}
