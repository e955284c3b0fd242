//! What Redis drops by itself: it does not tell a client of keys that this client's own
//! commands evict, so the cache has to notice.

use std::time::Instant;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_tracked_keys_that_is_full_is_noticed() {
    let server = RedisServer::start_with(&["--tracking-table-max-keys", "40"]);
    let build = || {
        bounded()
            .store_timeout(seconds(5))
            .store(store_on(&server))
            .build()
            .unwrap()
    };
    let (here, elsewhere) = (build(), build());
    for key in 0..100 {
        elsewhere.set(format!("k{key}"), 1).await.unwrap();
        here.get(format!("k{key}")).await.unwrap();
    }
    eventually("it is noticed", PATIENCE, || {
        !here.stats().store.unwrap().hearing
    })
    .await;
    for key in 0..100 {
        elsewhere.set(format!("k{key}"), 2).await.unwrap();
    }
    let changed = Instant::now();
    eventually("three bounds pass", PATIENCE, || {
        changed.elapsed() > 3 * BOUND
    })
    .await;
    for key in 0..100 {
        let seen = here.get(format!("k{key}")).await.unwrap();
        assert_eq!(seen.as_deref(), Some(&2), "k{key}");
    }
}
