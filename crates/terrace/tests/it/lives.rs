//! How long a value may be used, told by a clock that is moved by hand.

use std::time::Duration;

use terrace::{
    BoxError, Cache, EntryOptions, Loaded, Source, Written,
    testing::{ManualClock, MemoryStore},
};

use crate::rig::{Latch, Origin, PATIENCE, POLICIES, eventually, numbers, seconds, ttl};

type Answer = Result<u64, BoxError>;

async fn fails() -> Answer {
    Err("the source is down".into())
}

/// Each policy, with and without a store, on a clock of its own.
fn caches(options: &EntryOptions) -> Vec<(ManualClock, Cache<u64>, Option<MemoryStore>)> {
    let mut all = Vec::new();
    for policy in POLICIES {
        for stored in [false, true] {
            let time = ManualClock::new();
            let builder = numbers().policy(policy).clock(time.clock());
            let builder = builder.defaults(options.clone());
            let memory = stored.then(|| MemoryStore::with_clock(time.clock()));
            let builder = match &memory {
                Some(memory) => builder.store(memory.sibling()),
                None => builder,
            };
            all.push((time, builder.build().unwrap(), memory));
        }
    }
    all
}

/// A fill ends after its answer; then L1 has the value.
async fn settled(cache: &Cache<u64>) {
    eventually("the fill has ended", PATIENCE, || cache.peek("k").is_some()).await;
}

#[tokio::test]
async fn a_value_is_fresh_for_its_ttl_and_then_gone() {
    for (time, cache, _memory) in caches(&ttl(10)) {
        let origin = Origin::at(1);
        assert!(cache.get("k").await.unwrap().is_none());
        let first = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(
            (*first, first.source(), first.is_stale()),
            (1, Source::Loader, false)
        );
        assert_eq!(first.age(), Duration::ZERO);
        settled(&cache).await;

        time.advance(Duration::from_millis(9_999));
        origin.change_to(2);
        let hit = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(
            (*hit, hit.source(), hit.is_stale()),
            (1, Source::Local, false)
        );
        assert_eq!(hit.age(), Duration::from_millis(9_999));

        time.advance(Duration::from_millis(1));
        assert!(cache.peek("k").is_none());
        assert!(cache.get("k").await.unwrap().is_none());
        let next = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!((*next, next.source()), (2, Source::Loader));
        assert_eq!(origin.loads(), 2);
    }
}

#[tokio::test]
async fn a_stale_value_stands_in_for_a_load_that_fails_until_its_window_ends() {
    for (time, cache, _memory) in caches(&ttl(10).stale_if_error(seconds(20))) {
        cache.set("k", 1).await.unwrap();
        time.advance(seconds(10));
        assert!(cache.peek("k").is_none(), "not without a failed load");
        assert!(cache.get("k").await.unwrap().is_none());
        for _ in 0..3 {
            time.advance(seconds(5));
            let stale = cache.get_or_load("k", fails).await.unwrap();
            assert_eq!((*stale, stale.is_stale()), (1, true));
        }
        assert_eq!(cache.stats().stale_on_error, 3);
        time.advance(seconds(5));
        assert!(cache.get_or_load("k", fails).await.unwrap_err().is_load());
    }
}

#[tokio::test]
async fn a_removed_value_does_not_stand_in_for_a_load_that_fails() {
    for (time, cache, _memory) in caches(&ttl(10).stale_if_error(seconds(20))) {
        cache.set("k", 1).await.unwrap();
        time.advance(seconds(15));
        cache.remove("k").await.unwrap();
        assert!(cache.get_or_load("k", fails).await.unwrap_err().is_load());
    }
}

#[tokio::test]
async fn a_value_is_served_stale_while_it_is_revalidated_and_not_longer() {
    for (time, cache, _memory) in caches(&ttl(10).stale_while_revalidate(seconds(10))) {
        let origin = Origin::at(1);
        cache.set("k", 1).await.unwrap();
        time.advance(seconds(15));
        assert!(cache.peek("k").unwrap().is_stale());
        assert!(cache.get("k").await.unwrap().unwrap().is_stale());
        let stale = cache.get_or_load("k", fails).await.unwrap();
        assert_eq!(
            (*stale, stale.is_stale(), stale.age()),
            (1, true, seconds(15))
        );
        let failed = || cache.stats().load_failures == 1;
        eventually("the load behind has failed", PATIENCE, failed).await;
        time.advance(seconds(5));
        assert!(cache.peek("k").is_none());
        let next = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(next.source(), Source::Loader);
    }
}

