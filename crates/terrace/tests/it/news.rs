//! What others change in the store is void here, told by the store itself.

use std::time::{Duration, Instant};

use terrace::{BoxError, Cache, Loaded, RedisStore, Source, testing::MemoryStore};

use crate::{
    proxy::{Flow, Proxy},
    redis_server::RedisServer,
    rig::{
        Latch, NUMBER, Origin, PATIENCE, Raw, bounded, eventually, held_and_proven, in_time,
        numbers, patient_process_on, reads, seconds,
    },
};

/// A waiter that is not told asks every 100 ms: it comes 50 ms late on average.
const WAKES_WITHIN: Duration = Duration::from_millis(20);

/// Two processes, on Redis or on a store in memory.
struct Pair {
    here: Cache<u64>,
    elsewhere: Cache<u64>,
    _server: Option<RedisServer>,
}

fn pairs() -> [Pair; 2] {
    let (memory, server) = (MemoryStore::new(), RedisServer::start());
    let over_memory = || numbers().store(memory.sibling()).build().unwrap();
    [
        Pair {
            here: over_memory(),
            elsewhere: over_memory(),
            _server: None,
        },
        Pair {
            here: patient_process_on(&server),
            elsewhere: patient_process_on(&server),
            _server: Some(server),
        },
    ]
}

#[tokio::test]
async fn what_another_process_changes_is_void_here() {
    for it in pairs() {
        for round in 1..=20 {
            it.here.set("k", 1).await.unwrap();
            held_and_proven(&it.here, "k").await;
            match round % 2 {
                0 => it.elsewhere.remove("k").await.unwrap(),
                _ => drop(it.elsewhere.set("k", 2).await.unwrap()),
            }
            let void = || it.here.peek("k").is_none();
            eventually("it is void", PATIENCE, void).await;
            let seen = it.here.get("k").await.unwrap().map(|seen| *seen);
            assert_eq!(seen, (round % 2 == 1).then_some(2));
        }
        let stats = it.here.stats();
        assert!(stats.changes_heard >= 20, "{stats:?}");
        assert_eq!((stats.confirmed, stats.outdated), (0, 0), "nobody asked");
    }
}

#[tokio::test]
async fn whatever_another_program_does_to_a_key_in_redis_voids_it_here() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    raw.ask::<()>("SET donor junk").await;
    for line in [
        "SET terrace:v:{numbers:k} junk",
        "SET terrace:v:{numbers:k} junk KEEPTTL",
        "DEL terrace:v:{numbers:k}",
        "UNLINK terrace:v:{numbers:k}",
        "EXPIRE terrace:v:{numbers:k} 1000",
        "PEXPIRE terrace:v:{numbers:k} 20",
        "PERSIST terrace:v:{numbers:k}",
        "APPEND terrace:v:{numbers:k} x",
        "SETRANGE terrace:v:{numbers:k} 3 x",
        "RENAME terrace:v:{numbers:k} gone",
        "COPY donor terrace:v:{numbers:k} REPLACE",
        "MOVE terrace:v:{numbers:k} 7",
        "GETDEL terrace:v:{numbers:k}",
        "EVAL return(redis.call('DEL',KEYS[1])) 1 terrace:v:{numbers:k}",
        "DEL terrace:l:{numbers:k} terrace:v:{numbers:k}",
        "FLUSHDB",
    ] {
        cache.set("k", 1).await.unwrap();
        held_and_proven(&cache, "k").await;
        let before = cache.stats();
        raw.ask::<redis::Value>(line).await;
        eventually(line, PATIENCE, || cache.peek("k").is_none()).await;
        let heard = || {
            let now = cache.stats();
            now.changes_heard > before.changes_heard || now.gaps > before.gaps
        };
        eventually(line, PATIENCE, heard).await;
    }
}

