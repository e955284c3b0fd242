//! What cannot be is refused with a typed error, where it is used.

use std::time::Duration;

use terrace::{
    BoxError, Builder, Cache, EntryOptions, Loaded, MAX_LIFE, RedisStore, testing::MemoryStore,
};

use crate::rig::{POLICIES, numbers, seconds, ttl};

fn is_refused(what: &str, builder: Builder<u64>) {
    let error = builder.build().expect_err(what);
    assert!(error.is_config(), "{what}: {error}");
}

#[tokio::test]
async fn keys_that_cannot_be_are_typed_errors_on_every_verb() {
    let cache = numbers().store(MemoryStore::new()).build().unwrap();
    let load = || async { Ok::<_, BoxError>(1) };
    for key in ["".to_owned(), "x".repeat(513), "ß".repeat(257)] {
        let errors = [
            cache.get(&key).await.unwrap_err(),
            cache.get_or_load(&key, load).await.unwrap_err(),
            cache.refresh(&key, load).await.unwrap_err(),
            cache.set(&key, 1).await.unwrap_err(),
            cache.remove(&key).await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_invalid_key(), "{} bytes: {error}", key.len());
            assert!(!error.is_store() && !error.is_load());
        }
        assert!(cache.peek(&key).is_none());
    }
    assert_eq!(cache.stats().loads, 0);
}

