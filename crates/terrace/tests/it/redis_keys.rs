//! What we write to Redis: which keys, how long, readable by whom.

use std::time::Duration;

use terrace::{BoxError, Cache, EntryOptions, Json, RedisStore, Source};

use crate::{
    redis_server::RedisServer,
    rig::{Raw, patient_process_on, seconds, store_on},
};

#[tokio::test]
async fn a_json_value_is_readable_in_redis() {
    let server = RedisServer::start();
    let cache: Cache<Vec<String>> = Cache::builder("words")
        .store_with(store_on(&server), Json)
        .build()
        .unwrap();
    let words = vec!["eins".to_owned(), "zwei".to_owned()];
    cache.set("k", words.clone()).await.unwrap();
    let bytes = Raw::on(&server).await.bytes("terrace:v:{words:k}").await;
    let text = br#"["eins","zwei"]"#;
    assert!(bytes.windows(text.len()).any(|window| window == text));
    let second: Cache<Vec<String>> = Cache::builder("words")
        .store_with(store_on(&server), Json)
        .build()
        .unwrap();
    assert_eq!(*second.get("k").await.unwrap().unwrap(), words);
}

#[tokio::test]
async fn a_value_above_the_limit_is_not_stored_but_still_served() {
    let server = RedisServer::start();
    let cache: Cache<String> = Cache::builder("words")
        .max_value_bytes(10)
        .store(store_on(&server))
        .build()
        .unwrap();
    let large = "x".repeat(2_000);
    let error = cache.set("k", large.clone()).await.unwrap_err();
    assert!(error.is_value(), "{error}");
    assert!(
        cache.peek("k").is_none(),
        "refused before anything was touched"
    );
    let held = large.clone();
    let read = cache
        .get_or_load("k", || async { Ok::<_, BoxError>(held) })
        .await;
    assert_eq!(*read.unwrap(), large);
    assert_eq!(cache.stats().store_oversize, 2);
    let raw = Raw::on(&server).await;
    for _ in 0..2_000 {
        if raw.values_and_leases().await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(raw.values_and_leases().await, 0);
}

#[tokio::test]
async fn every_key_of_ours_has_a_ttl() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    let options = EntryOptions::ttl(seconds(2)).stale_if_error(seconds(5));
    for number in 0..50 {
        let key = format!("k{number}");
        if number % 2 == 0 {
            cache.set_with(&key, &options, number).await.unwrap();
        } else {
            let load = || async move { Ok::<_, BoxError>(number) };
            cache.get_or_load_with(&key, &options, load).await.unwrap();
        }
        cache
            .refresh(&key, || async { Err::<u64, _>("no") })
            .await
            .ok();
        // A load under way holds a lease.
        let (cache, key) = (cache.clone(), format!("held {number}"));
        tokio::spawn(async move {
            let never = std::future::pending::<Result<u64, BoxError>>;
            cache.get_or_load(key, never).await
        });
    }
    let (mut values, mut leases) = (0, 0);
    for _ in 0..2_000 {
        let keys: Vec<String> = raw.ask("KEYS *").await;
        (values, leases) = (0, 0);
        for key in keys {
            let left: i64 = raw.say(&["PTTL", &key]).await;
            if left == -2 {
                continue;
            }
            let mut marks = 0;
            let (limit, seen) = match key.get(..10) {
                Some("terrace:v:") => (7_000, &mut values),
                Some("terrace:l:") => (11_000, &mut leases),
                Some("terrace:t:") => (i64::MAX, &mut marks),
                _ => panic!("{key} is not one of ours"),
            };
            assert!((0..=limit).contains(&left), "{key}: {left} ms left");
            *seen += 1;
        }
        if (values, leases) == (50, 50) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{values} values, {leases} leases");
}

#[tokio::test]
async fn odd_keys_are_kept_apart_and_find_their_way() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    let long = "x".repeat(512);
    let keys = [
        "{}",
        "}{",
        "a{b}c",
        "a:b",
        ":",
        "*",
        "?",
        "[a]",
        "\\",
        "\r\nFLUSHALL\r\n",
        "\0",
        "a\0b",
        "ключ",
        "🔑",
        " ",
        "%s",
        "terrace:v:{numbers:k}",
        &long,
    ];
    let writer = patient_process_on(&server);
    for (number, key) in (0..).zip(keys) {
        writer.set(key, number).await.unwrap();
    }
    let reader = patient_process_on(&server);
    for (number, key) in (0..).zip(keys) {
        let read = reader.get(key).await.unwrap();
        let read = read.unwrap_or_else(|| panic!("{key:?} is not there"));
        assert_eq!((*read, read.source()), (number, Source::Store), "{key:?}");
        assert!(
            raw.exists(&format!("terrace:v:{{numbers:{key}}}")).await,
            "{key:?}"
        );
    }
    let values = || async { raw.ask::<Vec<Vec<u8>>>("KEYS terrace:v:*").await.len() };
    assert_eq!(values().await, keys.len());
    writer.remove("*").await.unwrap();
    assert_eq!(values().await, keys.len() - 1);
    assert_eq!(writer.remove_matching("*").await.unwrap().store, Some(17));
    assert_eq!(values().await, 0);
}

#[tokio::test]
async fn two_namespaces_and_two_names_share_nothing() {
    let server = RedisServer::start();
    let named = |namespace: &str, name: &str| -> Cache<u64> {
        let store = RedisStore::connect(&server.url()).unwrap();
        let store = store.namespace(namespace).unwrap();
        Cache::builder(name).store(store).build().unwrap()
    };
    let caches = [
        named("one", "a"),
        named("one", "b"),
        named("one", "a-b"),
        named("two", "a"),
    ];
    for (number, cache) in (0..).zip(&caches) {
        cache.set("k", number).await.unwrap();
    }
    caches[0].remove_prefix("k").await.unwrap();
    let raw = Raw::on(&server).await;
    let mut left: Vec<String> = raw.ask("KEYS *:v:*").await;
    left.sort();
    assert_eq!(left, ["one:v:{a-b:k}", "one:v:{b:k}", "two:v:{a:k}"]);
    caches[3].clear().await.unwrap();
    for (number, cache) in (0..).zip(&caches) {
        let read = cache.get("k").await.unwrap().map(|entry| *entry);
        assert_eq!(read, [1, 2].contains(&number).then_some(number));
    }
}