#[tokio::test]
async fn a_stale_value_in_the_store_is_served_while_one_load_runs_behind() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let process = || {
        let options = ttl(10).stale_while_revalidate(seconds(30));
        let builder = numbers().clock(time.clock()).defaults(options);
        builder.store(memory.sibling()).build().unwrap()
    };
    process().set("k", 1).await.unwrap();
    time.advance(seconds(20));
    let (second, origin, latch) = (process(), Origin::at(2), Latch::closed());
    let stale = second
        .get_or_load("k", || origin.held_load(&latch))
        .await
        .unwrap();
    assert_eq!(
        (*stale, stale.is_stale(), stale.source()),
        (1, true, Source::Store)
    );
    assert_eq!(stale.age(), seconds(20));
    latch.open();
    let renewed = || {
        second
            .peek("k")
            .is_some_and(|entry| *entry == 2 && !entry.is_stale())
    };
    eventually("the load behind lands", PATIENCE, renewed).await;
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_loader_decides_the_life_of_what_it_loads() {
    for (time, cache, _memory) in caches(&ttl(60)) {
        let short = || async { Ok::<_, BoxError>(Loaded::new(1).ttl(seconds(2))) };
        cache.get_or_load("k", short).await.unwrap();
        settled(&cache).await;
        time.advance(seconds(2));
        assert!(cache.get("k").await.unwrap().is_none());
        let written = cache
            .set("k", Loaded::new(2).ttl(seconds(100)))
            .await
            .unwrap();
        assert_eq!(written, Written::Stored);
        time.advance(seconds(99));
        assert_eq!(*cache.get("k").await.unwrap().unwrap(), 2);
        time.advance(seconds(1));
        assert!(cache.get("k").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn what_is_not_to_be_stored_is_stored_nowhere() {
    for (_time, cache, memory) in caches(&ttl(60)) {
        let (origin, mut loads) = (Origin::at(1), 0);
        for _ in 0..3 {
            let load = origin.load();
            let once = || async { load.await.map(|value| Loaded::new(value).do_not_store()) };
            let answer = cache.get_or_load("k", once).await.unwrap();
            assert_eq!((*answer, answer.source()), (1, Source::Loader));
            loads += 1;
            assert_eq!(origin.loads(), loads);
            assert!(cache.peek("k").is_none());
            assert!(memory.as_ref().is_none_or(MemoryStore::is_empty));
        }
        assert_eq!(cache.stats().lease_waits, 0, "the lease was given back");
    }
}

#[tokio::test]
async fn a_value_from_the_store_lives_no_longer_than_it_had_left() {
    for policy in POLICIES {
        let time = ManualClock::new();
        let memory = MemoryStore::with_clock(time.clock());
        let process = || {
            let builder = numbers()
                .policy(policy)
                .clock(time.clock())
                .defaults(ttl(60));
            builder.store(memory.sibling()).build().unwrap()
        };
        process().set("k", 1).await.unwrap();
        time.advance(seconds(50));
        let second = process();
        let promoted = second.get("k").await.unwrap().unwrap();
        assert_eq!(
            (promoted.source(), promoted.age()),
            (Source::Store, seconds(50))
        );
        assert!(!promoted.is_stale());
        time.advance(seconds(5));
        // A third process gets it, and so do readers who load.
        let third = process();
        let origin = Origin::at(9);
        let read = third.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(
            (*read, read.source(), read.age()),
            (1, Source::Store, seconds(55))
        );
        time.advance(Duration::from_millis(4_999));
        assert_eq!(second.peek("k").unwrap().source(), Source::Local);
        time.advance(Duration::from_millis(1));
        for cache in [second, third] {
            assert!(cache.peek("k").is_none());
            assert!(cache.get("k").await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn the_stay_in_l1_is_bounded_apart_from_the_life() {
    for policy in POLICIES {
        let time = ManualClock::new();
        let memory = MemoryStore::with_clock(time.clock());
        let builder = numbers()
            .policy(policy)
            .clock(time.clock())
            .local_ttl(seconds(10));
        let cache = builder.store(memory).build().unwrap();
        cache.set("k", 1).await.unwrap();
        time.advance(Duration::from_millis(9_999));
        assert_eq!(
            cache.get("k").await.unwrap().unwrap().source(),
            Source::Local
        );
        time.advance(Duration::from_millis(1));
        assert!(cache.peek("k").is_none());
        // Each stay is counted from its own beginning.
        for _ in 0..4 {
            assert_eq!(
                cache.get("k").await.unwrap().unwrap().source(),
                Source::Store
            );
            time.advance(seconds(5));
            assert_eq!(
                cache.get("k").await.unwrap().unwrap().source(),
                Source::Local
            );
            time.advance(seconds(5));
        }
        time.advance(seconds(10));
        assert!(cache.get("k").await.unwrap().is_none(), "60 s are over");
    }
}

#[tokio::test]
async fn a_set_value_is_read_by_every_handle_and_every_process() {
    for (_time, cache, memory) in caches(&ttl(60)) {
        assert_eq!(cache.set("k", 1).await.unwrap(), Written::Stored);
        let handle = cache.clone();
        let read = handle.get("k").await.unwrap().unwrap();
        assert_eq!((*read, read.source()), (1, Source::Local));
        handle.set("k", 2).await.unwrap();
        assert_eq!(*cache.peek("k").unwrap(), 2);
        cache.remove("k").await.unwrap();
        assert!(handle.get("k").await.unwrap().is_none());
        assert!(memory.is_none_or(|memory| memory.is_empty()));
    }
}

#[tokio::test]
async fn a_closed_cache_refuses_everything_and_holds_nothing() {
    for (_time, cache, _memory) in caches(&ttl(60)) {
        cache.set("k", 1).await.unwrap();
        let handle = cache.clone();
        let load = || std::future::pending::<Answer>();
        let waiting = tokio::spawn({
            let cache = cache.clone();
            async move { cache.get_or_load("other", load).await }
        });
        eventually("the load runs", PATIENCE, || cache.stats().loads == 1).await;
        handle.close().await;
        assert!(waiting.await.unwrap().unwrap_err().is_closed());
        assert!(cache.peek("k").is_none());
        let errors = [
            cache.get("k").await.unwrap_err(),
            cache.get_or_load("k", fails).await.unwrap_err(),
            cache.refresh("k", fails).await.unwrap_err(),
            cache.set("k", 1).await.unwrap_err(),
            cache.remove("k").await.unwrap_err(),
            cache.clear().await.unwrap_err(),
        ];
        assert!(errors.iter().all(terrace::Error::is_closed), "{errors:?}");
        cache.close().await;
        assert_eq!(cache.stats().entries, 0);
    }
}

#[tokio::test]
async fn counters_say_what_happened() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let process = || {
        let options = ttl(10)
            .stale_while_revalidate(seconds(10))
            .stale_if_error(seconds(20));
        let builder = numbers().clock(time.clock()).defaults(options);
        builder.store(memory.sibling()).build().unwrap()
    };
    let (cache, other) = (process(), process());
    let origin = Origin::at(1);
    cache.get_or_load("k", || origin.load()).await.unwrap();
    settled(&cache).await;
    let stats = cache.stats();
    assert_eq!(
        (stats.hits, stats.misses, stats.loads, stats.fills),
        (1, 1, 1, 1)
    );
    assert_eq!((stats.store_hits, stats.store_misses), (0, 1));
    cache.get("k").await.unwrap();
    assert_eq!(cache.stats().hits, 2);
    other.get("k").await.unwrap();
    let seen = other.stats();
    assert_eq!(
        (seen.misses, seen.store_hits, seen.loads, seen.hits),
        (1, 1, 0, 0)
    );
    time.advance(seconds(12));
    cache.get_or_load("k", fails).await.unwrap();
    eventually("it failed", PATIENCE, || cache.stats().stale_on_error == 1).await;
    let stats = cache.stats();
    assert_eq!(
        (stats.stale_hits, stats.loads, stats.load_failures),
        (1, 2, 1)
    );
    cache.remove("k").await.unwrap();
    cache.set("k", 1).await.unwrap();
    let stats = cache.stats();
    assert_eq!(
        (stats.removals, stats.fills, stats.refused, stats.superseded),
        (1, 2, 0, 0)
    );
    assert_eq!(
        (stats.pending, stats.unleased, stats.lease_waits),
        (0, 0, 0)
    );
    assert_eq!(
        (
            stats.store_errors,
            stats.store_timeouts,
            stats.store_skipped
        ),
        (0, 0, 0)
    );
    let store = stats.store.unwrap();
    assert_eq!((store.kind, store.breaker_open), ("memory", false));
    assert!(numbers().build().unwrap().stats().store.is_none());
}

#[tokio::test]
async fn clear_empties_both_tiers_of_this_cache_alone() {
    for policy in POLICIES {
        let memory = MemoryStore::new();
        let named = |name: &str| -> Cache<u64> {
            let builder = Cache::builder(name).policy(policy).defaults(ttl(60));
            builder.store(memory.sibling()).build().unwrap()
        };
        let (ours, other, longer) = (named("a"), named("b"), named("a-b"));
        for number in 0..100 {
            ours.set(format!("k{number}"), number).await.unwrap();
        }
        other.set("k0", 1).await.unwrap();
        longer.set("k0", 1).await.unwrap();
        ours.clear().await.unwrap();
        for number in 0..100 {
            assert!(ours.peek(format!("k{number}")).is_none());
            assert!(ours.get(format!("k{number}")).await.unwrap().is_none());
        }
        for cache in [other, longer] {
            assert_eq!(*cache.peek("k0").unwrap(), 1);
        }
        ours.set("k1", 5).await.unwrap();
        assert_eq!(*ours.get("k1").await.unwrap().unwrap(), 5);
    }
}