#[tokio::test]
async fn a_key_that_redis_evicts_or_renames_over_is_void_here() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    cache.set("k", 1).await.unwrap();
    cache.set("other", 2).await.unwrap();
    held_and_proven(&cache, "k").await;
    raw.ask::<()>("RENAME terrace:v:{numbers:other} terrace:v:{numbers:k}")
        .await;
    eventually("it is void", PATIENCE, || cache.peek("k").is_none()).await;
    assert!(
        cache.get("k").await.unwrap().is_none(),
        "another's envelope"
    );
    assert_eq!(cache.stats().store_foreign, 1);

    cache.set("k", 3).await.unwrap();
    held_and_proven(&cache, "k").await;
    raw.ask::<()>("CONFIG SET maxmemory-policy allkeys-random")
        .await;
    raw.ask::<()>("CONFIG SET maxmemory 1").await;
    eventually("it is void", PATIENCE, || cache.peek("k").is_none()).await;
    raw.ask::<()>("CONFIG SET maxmemory 0").await;
    assert!(!raw.exists(NUMBER).await);
}

/// Races 9 and 10: a write registers nothing with Redis, and takes away what a read had.
#[tokio::test]
async fn own_writes_keep_l1_and_stay_tracked() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    let origin = Origin::at(1);
    held_and_proven_after(&cache, async || drop(cache.set("warm", 1).await)).await;
    for round in 0..40_u64 {
        let heard = cache.stats().changes_heard;
        match round % 4 {
            0 => drop(cache.set("k", round).await.unwrap()),
            1 => {
                // Read, and so tracked; then written.
                cache.get("k").await.unwrap();
                cache.set("k", round).await.unwrap();
            }
            2 => drop(cache.get_or_load("k", || origin.load()).await.unwrap()),
            _ => drop(cache.refresh("k", || origin.load()).await.unwrap()),
        }
        let kept = || cache.peek("k").is_some_and(|seen| seen.proven());
        eventually("L1 has it, and vouches for it", PATIENCE, kept).await;
        assert_eq!(cache.stats().changes_heard, heard, "an echo in {round}");
        raw.ask::<u64>("DEL terrace:v:{numbers:k}").await;
        let void = || cache.peek("k").is_none();
        eventually("somebody else's change is heard", PATIENCE, void).await;
    }
    assert_eq!(
        cache.stats().gaps,
        1,
        "the first connection is the only gap"
    );
}

async fn held_and_proven_after(cache: &Cache<u64>, write: impl AsyncFnOnce()) {
    write().await;
    held_and_proven(cache, "warm").await;
}

#[tokio::test]
async fn two_processes_that_take_turns_to_write_always_end_equal() {
    for it in pairs() {
        let mut slowest = Duration::ZERO;
        for round in 0..200 {
            let (writer, reader) = match round % 2 {
                0 => (&it.here, &it.elsewhere),
                _ => (&it.elsewhere, &it.here),
            };
            writer.set("k", round).await.unwrap();
            assert_eq!(writer.get("k").await.unwrap().as_deref(), Some(&round));
            slowest = slowest.max(reads(reader, "k", Some(round)).await);
        }
        eprintln!("taking turns: the other one saw it after {slowest:?} at the latest");
    }
}

