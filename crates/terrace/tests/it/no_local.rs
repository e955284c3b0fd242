//! A cache without an L1: what processes share and none may hold an older copy of.

use terrace::{
    BoxError, Cache, Coherence, EntryOptions, Source,
    testing::{Call, Fault, Faulty, Hold, ManualClock, MemoryStore},
};

use crate::redis_server::RedisServer;
use crate::rig::{Origin, PATIENCE, eventually, in_time, millis, numbers, seconds, store_on};

fn shared(memory: &MemoryStore) -> Cache<u64> {
    numbers().no_local().store(memory.clone()).build().unwrap()
}

fn two_processes() -> (Cache<u64>, Cache<u64>, MemoryStore) {
    let memory = MemoryStore::new();
    (shared(&memory), shared(&memory.sibling()), memory)
}

async fn reads(cache: &Cache<u64>) -> Option<u64> {
    cache.get("k").await.unwrap().map(|entry| *entry)
}

#[tokio::test]
async fn each_read_is_the_stores_and_nothing_is_kept() {
    let (here, elsewhere, _memory) = two_processes();
    for number in 1..=20 {
        let (writer, reader) = if number % 2 == 0 {
            (&here, &elsewhere)
        } else {
            (&elsewhere, &here)
        };
        writer.set("k", number).await.unwrap();
        for cache in [reader, writer] {
            let entry = cache.get("k").await.unwrap().unwrap();
            assert_eq!((*entry, entry.source()), (number, Source::Store));
            assert!(cache.peek("k").is_none());
        }
    }
    let stats = here.stats();
    assert_eq!((stats.entries, stats.capacity, stats.hits), (0, 0, 0));
}

#[tokio::test]
async fn a_removal_is_seen_by_the_next_read_of_anybody() {
    let (here, elsewhere, _memory) = two_processes();
    here.set("k", 1).await.unwrap();
    elsewhere.remove("k").await.unwrap();
    assert_eq!(reads(&here).await, None);
    here.set("k", 2).await.unwrap();
    elsewhere.clear().await.unwrap();
    assert_eq!(reads(&here).await, None);
}

#[tokio::test]
async fn over_redis_it_is_the_same() {
    let server = RedisServer::start();
    let process = || {
        numbers()
            .no_local()
            .store(store_on(&server))
            .build()
            .unwrap()
    };
    let (here, elsewhere): (Cache<u64>, Cache<u64>) = (process(), process());
    eventually("the link is up", PATIENCE, || {
        here.stats().store.unwrap().hearing
    })
    .await;
    here.set("k", 1).await.unwrap();
    assert_eq!(reads(&elsewhere).await, Some(1));
    elsewhere.remove("k").await.unwrap();
    assert_eq!(reads(&here).await, None);
    drop(server);
    assert!(here.get("k").await.unwrap_err().is_store());
}

#[tokio::test]
async fn callers_of_two_processes_share_one_load() {
    let (here, elsewhere, _memory) = two_processes();
    let origin = Origin::at(7);
    let calls = (0..50).map(|number| {
        let (cache, origin) = if number % 2 == 0 {
            (&here, &origin)
        } else {
            (&elsewhere, &origin)
        };
        cache.get_or_load("k", || origin.load())
    });
    let loads = in_time("fifty callers", futures_util::future::join_all(calls)).await;
    assert!(loads.into_iter().all(|entry| *entry.unwrap() == 7));
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_store_that_fails_is_an_error_and_never_an_absence() {
    let (here, _elsewhere, memory) = two_processes();
    assert_eq!(reads(&here).await, None);
    memory.cut();
    assert!(here.get("k").await.unwrap_err().is_store());
    let loaded = here
        .get_or_load("k", || async { Ok::<_, BoxError>(3) })
        .await
        .unwrap();
    assert_eq!((*loaded, loaded.source()), (3, Source::Loader));
    assert!(
        here.get("k").await.unwrap_err().is_store(),
        "what was loaded was kept nowhere"
    );
}

#[tokio::test]
async fn a_key_whose_removal_failed_cannot_be_read_until_that_is_settled() {
    let (here, elsewhere, memory) = two_processes();
    here.set("k", 1).await.unwrap();
    memory.cut();
    here.remove("k").await.unwrap_err();
    memory.restore();
    assert!(!matches!(here.get("k").await, Ok(Some(_))), "removed here");
    eventually("it is settled", PATIENCE, || here.stats().pending == 0).await;
    assert_eq!((reads(&here).await, reads(&elsewhere).await), (None, None));
}

/// The store has just answered with a value that nobody proves: that is no absence.
#[tokio::test]
async fn a_value_that_may_not_be_served_is_an_error_and_never_an_absence() {
    let store = Faulty::over(MemoryStore::new());
    let faults = store.faults().clone();
    let required = EntryOptions::ttl(seconds(60)).coherence(Coherence::Required);
    let builder = numbers().no_local().store(store).defaults(required);
    let cache = builder.store_timeout(millis(100)).build().unwrap();
    cache.set("k", 7).await.unwrap();
    faults.always(Call::Heartbeat, Fault::Unreachable);
    let lapsed = || {
        let cache = cache.clone();
        async move { cache.get("k").await.is_err() }
    };
    in_time("its proof runs out", async {
        while !lapsed().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(cache.get("k").await.unwrap_err().is_store());
}

/// Compare and set: a refresh whose load looks at what is there, under the lease.
async fn raise(cache: &Cache<u64>, least: u64) -> u64 {
    let looking = cache.clone();
    let raising = cache.refresh("k", || async move {
        let there = looking.get("k").await?.map_or(0, |entry| *entry);
        Ok::<_, BoxError>(least.max(there))
    });
    *in_time("a refresh", raising).await.unwrap()
}

#[tokio::test]
async fn a_refresh_may_look_at_what_it_replaces() {
    let (here, elsewhere, _memory) = two_processes();
    assert_eq!(raise(&here, 5).await, 5);
    eventually_reads(&elsewhere, 5).await;
    assert_eq!(raise(&elsewhere, 3).await, 5);
    assert_eq!(raise(&elsewhere, 8).await, 8);
    eventually_reads(&here, 8).await;
}

async fn eventually_reads(cache: &Cache<u64>, wanted: u64) {
    let reading = async {
        while reads(cache).await != Some(wanted) {
            tokio::task::yield_now().await;
        }
    };
    in_time("the value is there", reading).await;
}

/// Stopped between its look and its write, say, for longer than its lease.
#[tokio::test]
async fn whoever_lost_his_lease_does_not_overwrite_what_came_after_it() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let slow = Faulty::over(memory.sibling());
    let (held, faults) = (Hold::new(), slow.faults().clone());
    let brief = EntryOptions::ttl(seconds(60)).load_timeout(millis(500));
    let builder = || {
        let builder = numbers().no_local().defaults(brief.clone());
        builder.clock(time.clock()).max_staleness(seconds(60))
    };
    let frozen = builder()
        .store(slow)
        .store_timeout(seconds(30))
        .build()
        .unwrap();
    let other = builder().store(memory).build().unwrap();
    faults.once(Call::Fill, Fault::Late(held.clone()));
    assert_eq!(raise(&frozen, 1).await, 1);
    in_time("the write is on its way", held.reached(1)).await;
    time.advance(seconds(2));
    assert_eq!(raise(&other, 10).await, 10);
    held.open();
    eventually("the late write is refused", PATIENCE, || {
        frozen.stats().refused == 1
    })
    .await;
    assert_eq!(
        (reads(&frozen).await, reads(&other).await),
        (Some(10), Some(10))
    );
}
