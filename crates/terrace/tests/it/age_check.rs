//! Where Redis tells nothing, what is older than the bound is looked at again.

use std::time::{Duration, Instant};

use terrace::{Cache, RedisStore, Source};

use crate::{
    proxy::{Flow, Proxy},
    redis_server::RedisServer,
    rig::{
        BOUND, PATIENCE, Raw, bounded, eventually, held_and_proven, millis, patient_process_on,
        seconds,
    },
};

fn hears(cache: &Cache<u64>) -> bool {
    cache.stats().store.unwrap().hearing
}

async fn build(url: &str) -> Cache<u64> {
    let store = RedisStore::connect(url).unwrap();
    let builder = bounded().store_timeout(seconds(5));
    let cache = builder.store(store).build().unwrap();
    let healthy = || cache.stats().store.unwrap().healthy;
    eventually("it is connected", PATIENCE, healthy).await;
    cache
}

/// Each change elsewhere is seen within the bound, whatever L1 holds; what does not
/// change stays in L1, and is proven.
async fn coherent(here: &Cache<u64>, elsewhere: &Cache<u64>) {
    here.set("same", 1).await.unwrap();
    for value in 1..8 {
        here.get("k").await.unwrap();
        elsewhere.set("k", value).await.unwrap();
        let changed = Instant::now();
        loop {
            let begins = Instant::now();
            let seen = here.get("k").await.unwrap();
            if seen.as_deref() == Some(&value) {
                break;
            }
            assert!(begins - changed <= BOUND, "{seen:?} for {value}");
            tokio::time::sleep(millis(1)).await;
        }
        let same = here.get("same").await.unwrap().unwrap();
        assert_eq!(
            (*same, same.source(), same.proven()),
            (1, Source::Local, true)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_to_track_is_asked_again_instead() {
    for refused in ["-client|tracking", "-client"] {
        let server = RedisServer::start();
        let (raw, elsewhere) = (Raw::on(&server).await, patient_process_on(&server));
        let user = "ACL SETUSER app on >secret allkeys allchannels allcommands";
        raw.ask::<()>(&format!("{user} {refused}")).await;
        let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
        let here = build(&url).await;
        assert!(!hears(&here), "{refused}");
        coherent(&here, &elsewhere).await;
        let stats = here.stats();
        assert!(!hears(&here) && stats.store.unwrap().healthy, "{refused}");
        assert!(stats.confirmed > 0 && stats.outdated > 0, "{stats:?}");
        assert_eq!(stats.changes_heard, 0, "{refused}");

        raw.ask::<()>(user).await;
        raw.ask::<u64>("CLIENT KILL USER app").await;
        eventually("it tracks", PATIENCE, || hears(&here)).await;
        assert!(here.stats().gaps > stats.gaps, "{refused}");
        coherent(&here, &elsewhere).await;
        assert!(here.stats().changes_heard > 0, "{refused}");
    }
}

/// A proxy, or a managed service, that knows no pushes.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_vanish_are_found_out_and_what_is_held_is_looked_at_again() {
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let (here, elsewhere) = (build(&proxy.url()).await, patient_process_on(&server));
    let measured = || here.stats().store.unwrap().lag.is_some();
    eventually("news arrives, and is measured", PATIENCE, measured).await;
    for round in 0..3 {
        coherent(&here, &elsewhere).await;
        held_and_proven(&here, "same").await;

        proxy.to_client(Flow::DropPushes);
        let start = Instant::now();
        // Before anybody has noticed.
        coherent(&here, &elsewhere).await;
        eventually("it is noticed", PATIENCE, || !hears(&here)).await;
        eprintln!(
            "round {round}: deaf for {:?} at most when noticed",
            start.elapsed()
        );
        coherent(&here, &elsewhere).await;
        let stats = here.stats();
        assert!(stats.confirmed > 0 && stats.outdated > 0, "{stats:?}");
        assert!(stats.store.unwrap().healthy && !stats.store.unwrap().breaker_open);

        proxy.to_client(Flow::Pass);
        eventually("pushes come again", PATIENCE, || hears(&here)).await;
        // What was missed is not proven by what is heard now.
        assert!(here.stats().gaps > stats.gaps);
    }
    assert!(proxy.traffic().pushes_dropped > 0);
}

/// A round trip is longer than a quarter of the bound: news is later than a canary on a
/// quick link would be, and is not taken for lost, nor is lost news taken for late.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_vanish_behind_a_slow_link_are_found_out_too() {
    const TRIP: Duration = Duration::from_millis(54);
    const SHORT: Duration = Duration::from_millis(200);
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    proxy.to_server(Flow::Delay(TRIP));
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let builder = bounded().max_staleness(SHORT).store_timeout(seconds(5));
    let here = builder.store(store).build().unwrap();
    let elsewhere = patient_process_on(&server);
    let measured = || {
        here.stats()
            .store
            .unwrap()
            .lag
            .is_some_and(|lag| lag >= TRIP)
    };
    eventually("news arrives, and is measured", PATIENCE, measured).await;

    let key = |number: u64| format!("k{number}");
    for number in 0..20 {
        elsewhere.set(key(number), 1).await.unwrap();
    }
    for round in 2..5 {
        proxy.to_client(Flow::DropPushes);
        eventually("it is noticed", PATIENCE, || !hears(&here)).await;
        for number in 0..20 {
            here.get(key(number)).await.unwrap();
            elsewhere.set(key(number), round).await.unwrap();
        }
        let changed = Instant::now();
        eventually("three bounds pass", PATIENCE, || {
            changed.elapsed() > 3 * SHORT
        })
        .await;
        for number in 0..20 {
            let seen = here.get(key(number)).await.unwrap();
            assert_eq!(seen.as_deref(), Some(&round), "k{number}");
        }
        assert!(!hears(&here), "nothing was heard meanwhile");
        proxy.to_client(Flow::Pass);
        eventually("pushes come again", PATIENCE, || hears(&here)).await;
    }
}

/// The connection that changes the canary is lost again and again: what it sent may
/// have been executed, and is no reason to take the server's word.
#[tokio::test(flavor = "multi_thread")]
async fn deafness_is_found_out_also_when_the_canary_may_have_sung() {
    let server = RedisServer::start();
    let (proxy, raw) = (Proxy::before(&server).await, Raw::on(&server).await);
    let here = build(&proxy.url()).await;
    let measured = || here.stats().store.unwrap().lag.is_some();
    eventually("news arrives, and is measured", PATIENCE, measured).await;
    proxy.to_client(Flow::DropPushes);
    // Of the cache's two connections, only that one sets anything.
    let lose_it = async || {
        let clients: String = raw.ask("CLIENT LIST").await;
        let its = clients.lines().find(|line| line.contains("cmd=set"));
        let id = its.and_then(|line| line.strip_prefix("id=")?.split(' ').next());
        if let Some(id) = id {
            let kill = ["CLIENT", "KILL", "ID", id];
            raw.attempt::<redis::Value>(&kill).await.ok();
        }
    };
    let start = Instant::now();
    while hears(&here) {
        lose_it().await;
        assert!(start.elapsed() < PATIENCE, "it is never found out");
    }
    let start = Instant::now();
    while start.elapsed() < 3 * BOUND {
        lose_it().await;
        assert!(!hears(&here), "nothing was heard meanwhile");
        tokio::time::sleep(millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deafness_is_noticed_about_as_fast_as_the_bound() {
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let here = build(&proxy.url()).await;
    let measured = || here.stats().store.unwrap().lag.is_some();
    eventually("news arrives, and is measured", PATIENCE, measured).await;
    proxy.to_client(Flow::DropPushes);
    let took = eventually("it is noticed", PATIENCE, || !hears(&here)).await;
    eprintln!("deaf: noticed after {took:?}, the bound is {BOUND:?}");
    assert!(took <= 2 * BOUND, "{took:?}");
}

/// The fall-back costs a fraction of the value: the header is read, not the whole.
#[tokio::test(flavor = "multi_thread")]
async fn looking_again_reads_no_value() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    raw.ask::<()>("ACL SETUSER app on >secret allkeys allchannels allcommands -client|tracking")
        .await;
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let store = RedisStore::connect(&url).unwrap();
    let builder = Cache::<String>::builder("texts").max_staleness(BOUND);
    let cache = builder.store_timeout(seconds(5)).store(store);
    let cache = cache.build().unwrap();
    cache.set("k", "x".repeat(900_000)).await.unwrap();
    let sent = async || {
        let stats: String = raw.ask("INFO stats").await;
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = sent().await;
    let start = Instant::now();
    while cache.stats().confirmed < 3 {
        let seen = cache.get("k").await.unwrap().unwrap();
        assert_eq!((seen.len(), seen.source()), (900_000, Source::Local));
        assert!(start.elapsed() < PATIENCE, "{:?}", cache.stats());
        tokio::time::sleep(millis(1)).await;
    }
    let sent = sent().await - before;
    assert!(sent < 100_000, "{sent} bytes for three looks");
}
