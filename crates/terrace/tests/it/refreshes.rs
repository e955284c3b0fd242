//! Loading anew: on demand, and behind a stale value.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use terrace::{
    BoxError, Source,
    testing::{Call, Faulty, ManualClock, MemoryStore},
};
use tokio::task::JoinSet;

use crate::{
    flights::joined,
    rig::{Latch, Origin, PATIENCE, POLICIES, eventually, in_time, numbers, seconds, ttl},
};

#[tokio::test]
async fn a_refresh_joins_the_load_that_runs() {
    for store in [None, Some(MemoryStore::new())] {
        let builder = numbers();
        let cache = match store {
            Some(store) => builder.store(store).build().unwrap(),
            None => builder.build().unwrap(),
        };
        let (origin, latch) = (Origin::at(7), Latch::closed());
        let miss = tokio::spawn({
            let (cache, load) = (cache.clone(), origin.held_load(&latch));
            async move { cache.get_or_load("k", || load).await }
        });
        latch.reached().await;
        let refresh = tokio::spawn({
            let (cache, load) = (cache.clone(), origin.load());
            async move { cache.refresh("k", || load).await }
        });
        joined(&cache, 1).await;
        latch.open();
        assert_eq!(*miss.await.unwrap().unwrap(), 7);
        assert_eq!(*in_time("the refresh", refresh).await.unwrap().unwrap(), 7);
        assert_eq!(origin.loads(), 1);
    }
}

#[tokio::test]
async fn a_refresh_loads_anew_although_the_value_is_fresh() {
    for policy in POLICIES {
        let memory = MemoryStore::new();
        let here = numbers()
            .policy(policy)
            .store(memory.sibling())
            .build()
            .unwrap();
        let elsewhere = numbers().store(memory.sibling()).build().unwrap();
        here.set("k", 1).await.unwrap();
        let origin = Origin::at(2);
        let anew = here.refresh("k", || origin.load()).await.unwrap();
        assert_eq!((*anew, anew.source()), (2, Source::Loader));
        assert_eq!(*here.peek("k").unwrap(), 2);
        assert_eq!(*elsewhere.get("k").await.unwrap().unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_refreshes_at_once_are_one_load_even_if_it_fails() {
    for fails in [false, true] {
        let cache = numbers().store(MemoryStore::new()).build().unwrap();
        cache.set("k", 1).await.unwrap();
        let (latch, loads) = (Latch::closed(), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let (cache, latch, loads) = (cache.clone(), latch.clone(), Arc::clone(&loads));
            tasks.spawn(async move {
                let load = async move {
                    loads.fetch_add(1, SeqCst);
                    latch.pass().await;
                    if fails {
                        Err::<u64, BoxError>("sulking".into())
                    } else {
                        Ok(2)
                    }
                };
                cache.refresh("k", || load).await
            });
        }
        joined(&cache, 99).await;
        latch.open();
        while let Some(answer) = in_time("a refresh", tasks.join_next()).await {
            let entry = answer.unwrap().expect("the value at hand stands in");
            assert_eq!(*entry, if fails { 1 } else { 2 });
        }
        assert_eq!(loads.load(SeqCst), 1, "loads, failing: {fails}");
    }
}

#[tokio::test]
async fn a_refresh_that_fails_costs_nobody_the_value_at_hand() {
    let memory = MemoryStore::new();
    let cache = numbers().store(memory.sibling()).build().unwrap();
    cache.set("k", 1).await.unwrap();
    let failed = cache
        .refresh("k", || async { Err::<u64, BoxError>("sulking".into()) })
        .await;
    assert_eq!(*failed.expect("the value at hand stands in"), 1);
    assert_eq!(cache.peek("k").as_deref(), Some(&1));
}

#[tokio::test]
async fn one_refresh_runs_behind_a_stale_value_however_many_read_it() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let store = Faulty::over(memory);
    let faults = store.faults().clone();
    let options = ttl(10).stale_while_revalidate(seconds(30));
    let builder = numbers().defaults(options).clock(time.clock());
    let cache = builder.store(store).build().unwrap();
    let (origin, latch) = (Origin::at(1), Latch::closed());
    cache.get_or_load("k", || origin.load()).await.unwrap();
    eventually("it is in L1", PATIENCE, || cache.peek("k").is_some()).await;
    time.advance(seconds(10));
    origin.change_to(2);
    for _ in 0..100 {
        let stale = cache
            .get_or_load("k", || origin.held_load(&latch))
            .await
            .unwrap();
        assert_eq!(
            (*stale, stale.is_stale(), stale.source()),
            (1, true, Source::Local)
        );
        assert_eq!(stale.age(), seconds(10));
    }
    latch.reached().await;
    assert_eq!((origin.loads(), cache.stats().stale_hits), (2, 100));
    latch.open();
    let renewed = || cache.peek("k").as_deref() == Some(&2);
    eventually("the refresh lands", PATIENCE, renewed).await;
    assert!(!cache.peek("k").unwrap().is_stale());
    assert_eq!(faults.calls(Call::Fill), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_that_wait_for_another_process_share_its_load() {
    let memory = MemoryStore::new();
    let process = || numbers().store(memory.sibling()).build().unwrap();
    let (here, elsewhere) = (process(), process());
    elsewhere.set("k", 1).await.unwrap();
    // The value to be replaced is fresh in L1.
    assert_eq!(*here.get("k").await.unwrap().unwrap(), 1);
    let (origin, latch) = (Origin::at(2), Latch::closed());
    let loading = tokio::spawn({
        let (elsewhere, load) = (elsewhere.clone(), origin.held_load(&latch));
        async move { elsewhere.refresh("k", || load).await }
    });
    latch.reached().await;
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (here, load) = (here.clone(), origin.load());
        tasks.spawn(async move { here.refresh("k", || load).await });
    }
    joined(&here, 49).await;
    let waits = || here.stats().lease_waits == 1;
    eventually("they wait for the other process", PATIENCE, waits).await;
    latch.open();
    assert_eq!(*loading.await.unwrap().unwrap(), 2);
    while let Some(answer) = in_time("a refresh", tasks.join_next()).await {
        assert_eq!(*answer.unwrap().unwrap(), 2);
    }
    assert_eq!(origin.loads(), 1);
}
