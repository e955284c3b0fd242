//! Redis frozen, killed, absent: reads go on, bounded; what failed is settled later.

use std::time::{Duration, Instant};

use terrace::{BoxError, Cache, Policy, Source};

use crate::{
    redis_server::RedisServer,
    rig::{
        NUMBER, Origin, PATIENCE, Raw, eventually, healthy, in_time, millis, numbers, process_on,
        seconds, store_on,
    },
};

/// The promise is 110 ms on an idle machine; this one may be busy.
pub(crate) const WORST_ADDED: Duration = Duration::from_millis(300);
/// The promise is 2 s; polling and a busy machine get half a second.
pub(crate) const USED_AGAIN: Duration = Duration::from_millis(2_500);

pub(crate) fn used(cache: &Cache<u64>) -> bool {
    let store = cache.stats().store.expect("it has a store");
    store.healthy && !store.breaker_open
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_costs_one_read_one_deadline() {
    let server = RedisServer::start();
    let cache = process_on(&server);
    healthy(&cache).await;
    server.freeze();
    let mut worst = Duration::ZERO;
    for number in 0..5 {
        let start = Instant::now();
        let load = || async { Ok::<_, BoxError>(7) };
        cache
            .get_or_load(format!("cold {number}"), load)
            .await
            .unwrap();
        worst = worst.max(start.elapsed());
    }
    eprintln!("frozen, one reader at a time: slowest {worst:?}");
    assert!(worst <= WORST_ADDED, "{worst:?}");
    server.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_absent_at_the_start_is_used_when_it_comes() {
    let mut server = RedisServer::absent();
    let start = Instant::now();
    let cache = process_on(&server);
    assert!(
        start.elapsed() < millis(100),
        "building took {:?}",
        start.elapsed()
    );
    let origin = Origin::at(7);
    for number in 0..20 {
        let start = Instant::now();
        let read = cache
            .get_or_load(format!("k{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 7);
        assert!(start.elapsed() <= WORST_ADDED, "{:?}", start.elapsed());
    }
    assert!(!used(&cache));
    server.launch();
    let took = eventually("it is used", PATIENCE, || used(&cache)).await;
    eprintln!("absent at the start: used after {took:?}");
    assert!(took <= USED_AGAIN, "{took:?}");
    cache.set("k", 8).await.unwrap();
    assert!(Raw::on(&server).await.exists(NUMBER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_process_without_a_source_serves_what_redis_holds() {
    let server = RedisServer::start();
    let first = process_on(&server);
    first.set("k", 7).await.unwrap();
    first.close().await;
    let second = process_on(&server);
    let dead = || async { Err::<u64, _>("the source is dead") };
    let answer = second.get_or_load("k", dead).await.unwrap();
    assert_eq!((*answer, answer.source()), (7, Source::Store));
}

/// The value in Redis, written by another process, is older than what failed here.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_remove_left_in_redis_is_never_served_and_removed_on_recovery() {
    for (policy, sets) in [(Policy::TinyLfu, false), (Policy::S3Fifo, true)] {
        let server = RedisServer::start();
        let raw = Raw::on(&server).await;
        let builder = numbers().policy(policy).store(store_on(&server));
        let cache = builder.build().unwrap();
        cache.set("k", 1).await.unwrap();
        let origin = Origin::at(2);

        server.freeze();
        let error = match sets {
            true => cache.set("k", 2).await.unwrap_err(),
            false => cache.remove("k").await.unwrap_err(),
        };
        assert!(error.is_store() && error.is_timeout(), "{error}");
        assert_eq!(cache.stats().pending, 1);
        assert!(cache.peek("k").is_none());
        assert!(cache.get("k").await.unwrap().is_none());
        assert_eq!(*cache.get_or_load("k", || origin.load()).await.unwrap(), 2);

        server.thaw();
        // From the first moment on which Redis answers.
        let mut reads = 0;
        while cache.stats().pending > 0 || reads < 100 {
            let seen = cache.get_or_load("k", || origin.load()).await.unwrap();
            assert_eq!(*seen, 2, "after {reads} reads");
            if let Some(seen) = cache.get("k").await.unwrap() {
                assert_eq!(*seen, 2, "after {reads} reads");
            }
            reads += 1;
            assert!(reads < 1_000_000, "never settled");
            tokio::task::yield_now().await;
        }
        assert_eq!(cache.stats().pending, 0);
        if let Some(seen) = process_on(&server).get("k").await.unwrap() {
            assert_eq!(*seen, 2);
        }
        drop(raw);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remove_that_failed_while_redis_was_refusing_is_done_when_it_relents() {
    let (server, primary) = (RedisServer::start(), RedisServer::start());
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    cache.set("k", 1).await.unwrap();
    // A replica that keeps what it has: its primary is not asked for a full copy yet.
    raw.ask::<()>("CONFIG SET replica-serve-stale-data yes")
        .await;
    raw.ask::<()>("REPLICAOF 127.0.0.1 1").await;
    let error = cache.remove("k").await.unwrap_err();
    assert!(error.is_store() && !error.is_timeout(), "{error}");
    let origin = Origin::at(2);
    for _ in 0..10 {
        assert_eq!(*cache.get_or_load("k", || origin.load()).await.unwrap(), 2);
    }
    assert!(!cache.stats().store.unwrap().breaker_open, "it answers");
    assert!(raw.exists(NUMBER).await);
    raw.ask::<()>("REPLICAOF NO ONE").await;
    let settled = || cache.stats().pending == 0;
    eventually("the removal is done", PATIENCE, settled).await;
    assert!(!raw.exists(NUMBER).await);
    drop(primary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clear_that_failed_is_done_when_redis_is_back() {
    let server = RedisServer::start();
    let cache = process_on(&server);
    for key in ["a", "b", "c"] {
        cache.set(key, 1).await.unwrap();
    }
    server.freeze();
    assert!(cache.clear().await.unwrap_err().is_store());
    assert!(cache.stats().pending > 0);
    assert!(cache.get("a").await.unwrap().is_none());
    server.thaw();
    eventually("it is settled", PATIENCE, || cache.stats().pending == 0).await;
    for cache in [cache, process_on(&server)] {
        for key in ["a", "b", "c"] {
            assert!(cache.get(key).await.unwrap().is_none(), "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_degrades_and_is_told_nowhere() {
    let server = RedisServer::start_with(&["--requirepass", "the-right-one"]);
    let url = format!("redis://:the-wr0ng-one@127.0.0.1:{}", server.port());
    let store = terrace::RedisStore::connect(&url).unwrap();
    assert!(!format!("{store:?}").contains("wr0ng"));
    let cache = numbers().store(store).build().unwrap();
    let origin = Origin::at(7);
    for number in 0..10 {
        let read = cache
            .get_or_load(format!("k{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 7);
    }
    let error = cache.set("k", 7).await.unwrap_err();
    assert!(error.is_store());
    assert!(!format!("{error} {error:?} {cache:?}").contains("wr0ng"));
    assert!(!used(&cache));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_still_serves_reads() {
    let server = RedisServer::start();
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    cache.set("k", 7).await.unwrap();
    raw.ask::<()>("CONFIG SET maxmemory-policy noeviction")
        .await;
    raw.ask::<()>("CONFIG SET maxmemory 1").await;
    let origin = Origin::at(8);
    for number in 0..50 {
        let read = cache
            .get_or_load(format!("n{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 8);
    }
    assert!(cache.set("other", 1).await.unwrap_err().is_store());
    let fresh = process_on(&server);
    let read = fresh.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*read, read.source()), (7, Source::Store));
    let stats = cache.stats();
    assert!(
        stats.store_errors > 0 && stats.store_timeouts == 0,
        "{stats:?}"
    );
    assert!(!stats.store.unwrap().breaker_open);
    // DEL works in a full Redis.
    cache.remove("k").await.unwrap();
    assert!(!raw.exists(NUMBER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loading_redis_is_a_miss_and_used_when_it_has_loaded() {
    let mut server = RedisServer::start_with(&[
        "--key-load-delay",
        "400",
        "--loading-process-events-interval-bytes",
        "1024",
        "--enable-debug-command",
        "local",
    ]);
    let cache = process_on(&server);
    cache.set("k", 7).await.unwrap();
    let raw = Raw::on(&server).await;
    raw.ask::<()>("DEBUG POPULATE 5000").await;
    raw.ask::<()>("SAVE").await;
    drop(raw);
    server.kill();
    server.launch();
    let origin = Origin::at(8);
    for number in 0..20 {
        let start = Instant::now();
        let read = cache
            .get_or_load(format!("n{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 8);
        assert!(start.elapsed() <= WORST_ADDED, "{:?}", start.elapsed());
    }
    eventually("it is used", PATIENCE, || used(&cache)).await;
    let late = process_on(&server);
    let read = in_time("a read", late.get_or_load("k", || origin.load())).await;
    assert_eq!(*read.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_connection_is_replaced_and_no_read_fails() {
    let server = RedisServer::start();
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    healthy(&cache).await;
    let origin = Origin::at(7);
    for number in 0..50 {
        raw.ask::<u64>("CLIENT KILL TYPE normal SKIPME yes").await;
        let read = cache
            .get_or_load(format!("k{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 7);
    }
    // What settles a write that failed may take the next one with it.
    let writes = async || cache.set("k", 8).await.is_ok() && raw.exists(NUMBER).await;
    let end = Instant::now() + seconds(5);
    while !writes().await {
        assert!(Instant::now() < end, "no write gets through any more");
        tokio::time::sleep(millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_redis_has_forgotten_are_sent_again() {
    let server = RedisServer::start();
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    healthy(&cache).await;
    let origin = Origin::at(7);
    for number in 0..20 {
        raw.ask::<()>("SCRIPT FLUSH").await;
        let key = format!("k{number}");
        cache.get_or_load(&key, || origin.load()).await.unwrap();
        raw.ask::<()>("SCRIPT FLUSH").await;
        cache.set(&key, 8).await.unwrap();
        assert!(raw.exists(&format!("terrace:v:{{numbers:{key}}}")).await);
    }
    assert_eq!(cache.stats().store_errors, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_busy_with_a_script_counts_as_out_of_order() {
    let server = RedisServer::start_with(&["--busy-reply-threshold", "100"]);
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    healthy(&cache).await;
    let script = Raw::on(&server).await;
    let endless = tokio::spawn(async move {
        let words = ["EVAL", "while true do end", "0"];
        script.attempt::<()>(&words).await.unwrap_err()
    });
    let origin = Origin::at(7);
    for number in 0.. {
        let start = Instant::now();
        let read = cache
            .get_or_load(format!("k{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 7);
        assert!(start.elapsed() <= WORST_ADDED, "{:?}", start.elapsed());
        if cache.stats().store.unwrap().breaker_open {
            break;
        }
        assert!(
            number < 10_000,
            "the breaker never opens: {:?}",
            cache.stats()
        );
    }
    raw.ask::<()>("SCRIPT KILL").await;
    endless.await.unwrap();
    let took = eventually("it is used again", PATIENCE, || used(&cache)).await;
    assert!(took <= USED_AGAIN, "{took:?}");
}
