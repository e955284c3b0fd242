//! A lease is given back, however its load, its fill or its own answer fares.

use std::time::{Duration, Instant};

use terrace::{
    BoxError, Cache, Loaded, Source,
    testing::{Call, Fault, Faults, Faulty, Hold, MemoryStore},
};

use crate::{
    redis_server::RedisServer,
    rig::{
        Latch, NUMBER_LEASE, Origin, PATIENCE, Raw, eventually, healthy, in_time, millis, numbers,
        process_on, seconds, store_on, ttl,
    },
};

/// A lease that nobody gives back is held for 11 s.
const QUICK: Duration = Duration::from_millis(1_500);

/// A cache over a store with faults, with the deadline of every day, and a second
/// process on the same store without.
struct Pair {
    here: Cache<u64>,
    elsewhere: Cache<u64>,
    faults: Faults,
}

fn pair() -> Pair {
    let memory = MemoryStore::new();
    let store = Faulty::over(memory.sibling());
    let faults = store.faults().clone();
    let here = numbers().store(store).build().unwrap();
    let elsewhere = numbers().store(memory).build().unwrap();
    Pair {
        here,
        elsewhere,
        faults,
    }
}

/// A read that must not wait for a lease that nobody needs any more.
async fn reads_quickly(what: &str, cache: &Cache<u64>, within: Duration) -> (u64, Source) {
    let start = Instant::now();
    let load = || async { Ok::<_, BoxError>(8) };
    let read = in_time(what, cache.get_or_load("k", load)).await.unwrap();
    let took = start.elapsed();
    assert!(took < within, "{what}: took {took:?}");
    (*read, read.source())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_redis_gave_after_its_caller_left_holds_nobody_up() {
    let server = RedisServer::start();
    let options = ttl(60).load_timeout(seconds(10));
    let builder = numbers().defaults(options).store(store_on(&server));
    let cache = builder.local_ttl(millis(300)).build().unwrap();
    healthy(&cache).await;
    // Nearly all are misses: readers ask for the lease first.
    for number in 0..40 {
        let load = || async { Ok::<_, BoxError>(1) };
        let key = format!("m{number}");
        cache.get_or_load(key, load).await.unwrap();
    }
    server.freeze();
    let load = || async { Ok::<_, BoxError>(7) };
    assert_eq!(*cache.get_or_load("k", load).await.unwrap(), 7);
    server.thaw();
    let gone = || cache.peek("k").is_none();
    eventually("it leaves L1", PATIENCE, gone).await;
    assert_eq!(reads_quickly("a cold read", &cache, QUICK).await.0, 8);
    let elsewhere = process_on(&server);
    reads_quickly("another process", &elsewhere, QUICK).await;
}

#[tokio::test]
async fn a_lease_whose_answer_is_lost_is_given_back() {
    for fault in [Fault::AnswerHeld(Hold::new()), Fault::Unanswered] {
        let it = pair();
        it.faults.always(Call::Lease, fault.clone());
        let origin = Origin::at(7);
        let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(*read, 7);
        let what = format!("another process after {fault:?}");
        let seen = reads_quickly(&what, &it.elsewhere, QUICK).await;
        assert_eq!(seen, (8, Source::Loader));
    }
}

#[tokio::test]
async fn a_lease_that_cannot_be_given_back_is_given_back_when_the_store_answers_again() {
    let it = pair();
    it.faults.always(Call::Lease, Fault::Unanswered);
    it.faults.always(Call::Release, Fault::Unreachable);
    it.faults.always(Call::Heartbeat, Fault::Unreachable);
    let origin = Origin::at(7);
    let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!(*read, 7);
    let tried = || it.faults.calls(Call::Release) > 0;
    eventually("the lease is offered back", seconds(5), tried).await;
    it.faults.heal();
    // A probe comes every 1.2 s at the latest.
    reads_quickly("another process", &it.elsewhere, seconds(3)).await;
}

#[tokio::test]
async fn a_value_that_the_store_refuses_is_kept_in_l1_and_its_lease_given_back() {
    let it = pair();
    it.faults.always(Call::Fill, Fault::Refused);
    let origin = Origin::at(7);
    let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*read, read.source()), (7, Source::Loader));
    let kept = || it.here.peek("k").is_some();
    eventually("it is in L1", seconds(5), kept).await;
    let again = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*again, again.source()), (7, Source::Local));
    assert_eq!(origin.loads(), 1);
    let seen = reads_quickly("another process", &it.elsewhere, QUICK).await;
    assert_eq!(seen, (8, Source::Loader));
}

#[tokio::test]
async fn a_fill_of_unknown_outcome_is_not_kept_and_its_lease_is_given_back() {
    let faults = [
        (Fault::Unreachable, (8, Source::Loader)),
        (Fault::Hangs, (8, Source::Loader)),
        (Fault::Unanswered, (7, Source::Store)),
        (Fault::AnswerHeld(Hold::new()), (7, Source::Store)),
    ];
    for (fault, expected) in faults {
        let it = pair();
        it.faults.always(Call::Fill, fault.clone());
        let origin = Origin::at(7);
        let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!((*read, read.source()), (7, Source::Loader));
        let what = format!("another process after {fault:?}");
        let seen = reads_quickly(&what, &it.elsewhere, QUICK).await;
        assert_eq!(seen, expected, "{fault:?}");
        let failed = || it.here.stats().store_errors > 0;
        eventually("the fill has failed", PATIENCE, failed).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(it.here.peek("k").is_none(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_cache_that_is_closed_during_a_load_gives_the_lease_back() {
    let it = pair();
    let (origin, latch) = (Origin::at(7), Latch::closed());
    let loading = tokio::spawn({
        let (here, load) = (it.here.clone(), origin.held_load(&latch));
        async move { here.get_or_load("k", || load).await }
    });
    latch.reached().await;
    it.here.close().await;
    assert!(loading.await.unwrap().unwrap_err().is_closed());
    let seen = reads_quickly("another process", &it.elsewhere, QUICK).await;
    assert_eq!(seen, (8, Source::Loader));
}

#[tokio::test]
async fn a_lease_without_an_end_is_replaced_at_once() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    let cache = process_on(&server);
    healthy(&cache).await;
    for put in [
        "SET terrace:l:{numbers:k} x",
        "HSET terrace:l:{numbers:k} a b",
    ] {
        cache.remove("k").await.unwrap();
        let _: redis::Value = raw.ask(put).await;
        let seen = reads_quickly(put, &cache, QUICK).await;
        assert_eq!(seen, (8, Source::Loader), "{put}");
        let kept = || cache.peek("k").is_some();
        eventually("it is stored", PATIENCE, kept).await;
        assert!(!raw.exists(NUMBER_LEASE).await, "{put}");
        let fresh = process_on(&server);
        let stored = reads_quickly("another process", &fresh, QUICK).await;
        assert_eq!(stored, (8, Source::Store), "{put}");
    }
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_not_shared_while_the_lease_goes_back() {
    let it = pair();
    let answer = Hold::new();
    it.faults
        .always(Call::Release, Fault::AnswerHeld(answer.clone()));
    let secret = || async { Ok::<_, BoxError>(Loaded::new(7).do_not_store()) };
    assert_eq!(*it.here.get_or_load("k", secret).await.unwrap(), 7);
    answer.reached(1).await;
    let later = || async { Ok::<_, BoxError>(8) };
    let read = in_time("a later read", it.here.get_or_load("k", later)).await;
    assert_eq!(*read.unwrap(), 8);
    answer.open();
}
