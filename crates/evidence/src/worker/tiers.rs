//! The cache under test as a worker uses it: terrace's public API, and nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use terrace::{BoxError, Cache, Coherence, Entry, EntryOptions, Error, Loaded, RedisStore};

use super::{
    WorkerSettings,
    source::Source,
    wire::{By, Key, ReadEvent, Reading, name_of, tag_of},
};
use crate::clock;

/// The cached value: says itself what it is, so that a wrong one is recognised.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stamp {
    key: Key,
    version: u64,
    mark: u64,
}

impl Stamp {
    fn new(key: Key, version: u64) -> Self {
        let mark = Self::mark(key, version);
        Self { key, version, mark }
    }

    /// Any function that a torn or foreign value does not hit by chance.
    fn mark(key: Key, version: u64) -> u64 {
        (version ^ (u64::from(key) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn is_of(&self, key: Key) -> bool {
        self.key == key && self.mark == Self::mark(key, self.version)
    }
}

/// Why a read gave no event.
#[derive(Debug)]
pub(crate) enum Unread {
    Failed(Error),
    /// A value that nobody wrote under this key.
    Invalid(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Tiers {
    cache: Cache<Stamp>,
    source: Arc<Source>,
    required: EntryOptions,
    under_way: Arc<Mutex<HashMap<Key, u32>>>,
}

impl Tiers {
    pub(crate) fn open(settings: &WorkerSettings, source: Arc<Source>) -> Result<Self, BoxError> {
        let options = EntryOptions::ttl(Duration::from_millis(settings.ttl_millis))
            .load_timeout(Duration::from_millis(settings.load_timeout_millis));
        let cache = Cache::builder("field")
            .defaults(options.clone())
            .max_staleness(Duration::from_millis(settings.max_staleness_millis))
            .store_timeout(Duration::from_millis(settings.store_timeout_millis))
            .store(RedisStore::connect(&settings.redis)?)
            .build()?;
        Ok(Self {
            cache,
            source,
            required: options.coherence(Coherence::Required),
            under_way: Arc::default(),
        })
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub(crate) async fn read(&self, key: Key, reading: Reading) -> Result<ReadEvent, Unread> {
        let (name, call) = (name_of(key), UnderWay::begin(self, key));
        let began = clock::now();
        let answer = match reading {
            Reading::Peek => Ok(self.cache.peek(&name)),
            Reading::Get => self.cache.get(&name).await,
            Reading::Load => {
                let load = || load(Arc::clone(&self.source), key);
                self.cache.get_or_load(&name, load).await.map(Some)
            }
            Reading::LoadRequired => {
                let load = || load(Arc::clone(&self.source), key);
                let answer = self.cache.get_or_load_with(&name, &self.required, load);
                answer.await.map(Some)
            }
            Reading::Refresh => {
                let load = || load(Arc::clone(&self.source), key);
                self.cache.refresh(&name, load).await.map(Some)
            }
        };
        let ended = clock::now();
        let entry = answer.map_err(Unread::Failed)?;
        if let Some(entry) = &entry
            && !entry.is_of(key)
        {
            return Err(Unread::Invalid(format!("{name}: {entry:?}")));
        }
        Ok(ReadEvent {
            key,
            version: entry.as_ref().map(|entry| entry.version),
            by: entry.as_ref().map_or(By::Store, answered_by),
            proven: entry.as_ref().is_some_and(Entry::proven),
            alone: call.alone,
            began,
            ended,
        })
    }

    pub(crate) async fn set(&self, key: Key, version: u64) -> Result<(), Error> {
        self.cache
            .set(name_of(key), loaded(key, version))
            .await
            .map(drop)
    }

    pub(crate) async fn remove(&self, key: Key) -> Result<(), Error> {
        self.cache.remove(name_of(key)).await
    }

    pub(crate) async fn remove_tag(&self, tag: &str) -> Result<(), Error> {
        self.cache.remove_tag(tag).await.map(drop)
    }

    pub(crate) async fn remove_prefix(&self, prefix: &str) -> Result<(), Error> {
        self.cache.remove_prefix(prefix).await.map(drop)
    }

    pub(crate) async fn remove_matching(&self, glob: &str) -> Result<(), Error> {
        self.cache.remove_matching(glob).await.map(drop)
    }

    pub(crate) async fn clear(&self) -> Result<(), Error> {
        self.cache.clear().await.map(drop)
    }

    pub(crate) fn holds(&self, key: Key) -> bool {
        self.cache.peek(name_of(key)).is_some()
    }

    pub(crate) fn stats(&self) -> BTreeMap<String, u64> {
        let stats = self.cache.stats();
        let state = stats.store.as_ref();
        let figures = [
            ("hits", stats.hits),
            ("misses", stats.misses),
            ("loads", stats.loads),
            ("joined", stats.joined),
            ("lease_waits", stats.lease_waits),
            ("load_failures", stats.load_failures),
            ("store_errors", stats.store_errors),
            ("store_timeouts", stats.store_timeouts),
            ("store_damaged", stats.store_damaged),
            ("unleased", stats.unleased),
            ("fills", stats.fills),
            ("refused", stats.refused),
            ("overtaken", stats.overtaken),
            ("gaps", stats.gaps),
            ("removals", stats.removals),
            ("store_hits", stats.store_hits),
            ("pending", stats.pending),
            ("entries", stats.entries),
            ("healthy", state.is_some_and(|state| state.healthy).into()),
        ];
        figures
            .map(|(name, figure)| (name.to_owned(), figure))
            .into()
    }
}

async fn load(source: Arc<Source>, key: Key) -> Result<Loaded<Stamp>, BoxError> {
    let version = source.load(key).await?;
    Ok(loaded(key, version))
}

fn loaded(key: Key, version: u64) -> Loaded<Stamp> {
    let value = Loaded::new(Stamp::new(key, version));
    match tag_of(key) {
        Some(tag) => value.tag(tag),
        None => value,
    }
}

fn answered_by(entry: &Entry<Stamp>) -> By {
    match entry.source() {
        terrace::Source::Local => By::Local,
        terrace::Source::Store => By::Store,
        terrace::Source::Loader => By::Loader,
    }
}

/// Counts a call of a key while it runs.
struct UnderWay<'a> {
    tiers: &'a Tiers,
    key: Key,
    alone: bool,
}

impl<'a> UnderWay<'a> {
    fn begin(tiers: &'a Tiers, key: Key) -> Self {
        let mut calls = lock(&tiers.under_way);
        let count = calls.entry(key).or_default();
        *count += 1;
        let alone = *count == 1;
        drop(calls);
        Self { tiers, key, alone }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(count) = lock(&self.tiers.under_way).get_mut(&self.key) {
            *count -= 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
