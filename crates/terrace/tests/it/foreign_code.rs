//! Codecs, stores and values that panic: it stays with the call that met them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Instant,
};

use terrace::{
    BoxError, Cache, Codec, Policy, Source, Written,
    testing::{Call, Fault, MemoryStore},
};

use crate::{
    pending::set,
    rig::{Origin, PATIENCE, eventually, healthy, in_time, numbers, seconds},
};

const CANNOT_ENCODE: u64 = 13;
const CANNOT_DECODE: u64 = 14;

/// A codec with bugs.
struct Touchy;

impl Codec<u64> for Touchy {
    fn id(&self) -> u8 {
        200
    }

    fn encode(&self, value: &u64, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        assert_ne!(*value, CANNOT_ENCODE, "on purpose");
        bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
        let value = u64::from_le_bytes(bytes.try_into()?);
        assert_ne!(value, CANNOT_DECODE, "on purpose");
        Ok(value)
    }
}

fn touchy_on(memory: &MemoryStore) -> Cache<u64> {
    let builder = numbers().store_with(memory.sibling(), Touchy);
    builder.build().unwrap()
}

#[tokio::test]
async fn bytes_that_make_the_codec_panic_are_damaged() {
    let memory = MemoryStore::new();
    touchy_on(&memory).set("k", CANNOT_DECODE).await.unwrap();
    let cache = touchy_on(&memory);
    assert!(cache.get("k").await.unwrap().is_none());
    assert_eq!(cache.stats().store_damaged, 1);
    let origin = Origin::at(7);
    let read = cache.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*read, read.source()), (7, Source::Loader));
    assert_eq!(cache.stats().store_damaged, 2);
    let kept = || cache.peek("k").is_some();
    eventually("it is repaired", PATIENCE, kept).await;
    assert_eq!(*touchy_on(&memory).get("k").await.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn a_value_that_makes_the_codec_panic_is_handed_out_and_kept_here() {
    let memory = MemoryStore::new();
    let cache = touchy_on(&memory);
    let origin = Origin::at(CANNOT_ENCODE);
    let read = cache.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*read, read.source()), (CANNOT_ENCODE, Source::Loader));
    let kept = || cache.peek("k").is_some();
    eventually("it is in L1", seconds(5), kept).await;
    assert!(memory.is_empty());
    let (elsewhere, start) = (touchy_on(&memory), Instant::now());
    origin.change_to(7);
    let read = in_time("a read", elsewhere.get_or_load("k", || origin.load())).await;
    assert_eq!(*read.unwrap(), 7);
    assert!(start.elapsed() < seconds(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_set_whose_value_makes_the_codec_panic_is_refused_and_touches_nothing() {
    let memory = MemoryStore::new();
    let cache = touchy_on(&memory);
    cache.set("k", 7).await.unwrap();
    let setting = tokio::spawn({
        let cache = cache.clone();
        async move { cache.set("k", CANNOT_ENCODE).await }
    });
    let error = setting.await.expect("no panic").unwrap_err();
    assert!(error.is_value(), "{error}");
    assert_eq!(cache.peek("k").as_deref(), Some(&7));
    assert_eq!(cache.stats().pending, 0);
}

#[tokio::test]
async fn a_remove_that_makes_the_store_panic_leaves_the_key_pending() {
    let it = set();
    it.here.set("k", 1).await.unwrap();
    it.faults.always(Call::Remove, Fault::Panics);
    let error = it.here.remove("k").await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert_eq!(it.here.stats().pending, 1);
    assert!(it.here.get("k").await.unwrap().is_none());
    let origin = Origin::at(2);
    let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!(*read, 2);
    it.faults.always(Call::Remove, Fault::Passes);
    it.settled().await;
    assert!(it.memory.is_empty());
}

#[tokio::test]
async fn a_set_that_makes_the_store_panic_leaves_the_key_pending() {
    for call in [Call::Force, Call::Fill] {
        let it = set();
        it.here.set("k", 1).await.unwrap();
        it.faults.always(call, Fault::Panics);
        let error = it.here.set("k", 2).await.unwrap_err();
        assert!(error.is_store(), "{call:?}: {error}");
        assert_eq!(it.here.stats().pending, 1, "{call:?}");
        assert!(it.here.get("k").await.unwrap().is_none(), "{call:?}");
        it.faults.always(call, Fault::Passes);
        it.settled().await;
        assert!(it.memory.is_empty(), "{call:?}");
    }
}

#[tokio::test]
async fn a_clear_that_makes_the_store_panic_leaves_everything_pending() {
    let it = set();
    for key in ["a", "b"] {
        it.here.set(key, 1).await.unwrap();
    }
    it.faults.always(Call::Renew, Fault::Panics);
    let error = it.here.clear().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(it.here.stats().pending > 0);
    for key in ["a", "b"] {
        assert!(it.here.get(key).await.unwrap().is_none(), "{key}");
    }
    it.faults.always(Call::Renew, Fault::Passes);
    it.settled().await;
    for key in ["a", "b"] {
        assert!(it.here.get(key).await.unwrap().is_none(), "{key}");
        assert!(it.elsewhere.get(key).await.unwrap().is_none(), "{key}");
    }
}

#[tokio::test]
async fn a_fill_that_makes_the_store_panic_holds_nobody_up() {
    let it = set();
    it.faults.always(Call::Fill, Fault::Panics);
    let (origin, start) = (Origin::at(7), Instant::now());
    let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!(*read, 7);
    let read = it.elsewhere.get_or_load("k", || origin.load());
    assert_eq!(*in_time("another process", read).await.unwrap(), 7);
    assert!(start.elapsed() < seconds(2), "{:?}", start.elapsed());
    assert!(it.here.peek("k").is_none());
}

/// A value whose drop panics once, if it is armed.
struct Bomb(Arc<AtomicBool>);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0.swap(false, SeqCst), "on purpose");
    }
}

