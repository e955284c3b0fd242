//! Stale values: who may still get one, how old it says it is, when it stands in.

use terrace::{
    BoxError, Builder, Cache, Loaded, Source,
    testing::{Call, Faulty, ManualClock, MemoryStore},
};
use tokio::task::JoinHandle;

use crate::rig::{Latch, Origin, PATIENCE, eventually, in_time, numbers, seconds, ttl};

const DAY: u64 = 86_400;

async fn fails() -> Result<u64, BoxError> {
    Err("the source is down".into())
}

/// Starts a read of "k" whose load waits at the latch, and then fails.
async fn failing_read(
    cache: &Cache<u64>,
    latch: &Latch,
) -> JoinHandle<Result<terrace::Entry<u64>, terrace::Error>> {
    let (cache, held) = (cache.clone(), latch.clone());
    let load = async move {
        held.pass().await;
        fails().await
    };
    let read = tokio::spawn(async move { cache.get_or_load("k", || load).await });
    latch.reached().await;
    read
}

/// A cache whose "k" is 15 s old in L2, fresh for 10 s and of use for 40 s; its
/// reader has got it, and the load behind is held.
async fn behind(builder: Builder<u64>, time: &ManualClock, latch: &Latch) -> Cache<u64> {
    let memory = MemoryStore::with_clock(time.clock());
    let options = ttl(10).stale_while_revalidate(seconds(30));
    let process = |builder: Builder<u64>| {
        let builder = builder.defaults(options.clone()).clock(time.clock());
        builder.store(memory.sibling()).build().unwrap()
    };
    process(numbers()).set("k", 1).await.unwrap();
    time.advance(seconds(15));
    let (cache, origin) = (process(builder), Origin::at(2));
    let first = cache.get_or_load("k", || origin.held_load(latch)).await;
    let first = first.unwrap();
    assert_eq!((*first, first.source()), (1, Source::Store));
    assert_eq!((first.age(), first.is_stale()), (seconds(15), true));
    latch.reached().await;
    cache
}

#[tokio::test]
async fn who_comes_after_the_window_waits_for_the_load_that_runs_behind() {
    let (time, latch) = (ManualClock::new(), Latch::closed());
    let cache = behind(numbers(), &time, &latch).await;
    time.advance(seconds(3_600));
    let late = tokio::spawn({
        let cache = cache.clone();
        async move {
            cache
                .get_or_load("k", || async { Ok::<_, BoxError>(2) })
                .await
        }
    });
    let waits = || cache.stats().joined > 0 || late.is_finished();
    eventually("it has joined", PATIENCE, waits).await;
    latch.open();
    let late = in_time("the late reader", late).await.unwrap().unwrap();
    assert_eq!((*late, late.is_stale()), (2, false));
}

#[tokio::test]
async fn who_joins_within_the_window_gets_the_stale_value_with_its_age_of_now() {
    let (time, latch) = (ManualClock::new(), Latch::closed());
    // Too heavy for L1: whoever comes joins the flight.
    let heavy = numbers().weighed_capacity(1, |_, _| 100);
    let cache = behind(heavy, &time, &latch).await;
    assert!(cache.peek("k").is_none());
    time.advance(seconds(10));
    let load = || async { Ok::<_, BoxError>(3) };
    let joiner = in_time("a joiner", cache.get_or_load("k", load)).await;
    let joiner = joiner.unwrap();
    assert_eq!((*joiner, joiner.is_stale()), (1, true));
    assert_eq!(joiner.age(), seconds(25));
    latch.open();
}

#[tokio::test]
async fn writes_of_other_keys_do_not_cost_a_failing_load_its_stand_in() {
    let time = ManualClock::new();
    let options = ttl(10).stale_if_error(seconds(1_000));
    let builder = numbers().defaults(options).clock(time.clock());
    let cache = builder.capacity(200_000).build().unwrap();
    cache.set("k", 1).await.unwrap();
    time.advance(seconds(11));
    let latch = Latch::closed();
    let read = failing_read(&cache, &latch).await;
    for number in 0..50_000 {
        cache.set(format!("other {number}"), number).await.unwrap();
    }
    latch.open();
    let answer = read.await.unwrap().expect("the stale value stands in");
    assert_eq!((*answer, answer.is_stale()), (1, true));
}

#[tokio::test]
async fn what_is_removed_during_a_failing_load_does_not_stand_in_for_it() {
    for clears in [false, true] {
        for stored in [false, true] {
            let time = ManualClock::new();
            let options = ttl(10).stale_if_error(seconds(1_000));
            let mut builder = numbers().defaults(options).clock(time.clock());
            if stored {
                builder = builder.store(MemoryStore::with_clock(time.clock()));
            }
            let cache = builder.build().unwrap();
            cache.set("k", 1).await.unwrap();
            time.advance(seconds(11));
            let latch = Latch::closed();
            let read = failing_read(&cache, &latch).await;
            match clears {
                false => cache.remove("k").await.unwrap(),
                true => cache.clear().await.unwrap(),
            }
            latch.open();
            let error = read.await.unwrap().expect_err("it was removed");
            assert!(error.is_load(), "clears {clears}, stored {stored}: {error}");
        }
    }
}

#[tokio::test]
async fn a_refresh_that_fails_answers_with_the_fresh_value_and_where_it_was() {
    let memory = MemoryStore::new();
    let process = || numbers().store(memory.sibling()).build().unwrap();
    let alone = numbers().build().unwrap();
    alone.set("k", 1).await.unwrap();
    let (writer, reader) = (process(), process());
    writer.set("k", 1).await.unwrap();
    for cache in [alone, writer, reader] {
        let answer = cache.refresh("k", fails).await.expect("it is fresh");
        assert_eq!((*answer, answer.is_stale()), (1, false));
        assert_ne!(answer.source(), Source::Loader);
        let origin = Origin::at(2);
        let read = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!((*read, origin.loads()), (1, 0), "readers keep it");
    }
}

#[tokio::test]
async fn a_refresh_whose_value_is_not_to_be_stored_ends_the_value_it_replaces() {
    for stored in [false, true] {
        let store = Faulty::over(MemoryStore::new());
        let faults = store.faults().clone();
        let cache = match stored {
            true => numbers().store(store).build().unwrap(),
            false => numbers().build().unwrap(),
        };
        cache.set("k", 1).await.unwrap();
        let secret = || async { Ok::<_, BoxError>(Loaded::new(2).do_not_store()) };
        let answer = cache.refresh("k", secret).await.unwrap();
        assert_eq!((*answer, answer.source()), (2, Source::Loader));
        assert!(cache.peek("k").is_none(), "stored {stored}");
        if stored {
            let released = || faults.calls(Call::Release) == 1;
            eventually("the lease is given back", PATIENCE, released).await;
            continue;
        }
        let origin = Origin::at(3);
        let next = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!((*next, next.source()), (3, Source::Loader));
    }
}

#[tokio::test]
async fn windows_longer_than_forty_nine_days_are_kept() {
    let time = ManualClock::new();
    let options = ttl(1).stale_if_error(seconds(300 * DAY));
    let builder = numbers().defaults(options).clock(time.clock());
    let cache = builder.build().unwrap();
    cache.set("k", 1).await.unwrap();
    time.advance(seconds(60 * DAY));
    let answer = cache.get_or_load("k", fails).await;
    assert_eq!(*answer.expect("the stale value stands in"), 1);
    time.advance(seconds(241 * DAY));
    assert!(cache.get_or_load("k", fails).await.unwrap_err().is_load());
}
