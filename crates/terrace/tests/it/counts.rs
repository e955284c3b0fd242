//! What is counted and what is printed, in the odd cases.

use terrace::{
    BoxError, Cache, Error, Loaded,
    testing::{Call, Fault, MemoryStore},
};

use crate::{
    pending::set,
    redis_server::RedisServer,
    rig::{Raw, healthy, millis, numbers, process_on, ttl},
};

#[tokio::test]
async fn a_peek_that_finds_nothing_is_a_miss() {
    let cache = numbers().build().unwrap();
    assert!(cache.peek("k").is_none());
    assert!(cache.peek("k").is_none());
    cache.set("k", 1).await.unwrap();
    assert!(cache.peek("k").is_some());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (1, 2));
}

#[tokio::test]
async fn a_read_that_misses_is_one_miss() {
    let cache = numbers().build().unwrap();
    assert!(cache.get("k").await.unwrap().is_none());
    assert_eq!(cache.stats().misses, 1);
    let load = || async { Ok::<_, BoxError>(1) };
    cache.get_or_load("k", load).await.unwrap();
    assert_eq!(cache.stats().misses, 2);
}

#[tokio::test]
async fn only_a_removal_that_was_done_is_counted() {
    let it = set();
    it.faults.always(Call::Remove, Fault::Refused);
    assert!(it.here.remove("k").await.unwrap_err().is_store());
    assert_eq!(it.here.stats().removals, 0);
    it.faults.always(Call::Remove, Fault::Passes);
    it.here.remove("k").await.unwrap();
    assert_eq!(it.here.stats().removals, 1);
    let alone = numbers().build().unwrap();
    alone.remove("k").await.unwrap();
    assert_eq!(alone.stats().removals, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_inside_a_clear_is_counted_as_one() {
    let server = RedisServer::start();
    let cache = process_on(&server);
    healthy(&cache).await;
    cache.set("k", 1).await.unwrap();
    server.freeze();
    let error = cache.clear().await.unwrap_err();
    assert!(error.is_store() && error.is_timeout(), "{error}");
    let stats = cache.stats();
    assert_eq!((stats.store_errors, stats.store_timeouts), (1, 1));
    server.thaw();
    let raw = Raw::on(&server).await;
    assert_eq!(raw.ask::<String>("PING").await, "PONG");
}

const FORGED: &str = "k\n2026-01-01 WARN forged";

fn is_one_line(what: &str, error: &Error) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains('\n'), "{what}: {text}");
        assert!(text.contains("forged"), "{what}: {text}");
    }
}

#[tokio::test]
async fn a_key_with_a_newline_is_printed_on_one_line() {
    let texts: Cache<String> = Cache::builder("texts")
        .defaults(ttl(60).load_timeout(millis(20)))
        .max_value_bytes(4)
        .store(MemoryStore::new())
        .build()
        .unwrap();
    let large = texts.set(FORGED, "long ".repeat(200)).await.unwrap_err();
    assert!(large.is_value());
    is_one_line("too large", &large);

    let fails = || async { Err::<String, BoxError>("down".into()) };
    is_one_line("load", &texts.get_or_load(FORGED, fails).await.unwrap_err());
    let hangs = || std::future::pending::<Result<String, BoxError>>();
    is_one_line(
        "hangs",
        &texts.get_or_load(FORGED, hangs).await.unwrap_err(),
    );
    let panics = || async {
        assert!(FORGED.is_empty(), "on purpose");
        Ok::<_, BoxError>(Loaded::new(String::new()))
    };
    is_one_line(
        "panic",
        &texts.get_or_load(FORGED, panics).await.unwrap_err(),
    );
}