fn dud() -> Bomb {
    Bomb(Arc::default())
}

/// A cache with an armed bomb under "k". Not moka, which drops later, in whatever
/// thread of the process comes along, another test's too.
async fn mined() -> Cache<Bomb> {
    let builder = Cache::builder("bombs").policy(Policy::S3Fifo);
    let cache = builder.build().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    cache.set("k", Bomb(Arc::clone(&armed))).await.unwrap();
    armed.store(true, SeqCst);
    cache
}

async fn keeps(cache: &Cache<Bomb>, key: &str) {
    let written = cache.set(key, dud()).await.unwrap();
    assert_eq!(written, Written::Stored, "{key}");
    assert!(cache.peek(key).is_some(), "{key}");
}

#[tokio::test]
async fn a_value_whose_drop_panics_when_it_is_replaced_does_not_close_the_cache_to_its_key() {
    let cache = mined().await;
    let replacing = cache.clone();
    let replaced = tokio::spawn(async move { replacing.set("k", dud()).await });
    assert!(replaced.await.unwrap_err().is_panic());
    for _ in 0..3 {
        keeps(&cache, "k").await;
    }
}

#[tokio::test]
async fn a_value_whose_drop_panics_when_it_is_removed_does_not_close_the_cache_to_its_key() {
    let cache = mined().await;
    let removing = cache.clone();
    let removed = tokio::spawn(async move { removing.remove("k").await });
    assert!(removed.await.unwrap_err().is_panic());
    assert!(cache.peek("k").is_none());
    keeps(&cache, "k").await;
}

#[tokio::test]
async fn a_value_whose_drop_panics_in_a_clear_does_not_close_the_cache() {
    let cache = mined().await;
    // The clear runs on a task of its own: an error, and no panic here.
    assert!(cache.clear().await.is_err());
    for number in 0..100 {
        keeps(&cache, &format!("k{number}")).await;
    }
}

#[tokio::test]
async fn who_joins_flights_that_panic_leads_one_of_his_own_after_three() {
    const READERS: u64 = 20;
    let it = set();
    it.faults.always(Call::Get, Fault::Panics);
    let read = |_| {
        let here = it.here.clone();
        let load = async { Ok::<u64, BoxError>(1) };
        tokio::spawn(async move { here.get_or_load("k", || load).await.map(drop) })
    };
    let reads: Vec<_> = (0..READERS).map(read).collect();
    for read in reads {
        assert!(in_time("a reader", read).await.unwrap().is_err());
    }
    let joined = it.here.stats().joined;
    assert!((1..=3 * READERS).contains(&joined), "{joined} times");
}

#[tokio::test]
async fn heartbeats_go_on_after_one_that_makes_the_store_panic() {
    let it = set();
    healthy(&it.here).await;
    it.faults.always(Call::Heartbeat, Fault::Panics);
    let is_missed = || !it.here.stats().store.unwrap().healthy;
    eventually("the panic is met", PATIENCE, is_missed).await;
    it.faults.heal();
    healthy(&it.here).await;
}
