//! The rights that the page tells operators to give are those that a cache needs.

use std::collections::HashMap;

use terrace::{Cache, Loaded, RedisStore};

use crate::{
    redis_server::RedisServer,
    rig::{
        Origin, PATIENCE, Raw, bounded, eventually, held_and_proven, patient_process_on, reads,
        seconds,
    },
};

const PAGE: &str = include_str!("../../docs/wire-format.md");

/// The page's rule, for the namespace that caches have by default.
fn rule() -> String {
    let rule = PAGE.lines().find(|line| line.starts_with("ACL SETUSER "));
    rule.expect("the page has a rule")
        .replace("NS:", "terrace:")
}

/// Whatever the cache made of it: the server keeps a list.
async fn nothing_was_refused(raw: &Raw) {
    let refusals: Vec<HashMap<String, String>> = raw.ask("ACL LOG").await;
    // The client names itself if it may: nothing depends on it.
    let depends_on = |refusal: &HashMap<String, String>| refusal["object"] != "client|setinfo";
    let refusals: Vec<_> = refusals.into_iter().filter(depends_on).collect();
    assert!(refusals.is_empty(), "{refusals:?}");
}

async fn hears(cache: &Cache<u64>) {
    let hears = || cache.stats().store.unwrap().hearing;
    eventually("it hears", PATIENCE, hears).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_rights_of_the_page_can_do_all_that_a_cache_does() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    raw.ask::<()>(&rule()).await;
    let url = format!("redis://terrace:secret@127.0.0.1:{}", server.port());
    let store = RedisStore::connect(&url).unwrap();
    let builder = bounded().store_timeout(seconds(5));
    let cache = builder.store(store).build().unwrap();
    let (elsewhere, origin) = (patient_process_on(&server), Origin::at(1));
    hears(&cache).await;

    let loaded = cache.get_or_load("loaded", || origin.load()).await.unwrap();
    assert_eq!(*loaded, 1);
    reads(&elsewhere, "loaded", Some(1)).await;
    cache.set("k", 2).await.unwrap();
    reads(&elsewhere, "k", Some(2)).await;
    elsewhere.set("k", 3).await.unwrap();
    reads(&cache, "k", Some(3)).await;
    held_and_proven(&cache, "k").await;
    cache.remove("k").await.unwrap();
    reads(&elsewhere, "k", None).await;

    cache.set("odd", Loaded::new(1).tag("odd")).await.unwrap();
    // An epoch that is old enough to be given a new life.
    let tag = "terrace:t:{numbers:odd}";
    raw.say::<u64>(&["PEXPIRE", tag, "60000"]).await;
    cache.set("odd", Loaded::new(1).tag("odd")).await.unwrap();
    assert!(raw.say::<u64>(&["PTTL", tag]).await > 60_000);
    cache.remove_tag("odd").await.unwrap();
    reads(&elsewhere, "odd", None).await;
    cache.set("prefix/1", 1).await.unwrap();
    cache.remove_prefix("prefix/").await.unwrap();
    reads(&elsewhere, "prefix/1", None).await;
    cache.set("k", 4).await.unwrap();
    cache.clear().await.unwrap();
    reads(&elsewhere, "k", None).await;

    let measured = || cache.stats().store.unwrap().lag.is_some();
    eventually("the canary is heard", PATIENCE, measured).await;
    hears(&cache).await;
    let stats = cache.stats();
    assert_eq!(stats.store_errors, 0, "{stats:?}");
    assert!(!stats.store.unwrap().writes_refused, "{stats:?}");
    nothing_was_refused(&raw).await;
}