/// How a lease that another process waits for comes free.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Fill,
    Release,
    Removal,
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lease_is_woken_and_need_not_ask() {
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let waiter = numbers().store_timeout(seconds(5));
    let waiter = waiter.store(store).build().unwrap();
    let (holder, third) = (patient_process_on(&server), patient_process_on(&server));
    let mut took = Vec::new();
    for ends in [Ends::Fill, Ends::Release, Ends::Removal].repeat(5) {
        let key = format!("k{}", took.len());
        let (latch, origin) = (Latch::closed(), Origin::at(2));
        let holding = tokio::spawn({
            let (holder, key, latch) = (holder.clone(), key.clone(), latch.clone());
            let load = async move {
                latch.pass().await;
                let loaded = Loaded::new(1);
                Ok::<_, BoxError>(match ends {
                    Ends::Release => loaded.do_not_store(),
                    _ => loaded,
                })
            };
            async move { holder.get_or_load(key, || load).await }
        });
        latch.reached().await;
        let asked = proxy.commands("EVALSHA");
        let waiting = tokio::spawn({
            let (waiter, key, load) = (waiter.clone(), key.clone(), origin.load());
            async move {
                let answer = waiter.get_or_load(key, || load).await.unwrap();
                (*answer, Instant::now())
            }
        });
        // Its next question is 80 ms away at least.
        let patient = || proxy.commands("EVALSHA") >= asked + 6;
        eventually("it has asked often", PATIENCE, patient).await;
        let start = Instant::now();
        match ends {
            Ends::Removal => third.remove(&key).await.unwrap(),
            Ends::Fill | Ends::Release => latch.open(),
        }
        let (value, end) = in_time("the waiter", waiting).await.unwrap();
        assert_eq!(value, if matches!(ends, Ends::Fill) { 1 } else { 2 });
        took.push(end - start);
        latch.open();
        holding.await.unwrap().unwrap();
    }
    took.sort();
    eprintln!("woken after {took:?}");
    assert!(took[took.len() / 2] < WAKES_WITHIN, "{took:?}");
}

/// Protocol C5: neither the value's nor the lease's key would be told without the
/// read that ends the lease script.
#[tokio::test]
async fn who_comes_after_a_removal_elsewhere_does_not_join_the_load_from_before_it() {
    for it in pairs() {
        let (origin, latch) = (Origin::at(1), Latch::closed());
        held_and_proven_after(&it.here, async || drop(it.here.set("warm", 1).await)).await;
        let doomed = tokio::spawn({
            let (here, load) = (it.here.clone(), origin.held_load(&latch));
            async move { here.get_or_load("k", || load).await }
        });
        latch.reached().await;
        let heard = it.here.stats().changes_heard;
        origin.change_to(2);
        it.elsewhere.remove("k").await.unwrap();
        let told = || it.here.stats().changes_heard > heard;
        eventually("the removal is heard", PATIENCE, told).await;
        let after = it.here.get_or_load("k", || origin.load());
        let after = in_time("who comes later", after).await.unwrap();
        assert_eq!((*after, after.source()), (2, Source::Loader));
        latch.open();
        assert_eq!(*doomed.await.unwrap().unwrap(), 1, "it overlaps");
        reads(&it.elsewhere, "k", Some(2)).await;
        assert_eq!(it.here.get("k").await.unwrap().as_deref(), Some(&2));
    }
}

/// Ends the connections whose last command was a canary's.
async fn end_canaries(raw: &Raw) {
    let clients: String = raw.ask("CLIENT LIST").await;
    let canaries = clients.lines().filter(|line| line.contains(" cmd=set "));
    for canary in canaries {
        let id = canary.split(' ').next().unwrap().replace("id=", "");
        raw.ask::<u64>(&format!("CLIENT KILL ID {id}")).await;
    }
}

/// Nothing comes through it any more although it is up.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_that_falls_silent_is_replaced() {
    let server = RedisServer::start();
    let (proxy, raw) = (Proxy::before(&server).await, Raw::on(&server).await);
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let cache = bounded().store(store).build().unwrap();
    let lag = || cache.stats().store.unwrap().lag;
    eventually("a canary is heard", PATIENCE, || lag().is_some()).await;
    // Another takes its place, on a lane of its own.
    let _first = proxy.leave_behind();
    end_canaries(&raw).await;
    let connections = || proxy.traffic().connections;
    eventually("another comes", PATIENCE, || connections() == 3).await;
    eventually("it is heard", PATIENCE, || lag().is_some()).await;
    proxy.leave_behind().to_server(Flow::Hold);
    eventually("it is replaced", PATIENCE, || connections() > 3).await;
    eventually("its successor is heard", PATIENCE, || lag().is_some()).await;
}
