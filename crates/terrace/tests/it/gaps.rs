//! When news may have been missed, nothing is proven before L2 has been asked.

use std::time::{Duration, Instant};

use terrace::{
    BoxError, Builder, Cache, Coherence, EntryOptions, RedisStore, Source,
    testing::{Call, Fault, Faulty, Hold, MemoryStore},
};

use crate::{
    faults::USED_AGAIN,
    proxy::{Door, Ending, Flow, Proxy},
    redis_server::RedisServer,
    rig::{
        BOUND, Latch, Origin, PATIENCE, Raw, bounded, eventually, held_and_proven, in_time, millis,
        numbers, patient_process_on, process_on, reads, seconds, store_on, ttl,
    },
};

/// Watches until the gap is noticed: what L1 serves meanwhile was got before it.
async fn gap_after(cache: &Cache<u64>, gaps: u64, key: &str) {
    let noticed = || {
        // The count first: what is peeked at later was peeked at after it.
        let noticed = cache.stats().gaps > gaps;
        let seen = cache.peek(key);
        assert!(!(noticed && seen.is_some_and(|seen| seen.proven())));
        noticed
    };
    eventually("the gap is noticed", PATIENCE, noticed).await;
}

async fn kill_all_and(raw: &Raw, lines: &[&str]) {
    raw.ask::<()>("MULTI").await;
    for line in ["CLIENT KILL TYPE normal SKIPME yes"].iter().chain(lines) {
        raw.ask::<()>(line).await;
    }
    raw.ask::<redis::Value>("EXEC").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_while_the_connection_was_killed_is_found_out_by_looking() {
    let server = RedisServer::start();
    let builder = bounded().store_timeout(seconds(5));
    let cache = builder.store(store_on(&server)).build().unwrap();
    let raw = Raw::on(&server).await;
    for key in ["same", "changed", "removed"] {
        held_and_proven_once_set(&cache, key).await;
    }
    aged(&cache, "removed").await;
    let before = cache.stats();
    let missed = [
        "SET terrace:v:{numbers:changed} junk PX 9999",
        "DEL terrace:v:{numbers:removed}",
    ];
    kill_all_and(&raw, &missed).await;
    gap_after(&cache, before.gaps, "same").await;
    eventually("it is up", PATIENCE, || {
        cache.stats().store.unwrap().healthy
    })
    .await;
    held_and_proven(&cache, "same").await;
    reads(&cache, "changed", None).await;
    reads(&cache, "removed", None).await;
    let after = cache.stats();
    assert_eq!(after.confirmed, before.confirmed + 1, "{after:?}");
    assert_eq!(after.outdated, before.outdated + 2, "{after:?}");
    assert_eq!(after.fills, before.fills, "L1 kept what was right");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_redis_is_a_gap_and_costs_one_load_a_key_for_all_processes() {
    const KEYS: u64 = 500;
    let server = RedisServer::start();
    let processes = [patient_process_on(&server), patient_process_on(&server)];
    let (raw, origin) = (Raw::on(&server).await, Origin::at(1));
    let read_all = async || {
        let mut seen = Vec::new();
        for first in (0..KEYS).step_by(100) {
            let mut reads = tokio::task::JoinSet::new();
            for (cache, key) in processes.iter().flat_map(|cache| {
                let keys = first..first + 100;
                keys.map(move |key| (cache, format!("k{key}")))
            }) {
                let (cache, load) = (cache.clone(), origin.load());
                reads.spawn(async move { *cache.get_or_load(key, || load).await.unwrap() });
            }
            seen.extend(in_time("all reads", reads.join_all()).await);
        }
        seen
    };
    // Whoever makes the clear epoch ends the loads that are under way elsewhere.
    let first_of_all = async || {
        for cache in &processes {
            let load = || async { Ok::<_, BoxError>(0) };
            cache.get_or_load("first", load).await.unwrap();
        }
    };
    first_of_all().await;
    read_all().await;
    assert_eq!(origin.loads(), KEYS);
    let gaps = processes.each_ref().map(|cache| cache.stats().gaps);
    origin.change_to(2);
    raw.ask::<()>("FLUSHALL").await;
    for (cache, gaps) in processes.iter().zip(gaps) {
        gap_after(cache, gaps, "k7").await;
    }
    first_of_all().await;
    assert!(read_all().await.iter().all(|seen| *seen == 2));
    assert_eq!(origin.loads(), 2 * KEYS);
    // Their epochs are new: what was born under the old ones stays dead.
    for cache in &processes {
        assert!(cache.stats().store.unwrap().healthy, "the link survives");
        cache.clear().await.unwrap();
    }
    for cache in &processes {
        reads(cache, "k7", None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_of_redis_nothing_of_before_is_proven() {
    let mut server = RedisServer::start();
    let cache = process_on(&server);
    for key in ["a", "b"] {
        held_and_proven_once_set(&cache, key).await;
    }
    let gaps = cache.stats().gaps;
    server.kill();
    gap_after(&cache, gaps, "a").await;
    let seen = cache.get("a").await.unwrap().unwrap();
    assert_eq!(
        (*seen, seen.source(), seen.proven()),
        (1, Source::Local, false)
    );
    assert!(cache.stats().unproven_hits > 0);
    server.launch();
    let took = reads(&cache, "a", None).await;
    assert!(took <= USED_AGAIN, "{took:?}");
    let origin = Origin::at(2);
    let load = cache.get_or_load("b", || origin.load()).await.unwrap();
    assert_eq!(*load, 2, "it was lost with the server");
    held_and_proven(&cache, "b").await;
}

/// Waits until it is proven by the link alone: what was got within the bound vouches
/// for itself.
async fn aged(cache: &Cache<u64>, key: &str) {
    let old = || cache.peek(key).is_some_and(|seen| seen.age() > BOUND);
    eventually("it is older than the bound", PATIENCE, old).await;
}

async fn held_and_proven_once_set(cache: &Cache<u64>, key: &str) {
    cache.set(key, 1).await.unwrap();
    held_and_proven(cache, key).await;
}

/// A link that can be cut, frozen or deafened, and another process.
fn linked(builder: Builder<u64>) -> (Cache<u64>, Cache<u64>, MemoryStore) {
    let elsewhere = MemoryStore::new();
    let link = elsewhere.sibling();
    let here = builder.store(link.clone()).build().unwrap();
    (here, numbers().store(elsewhere).build().unwrap(), link)
}

#[tokio::test]
async fn what_others_changed_behind_a_cut_link_is_found_out_when_it_is_whole() {
    let (here, elsewhere, link) = linked(bounded());
    for key in ["same", "changed", "removed"] {
        held_and_proven_once_set(&here, key).await;
    }
    aged(&here, "removed").await;
    link.cut();
    elsewhere.set("changed", 2).await.unwrap();
    elsewhere.remove("removed").await.unwrap();
    for key in ["same", "changed", "removed"] {
        let seen = here.peek(key).expect("L1 goes on");
        assert_eq!((*seen, seen.proven()), (1, false));
        let seen = here.get(key).await.unwrap().expect("L1 goes on");
        assert_eq!((*seen, seen.proven()), (1, false));
    }
    link.restore();
    for key in ["same", "changed", "removed"] {
        assert!(here.peek(key).is_none(), "{key} has not been looked at");
    }
    let same = here.get("same").await.unwrap().unwrap();
    assert_eq!(
        (*same, same.source(), same.proven()),
        (1, Source::Local, true)
    );
    let changed = here.get("changed").await.unwrap().unwrap();
    assert_eq!((*changed, changed.source()), (2, Source::Store));
    assert!(here.get("removed").await.unwrap().is_none());
    assert_eq!((here.stats().confirmed, here.stats().outdated), (1, 2));
}

/// Reads while nothing is heard, and what is changed meanwhile: a proven hit is
/// never older than the bound.
async fn proven_hits_end(here: &Cache<u64>, changed: Instant) {
    let mut last = Duration::ZERO;
    let silent = || {
        let begins = Instant::now();
        match here.peek("k") {
            Some(seen) if seen.proven() => {
                assert_eq!(*seen, 1);
                last = begins - changed;
                assert!(last <= BOUND, "proven {last:?} after the change");
                false
            }
            _ => begins - changed > 2 * BOUND,
        }
    };
    eventually("the bound passes", PATIENCE, silent).await;
    eprintln!("the last proven hit came {last:?} after the change, the bound is {BOUND:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_frozen_link_nothing_is_proven_beyond_the_bound() {
    let (here, elsewhere, link) = linked(bounded());
    held_and_proven_once_set(&here, "k").await;
    link.freeze();
    elsewhere.set("k", 2).await.unwrap();
    proven_hits_end(&here, Instant::now()).await;
    let seen = here.get("k").await.unwrap().expect("L1 goes on");
    assert_eq!((*seen, seen.proven()), (1, false));
    link.restore();
    let took = reads(&here, "k", Some(2)).await;
    assert!(took <= USED_AGAIN, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_deaf_link_what_is_older_than_the_bound_is_looked_at_again() {
    let (here, elsewhere, link) = linked(bounded());
    held_and_proven_once_set(&here, "k").await;
    held_and_proven_once_set(&here, "same").await;
    link.deafen();
    let deaf = || !here.stats().store.unwrap().hearing;
    eventually("its heartbeats say so", PATIENCE, deaf).await;
    for value in 2..6 {
        elsewhere.set("k", value).await.unwrap();
        let changed = Instant::now();
        loop {
            let begins = Instant::now();
            let seen = here.get("k").await.unwrap().unwrap();
            if *seen == value {
                break;
            }
            assert!(begins - changed <= BOUND, "{seen:?} for {value}");
            tokio::time::sleep(millis(1)).await;
        }
    }
    assert!(here.get("same").await.unwrap().unwrap().proven());
    let stats = here.stats();
    assert!(stats.confirmed > 0 && stats.outdated > 0, "{stats:?}");
    link.restore();
    let hears = || here.stats().store.unwrap().hearing;
    eventually("it hears again", PATIENCE, hears).await;
    assert!(here.stats().gaps > stats.gaps);
    held_and_proven(&here, "same").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_half_open_link_nothing_is_proven_beyond_the_bound_and_it_heals() {
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let here = bounded().store(store).build().unwrap();
    let elsewhere = patient_process_on(&server);
    held_and_proven_once_set(&here, "k").await;
    held_and_proven_once_set(&here, "same").await;
    proxy.to_client(Flow::Swallow);
    elsewhere.set("k", 2).await.unwrap();
    proven_hits_end(&here, Instant::now()).await;

    let origin = Origin::at(3);
    let available = here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*available, available.proven()), (1, false));
    assert_eq!(available.source(), Source::Local);
    let options = ttl(60).coherence(Coherence::Required);
    let required = here.get_or_load_with("k", &options, || origin.load());
    let required = required.await.unwrap();
    assert_eq!((*required, required.source()), (3, Source::Loader));

    proxy.heal();
    let took = held_and_proven(&here, "same").await;
    eprintln!("half open: proven again {took:?} after it healed");
    assert!(took <= USED_AGAIN, "{took:?}");
    reads(&here, "k", Some(2)).await;
}

/// Nothing arrives although TCP is up: calls that time out replace the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_gone_silent_is_replaced_and_the_old_one_forgotten() {
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let here = bounded().store(store).build().unwrap();
    held_and_proven_once_set(&here, "k").await;
    let (gaps, old) = (here.stats().gaps, proxy.leave_behind());
    old.to_client(Flow::Hold);
    patient_process_on(&server).set("k", 2).await.unwrap();
    let start = Instant::now();
    reads(&here, "k", Some(2)).await;
    let took = start.elapsed();
    eprintln!("silent: replaced after {took:?}");
    assert!(took <= USED_AGAIN, "{took:?}");
    assert!(here.stats().gaps > gaps);
    // What the old connection still says is nobody's news.
    let heard = here.stats().changes_heard;
    held_and_proven(&here, "k").await;
    old.to_client(Flow::Pass);
    old.cut(Ending::Reset);
    held_and_proven(&here, "k").await;
    assert_eq!(here.stats().changes_heard, heard);
}

/// Protocol C7: the answer came over the old link, and its change was told on none.
#[tokio::test]
async fn what_is_in_flight_over_a_gap_is_not_proven_afterwards() {
    for call in [Call::Get, Call::Lease, Call::Fill, Call::Epochs] {
        let memory = MemoryStore::new();
        let link = memory.sibling();
        let store = Faulty::over(link.clone());
        let faults = store.faults().clone();
        let builder = numbers().store_timeout(seconds(20));
        let here = builder.store(store).build().unwrap();
        let elsewhere = numbers().store(memory.sibling()).build().unwrap();
        if call == Call::Get {
            elsewhere.set("k", 1).await.unwrap();
        }
        let answer = Hold::new();
        faults.always(call, Fault::AnswerHeld(answer.clone()));
        let origin = Origin::at(1);
        let old = tokio::spawn({
            let (here, load) = (here.clone(), origin.load());
            async move {
                match call {
                    Call::Fill | Call::Epochs => drop(here.set("k", 1).await),
                    _ => drop(here.get_or_load("k", || load).await),
                }
            }
        });
        answer.reached(1).await;
        faults.always(call, Fault::Passes);
        link.cut();
        elsewhere.set("k", 2).await.unwrap();
        link.restore();
        answer.open();
        in_time("the call over the gap", old).await.unwrap();
        if let Some(seen) = here.peek("k") {
            assert_eq!((*seen, seen.proven()), (2, true), "{call:?}");
        }
        for cache in [&here, &elsewhere] {
            let seen = in_time(
                "a read",
                cache.get_or_load("k", || async { Ok::<_, BoxError>(2) }),
            );
            assert_eq!(*seen.await.unwrap(), 2, "{call:?}");
        }
    }
}

/// Flights from before a gap may be doomed by what was missed: nobody joins them.
#[tokio::test]
async fn who_comes_after_a_gap_does_not_join_a_load_from_before_it() {
    let (here, elsewhere, link) = linked(numbers());
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let old = tokio::spawn({
        let (here, load) = (here.clone(), origin.held_load(&latch));
        async move { *here.get_or_load("k", || load).await.unwrap() }
    });
    latch.reached().await;
    link.cut();
    origin.change_to(2);
    elsewhere.remove("k").await.unwrap();
    link.restore();
    let later = here.get_or_load("k", || origin.load());
    assert_eq!(*in_time("who comes later", later).await.unwrap(), 2);
    latch.open();
    assert_eq!(old.await.unwrap(), 1);
    assert_eq!(*here.get("k").await.unwrap().unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_comes_late_proves_nothing_that_was_loaded_without_it() {
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    proxy.door(Door::Refuse);
    let options = EntryOptions::ttl(seconds(60));
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let here = bounded().defaults(options).store(store).build().unwrap();
    let origin = Origin::at(1);
    let loaded = here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((loaded.source(), loaded.proven()), (Source::Loader, false));
    let kept = here.peek("k").expect("L1 keeps it");
    assert_eq!((kept.source(), kept.proven()), (Source::Local, false));
    let elsewhere = bounded().store(store_on(&server)).build().unwrap();
    elsewhere.set("k", 2).await.unwrap();
    proxy.heal();
    let took = reads(&here, "k", Some(2)).await;
    assert!(took <= USED_AGAIN, "{took:?}");
}
