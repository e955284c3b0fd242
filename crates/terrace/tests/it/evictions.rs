//! What Redis drops by itself: it does not tell a client of keys that this client's own
//! commands evict, so the cache has to notice.

use std::time::Instant;

use terrace::{Cache, RedisStore};

use crate::{redis_server::RedisServer, rig::*};

/// `removes`: the others remove what had been evicted under us; else they set it.
async fn evicted(removes: bool) {
    let server = RedisServer::start();
    let process = || {
        let builder = bounded().store_timeout(seconds(5));
        builder.store(store_on(&server)).build().unwrap()
    };
    let (here, elsewhere, raw) = (process(), process(), Raw::on(&server).await);
    for key in 0..50 {
        elsewhere.set(format!("k{key}"), 1).await.unwrap();
        held_and_proven(&here, &format!("k{key}")).await;
    }
    raw.ask::<()>("CONFIG SET maxmemory-policy volatile-ttl")
        .await;
    let info: String = raw.ask("INFO memory").await;
    let used = info
        .lines()
        .find_map(|l| l.strip_prefix("used_memory:"))
        .unwrap();
    let used = used.trim().parse::<u64>().unwrap();
    raw.ask::<()>(&format!("CONFIG SET maxmemory {}", used + 200_000))
        .await;
    // Our own writes make Redis evict what we hold: with NOLOOP it does not tell us.
    for key in 0..300 {
        let filler = format!("filler {key} {}", "x".repeat(400));
        here.set_with(filler, &ttl(3_600), 1).await.unwrap();
    }
    raw.ask::<()>("CONFIG SET maxmemory 0").await;
    for key in 0..50 {
        let key = format!("k{key}");
        match removes {
            true => elsewhere.remove(&key).await.unwrap(),
            false => drop(elsewhere.set(&key, 2).await.unwrap()),
        }
    }
    let changed = Instant::now();
    eventually("three bounds pass", PATIENCE, || {
        changed.elapsed() > 3 * BOUND
    })
    .await;
    let mut stale = 0;
    for key in 0..50 {
        let seen = here.get(format!("k{key}")).await.unwrap();
        stale += u64::from(seen.is_some_and(|seen| *seen == 1 && seen.proven()));
    }
    assert_eq!(
        stale, 0,
        "proven, and older than the bound (removes: {removes})"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_writes_evict_is_not_served_as_proven_after_its_removal() {
    evicted(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_own_writes_evict_is_not_served_as_proven_after_it_was_set() {
    evicted(false).await;
}

/// With a deadline that a busy machine does not reach.
fn over(store: RedisStore) -> Cache<u64> {
    let builder = bounded().store_timeout(seconds(5));
    builder.store(store).build().unwrap()
}

async fn hears(cache: &Cache<u64>, wanted: bool) {
    let hears = || cache.stats().store.unwrap().hearing == wanted;
    eventually("it is noticed", PATIENCE, hears).await;
}

const KEYS: u64 = 100;

/// More keys than the table holds, read here and known elsewhere.
async fn hold_keys(here: &Cache<u64>, elsewhere: &Cache<u64>) {
    for key in 0..KEYS {
        elsewhere.set(format!("k{key}"), 1).await.unwrap();
        here.get(format!("k{key}")).await.unwrap();
    }
}

/// What is changed elsewhere is seen here when the bound has passed.
async fn changes_are_seen(here: &Cache<u64>, elsewhere: &Cache<u64>) {
    for key in 0..KEYS {
        elsewhere.set(format!("k{key}"), 2).await.unwrap();
    }
    let changed = Instant::now();
    eventually("three bounds pass", PATIENCE, || {
        changed.elapsed() > 3 * BOUND
    })
    .await;
    for key in 0..KEYS {
        let seen = here.get(format!("k{key}")).await.unwrap();
        assert_eq!(seen.as_deref(), Some(&2), "k{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_tracked_keys_that_is_full_is_noticed() {
    let server = RedisServer::start_with(&["--tracking-table-max-keys", "40"]);
    let (here, elsewhere) = (over(store_on(&server)), over(store_on(&server)));
    hears(&here, true).await;
    hold_keys(&here, &elsewhere).await;
    hears(&here, false).await;
    changes_are_seen(&here, &elsewhere).await;
}

/// When it is seen to be full, something may have fallen out already.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_tracked_keys_that_is_nearly_full_is_noticed() {
    let server = RedisServer::start_with(&["--tracking-table-max-keys", "160"]);
    let (here, raw) = (over(store_on(&server)), Raw::on(&server).await);
    hears(&here, true).await;
    let mut keys = 0;
    while tracked(&raw).await < 152 {
        here.get(format!("k{keys}")).await.unwrap();
        keys += 1;
    }
    hears(&here, false).await;
    for key in 0..keys {
        raw.say::<()>(&["SET", &format!("terrace:v:{{numbers:k{key}}}"), "odd"])
            .await;
    }
    hears(&here, true).await;
}

async fn tracked(raw: &Raw) -> u64 {
    let info: String = raw.ask("INFO stats").await;
    let line = |line: &str| {
        line.strip_prefix("tracking_total_keys:")?
            .trim()
            .parse()
            .ok()
    };
    info.lines().find_map(line).expect("it says so")
}

/// The connection was made while the table was larger, and stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_tracked_keys_that_is_made_smaller_is_noticed() {
    let server = RedisServer::start();
    let (here, elsewhere) = (over(store_on(&server)), over(store_on(&server)));
    let raw = Raw::on(&server).await;
    hears(&here, true).await;
    raw.ask::<()>("CONFIG SET tracking-table-max-keys 20").await;
    hold_keys(&here, &elsewhere).await;
    hears(&here, false).await;
    changes_are_seen(&here, &elsewhere).await;

    raw.ask::<()>("CONFIG SET tracking-table-max-keys 0").await;
    hears(&here, true).await;
}

/// As managed services do. No size is taken for granted, unless the owner says one.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_say_how_many_keys_it_tracks_is_asked_again_instead() {
    let server = RedisServer::start_with(&["--tracking-table-max-keys", "40"]);
    let (raw, elsewhere) = (Raw::on(&server).await, over(store_on(&server)));
    let user = "ACL SETUSER app on >secret allkeys allchannels allcommands -config";
    raw.ask::<()>(user).await;
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let store = || RedisStore::connect(&url).unwrap();

    let here = over(store());
    healthy(&here).await;
    hears(&here, false).await;
    hold_keys(&here, &elsewhere).await;
    changes_are_seen(&here, &elsewhere).await;
    let stats = here.stats();
    assert!(!stats.store.unwrap().hearing, "{stats:?}");
    assert!(stats.confirmed + stats.outdated > 0, "{stats:?}");
    here.close().await;

    raw.ask::<()>("CONFIG SET tracking-table-max-keys 0").await;
    let told = over(store().tracking_table(40));
    hold_keys(&told, &elsewhere).await;
    healthy(&told).await;
    hears(&told, false).await;
    changes_are_seen(&told, &elsewhere).await;
    told.close().await;

    for size in [0, 1_000_000] {
        let told = over(store().tracking_table(size));
        hears(&told, true).await;
        told.close().await;
    }
}

/// It goes on serving, and is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_say_what_it_evicts_is_asked_again_instead() {
    let server = RedisServer::start();
    let (raw, elsewhere) = (Raw::on(&server).await, over(store_on(&server)));
    raw.ask::<()>("ACL SETUSER app on >secret allkeys allchannels allcommands -info")
        .await;
    let url = format!("redis://app:secret@127.0.0.1:{}", server.port());
    let here = over(RedisStore::connect(&url).unwrap());
    healthy(&here).await;
    hears(&here, false).await;
    hold_keys(&here, &elsewhere).await;
    changes_are_seen(&here, &elsewhere).await;
}