#[tokio::test]
async fn the_longest_key_is_a_key() {
    for policy in POLICIES {
        let cache = numbers()
            .policy(policy)
            .store(MemoryStore::new())
            .build()
            .unwrap();
        for key in ["x".repeat(512), "ß".repeat(256)] {
            cache.set(&key, 1).await.unwrap();
            assert_eq!(*cache.get(&key).await.unwrap().unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn settings_out_of_range_are_refused_by_build() {
    let too_long = MAX_LIFE + Duration::from_millis(1);
    for name in ["", "Upper", "a b", "a:b", "a{b", "ü", &"x".repeat(33)] {
        is_refused(name, Cache::builder(name));
    }
    is_refused("no capacity", numbers().capacity(0));
    is_refused("too much capacity", numbers().capacity(u64::MAX));
    is_refused("no weight", numbers().weighed_capacity(0, |_, _| 1));
    is_refused("no stay", numbers().local_ttl(Duration::ZERO));
    is_refused("too long a stay", numbers().local_ttl(Duration::MAX));
    is_refused("no patience", numbers().store_timeout(Duration::ZERO));
    is_refused("nothing to store", numbers().max_value_bytes(0));
    is_refused("too much to store", numbers().max_value_bytes(usize::MAX));
    for (what, options) in [
        ("no ttl", EntryOptions::ttl(Duration::ZERO)),
        (
            "less than a millisecond",
            EntryOptions::ttl(Duration::from_micros(999)),
        ),
        ("too long a ttl", EntryOptions::ttl(too_long)),
        ("the longest ttl", EntryOptions::ttl(Duration::MAX)),
        ("too long a window", ttl(1).stale_while_revalidate(too_long)),
        ("too long a window", ttl(1).stale_if_error(Duration::MAX)),
        ("no time to load", ttl(1).load_timeout(Duration::ZERO)),
    ] {
        is_refused(what, numbers().defaults(options.clone()));
        let cache = numbers().build().unwrap();
        let load = || async { Ok::<_, BoxError>(1) };
        let error = cache
            .get_or_load_with("k", &options, load)
            .await
            .unwrap_err();
        assert!(error.is_config(), "{what}: {error}");
        let error = cache.set_with("k", &options, 1).await.unwrap_err();
        assert!(error.is_config(), "{what}: {error}");
        assert_eq!(cache.stats().loads, 0);
    }
}

#[tokio::test]
async fn the_extremes_that_are_allowed_work() {
    for policy in POLICIES {
        let options = EntryOptions::ttl(MAX_LIFE)
            .stale_while_revalidate(MAX_LIFE)
            .stale_if_error(MAX_LIFE)
            .load_timeout(MAX_LIFE);
        let cache: Cache<u64> = Cache::builder("x".repeat(32))
            .policy(policy)
            .capacity(1 << 40)
            .local_ttl(MAX_LIFE)
            .defaults(options)
            .store_timeout(MAX_LIFE)
            .schema(u32::MAX)
            .max_value_bytes(256 << 20)
            .store(MemoryStore::new())
            .build()
            .unwrap();
        cache.set("k", 1).await.unwrap();
        let load = || async { Ok::<_, BoxError>(2) };
        assert_eq!(*cache.get_or_load("l", load).await.unwrap(), 2);
        assert_eq!(*cache.get("k").await.unwrap().unwrap(), 1);
        assert_eq!(*cache.refresh("k", load).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_loaders_own_ttl_is_checked_too() {
    let cache = numbers().store(MemoryStore::new()).build().unwrap();
    for wrong in [Duration::ZERO, Duration::MAX] {
        let load = || async move { Ok::<_, BoxError>(Loaded::new(1).ttl(wrong)) };
        let error = cache.get_or_load("k", load).await.unwrap_err();
        assert!(error.is_config(), "{error}");
        let error = cache.set("k", Loaded::new(1).ttl(wrong)).await.unwrap_err();
        assert!(error.is_config(), "{error}");
    }
    let error = cache
        .set("k", Loaded::new(1).do_not_store())
        .await
        .unwrap_err();
    assert!(error.is_config(), "{error}");
    // No lease stayed behind.
    let load = || async { Ok::<_, BoxError>(1) };
    assert_eq!(*cache.get_or_load("k", load).await.unwrap(), 1);
    assert_eq!(cache.stats().lease_waits, 0);
}

#[test]
fn urls_that_cannot_be_are_refused_without_being_quoted() {
    for url in [
        "",
        "nonsense",
        "http://user:s3cret@example.org",
        "redis://user:s3cret@:notaport",
        "redis://user:s3cret@127.0.0.1/notadb",
        "rediss://user:s3cret@127.0.0.1/#insecure",
        "redis://user:s3cret@[::1",
    ] {
        let error = RedisStore::connect(url).expect_err(url);
        assert!(error.is_config(), "{url}: {error}");
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
    let store = || RedisStore::connect("redis://user:s3cret@127.0.0.1:1").unwrap();
    assert!(!format!("{:?}", store()).contains("s3cret"));
    for namespace in ["", "A", "a:b", "a*", &"x".repeat(33)] {
        assert!(
            store().namespace(namespace).unwrap_err().is_config(),
            "{namespace}"
        );
    }
}

#[test]
fn a_cache_with_a_store_needs_a_runtime_and_says_so() {
    is_refused("no runtime", numbers().store(MemoryStore::new()));
    assert!(numbers().build().is_ok());
}

#[tokio::test]
async fn a_second_cache_of_one_name_on_one_store_is_refused_until_the_first_is_gone() {
    let store = RedisStore::connect("redis://127.0.0.1:1").unwrap();
    let first = numbers().store(store.clone()).build().unwrap();
    let handle = first.clone();
    is_refused("the same name", numbers().store(store.clone()));
    assert!(
        Cache::<u64>::builder("others")
            .store(store.clone())
            .build()
            .is_ok()
    );
    let other = store.clone().namespace("other").unwrap();
    assert!(numbers().store(other).build().is_ok());
    drop(first);
    is_refused("a handle is left", numbers().store(store.clone()));
    handle.close().await;
    drop(handle);
    assert!(numbers().store(store).build().is_ok());
}

/// What a codec refuses is told to who sets, and served to who loads.
struct Picky;

impl terrace::Codec<u64> for Picky {
    fn id(&self) -> u8 {
        200
    }

    fn encode(&self, value: &u64, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        if *value == 13 {
            return Err("not that one".into());
        }
        bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
        Ok(u64::from_le_bytes(bytes.try_into()?))
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded_is_refused_by_set_and_served_by_a_load() {
    let memory = MemoryStore::new();
    let cache = numbers()
        .store_with(memory.sibling(), Picky)
        .build()
        .unwrap();
    cache.set("k", 12).await.unwrap();
    let error = cache.set("k", 13).await.unwrap_err();
    assert!(error.is_value() && !error.is_store(), "{error}");
    assert_eq!(*cache.peek("k").unwrap(), 12, "nothing was touched");
    let load = || async { Ok::<_, BoxError>(13) };
    assert_eq!(*cache.get_or_load("l", load).await.unwrap(), 13);
    assert_eq!(memory.len(), 1);
    let elsewhere = numbers()
        .store_with(memory.sibling(), Picky)
        .build()
        .unwrap();
    let start = std::time::Instant::now();
    assert_eq!(*elsewhere.get_or_load("l", load).await.unwrap(), 13);
    assert!(start.elapsed() < seconds(1), "a lease was left behind");
}
