//! What removals by group do to the keys in Redis: how many round trips, which keys,
//! and what becomes of epochs that are lost.

use std::time::{Duration, Instant};

use terrace::{
    BoxError, Cache, Loaded, RedisStore,
    testing::{Call, Fault, Faults, Faulty, Hold, MemoryStore},
};

use crate::{
    pending::set,
    proxy::{Flow, Proxy},
    redis_server::RedisServer,
    rig::{
        PATIENCE, Raw, eventually, held_and_proven, in_time, millis, numbers, patient_process_on,
        reads, seconds, store_on,
    },
};

/// Heartbeats not counted.
fn all_calls(faults: &Faults) -> u64 {
    let all = [
        Call::Get,
        Call::Lease,
        Call::Force,
        Call::Fill,
        Call::Release,
        Call::Remove,
        Call::RemoveMatching,
        Call::Epochs,
        Call::Renew,
    ];
    all.map(|call| faults.calls(call)).iter().sum()
}

#[tokio::test]
async fn a_tag_and_everything_are_removed_in_one_call_of_the_store() {
    let store = Faulty::over(MemoryStore::new());
    let faults = store.faults().clone();
    let cache = numbers().store(store).build().unwrap();
    for number in 0..100 {
        let value = Loaded::new(number).tag("odd");
        cache.set(format!("k{number}"), value).await.unwrap();
    }
    for clears in [false, true] {
        let (before, renewals) = (all_calls(&faults), faults.calls(Call::Renew));
        match clears {
            false => cache.remove_tag("odd").await.unwrap(),
            true => cache.clear().await.unwrap(),
        }
        assert_eq!(all_calls(&faults), before + 1, "clears: {clears}");
        assert_eq!(faults.calls(Call::Renew), renewals + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_and_everything_are_removed_in_one_round_trip_to_redis() {
    const THERE_AND_BACK: Duration = Duration::from_millis(150);
    let server = RedisServer::start();
    let proxy = Proxy::before(&server).await;
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let cache = numbers().store_timeout(seconds(5)).store(store);
    let cache = cache.build().unwrap();
    for number in 0..50 {
        let value = Loaded::new(number).tag("odd");
        cache.set(format!("k{number}"), value).await.unwrap();
    }
    proxy.to_client(Flow::Delay(THERE_AND_BACK));
    for (clears, commands) in [(false, 2), (true, 1)] {
        let (evals, scans) = (proxy.commands("EVAL"), proxy.commands("SCAN"));
        let start = Instant::now();
        match clears {
            false => cache.remove_tag("odd").await.unwrap(),
            true => cache.clear().await.unwrap(),
        }
        let took = start.elapsed();
        assert!(
            took >= THERE_AND_BACK && took < 2 * THERE_AND_BACK,
            "clears: {clears}, {took:?}"
        );
        assert_eq!(proxy.commands("EVAL"), evals + commands);
        assert_eq!(proxy.commands("SCAN"), scans);
    }
}

/// Race 12: an epoch that is lost is not one that begins again.
#[tokio::test]
async fn what_was_born_under_a_lost_epoch_is_gone_and_stays_gone() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let raw = Raw::on(&server).await;
    for (mark, takes_untagged) in [
        ("terrace:t:{numbers:odd}", false),
        ("terrace:t:{numbers}clear", true),
    ] {
        for round in 0..3 {
            here.set("tagged", Loaded::new(round).tag("odd"))
                .await
                .unwrap();
            here.set("plain", round).await.unwrap();
            for cache in [&here, &elsewhere] {
                for key in ["tagged", "plain"] {
                    reads(cache, key, Some(round)).await;
                    held_and_proven(cache, key).await;
                }
            }
            assert_eq!(raw.say::<u64>(&["DEL", mark]).await, 1);
            let left = (!takes_untagged).then_some(round);
            for cache in [&here, &elsewhere] {
                reads(cache, "tagged", None).await;
                reads(cache, "plain", left).await;
            }
            // A removal draws another new one; nothing matches by chance.
            elsewhere.remove_tag("odd").await.unwrap();
            let fresh = patient_process_on(&server);
            for cache in [&here, &elsewhere, &fresh] {
                assert!(cache.get("tagged").await.unwrap().is_none());
                reads(cache, "plain", left).await;
            }
        }
    }
    assert_eq!(
        here.stats().store_errors + elsewhere.stats().store_errors,
        0
    );
}

/// The clock of tags is lost during a load: its tags may have been removed.
#[tokio::test]
async fn a_load_during_which_the_clock_of_tags_is_lost_is_stored_nowhere() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    cache.set("warm", 1).await.unwrap();
    held_and_proven(&cache, "warm").await;
    let load = || async move {
        let gone = raw.ask::<u64>("DEL terrace:t:{numbers}clock").await;
        assert_eq!(gone, 1);
        Ok::<_, BoxError>(Loaded::new(1).tag("odd"))
    };
    let seen = cache.get_or_load("k", load).await.unwrap();
    assert_eq!(*seen, 1);
    let overtaken = || cache.stats().overtaken == 1;
    eventually("it is found out", PATIENCE, overtaken).await;
    assert!(cache.get("k").await.unwrap().is_none());
}

const ODD_KEYS: [&str; 14] = [
    "*",
    "?",
    "[a]",
    "[^a]",
    "a*b",
    "a?b",
    "a\\b",
    "\\",
    "]",
    "^",
    "ключ",
    "ключ:1",
    "🔑",
    "a}{b",
];

#[tokio::test]
async fn a_prefix_is_taken_as_it_is_whatever_a_glob_would_make_of_it() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    let cache = patient_process_on(&server);
    for prefix in ODD_KEYS.iter().copied().chain(["a", "кл", "k", "[", "a\\"]) {
        for key in ODD_KEYS {
            cache.set(key, 1).await.unwrap();
        }
        let removed = cache.remove_prefix(prefix).await.unwrap();
        let meant = |key: &str| key.starts_with(prefix);
        let count = ODD_KEYS.iter().filter(|key| meant(key)).count() as u64;
        assert_eq!(removed.store, Some(count), "{prefix:?}");
        for key in ODD_KEYS {
            assert_eq!(cache.peek(key).is_none(), meant(key), "{prefix:?} {key:?}");
            let stored = raw.exists(&format!("terrace:v:{{numbers:{key}}}")).await;
            assert_eq!(stored, !meant(key), "{prefix:?} {key:?}");
        }
    }
    for (glob, meant) in [
        (r"\*", vec!["*"]),
        (r"\\", vec!["\\"]),
        (r"a\?b", vec!["a?b"]),
        ("ключ*", vec!["ключ", "ключ:1"]),
        ("[а-я]*", vec!["ключ", "ключ:1"]),
        ("[^a-zа-я]", vec!["*", "?", "\\", "]", "^", "🔑"]),
        (r"a[\\*?]b", vec!["a*b", "a?b", "a\\b"]),
    ] {
        for key in ODD_KEYS {
            cache.set(key, 1).await.unwrap();
        }
        let removed = cache.remove_matching(glob).await.unwrap();
        assert_eq!(removed.store, Some(meant.len() as u64), "{glob:?}");
        for key in ODD_KEYS {
            assert_eq!(
                cache.peek(key).is_none(),
                meant.contains(&key),
                "{glob:?} {key:?}"
            );
        }
    }
}

#[tokio::test]
async fn removals_touch_neither_foreign_keys_nor_neighbours() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    let named = |namespace: &str, name: &str| -> Cache<u64> {
        let store = store_on(&server).namespace(namespace).unwrap();
        let builder = Cache::builder(name).store_timeout(seconds(5));
        builder.store(store).build().unwrap()
    };
    let cache = named("terrace", "numbers");
    let neighbours = [
        named("terrace", "number"),
        named("terrace", "numbers-2"),
        named("terrace", "s"),
        named("terrace2", "numbers"),
        named("t", "numbers"),
    ];
    let foreign = [
        "odd:1",
        "numbers:odd:1",
        "terrace:v:{numbers:odd:1",
        "terrace:v:numbers:odd:1",
        "xterrace:v:{numbers:odd:1}",
        "terrace:v:{numbers}odd:1",
        "terrace:w:{numbers:odd:1}",
        "terrace:t:{numbers:odd:1}",
    ];
    for key in foreign {
        raw.say::<()>(&["SET", key, "theirs"]).await;
    }
    // Nor what is no UTF-8, in our own namespace.
    let bytes: &[u8] = b"terrace:v:{numbers:odd:\xff}";
    raw.say::<()>(&[b"SET".as_slice(), bytes, b"theirs"]).await;
    for glob in [false, true] {
        for cache in neighbours.iter().chain([&cache]) {
            let value = Loaded::new(1).tag("odd");
            cache.set("odd:1", value).await.unwrap();
        }
        let removed = match glob {
            true => cache.remove_matching("*").await.unwrap(),
            false => cache.remove_prefix("odd:").await.unwrap(),
        };
        assert_eq!((removed.local, removed.store), (1, Some(1)));
    }
    cache.remove_tag("odd").await.unwrap();
    cache.clear().await.unwrap();
    for neighbour in &neighbours {
        assert_eq!(neighbour.get("odd:1").await.unwrap().as_deref(), Some(&1));
        assert_eq!(neighbour.stats().changes_heard, 0, "{}", neighbour.name());
    }
    for key in foreign {
        assert_eq!(raw.bytes(key).await, b"theirs", "{key}");
    }
    assert_eq!(raw.say::<Vec<u8>>(&[b"GET", bytes]).await, b"theirs");
}

const DAY: Duration = Duration::from_secs(86_400);

/// How much of its life a key has left, in days begun.
async fn days_left(raw: &Raw, key: &str) -> u64 {
    let left: u64 = raw.say(&["PTTL", key]).await;
    left.div_ceil(86_400_000)
}

/// There may be a tag for each user: their epochs go when nobody asks for them.
#[tokio::test(flavor = "multi_thread")]
async fn the_epoch_of_a_tag_lives_for_a_month_after_it_was_last_needed() {
    const TAG: &str = "terrace:t:{numbers:odd}";
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let (raw, odd) = (Raw::on(&server).await, || Loaded::new(1).tag("odd"));
    here.set("first", odd()).await.unwrap();
    held_and_proven(&elsewhere, "first").await;
    assert_eq!(days_left(&raw, TAG).await, 31);
    for lasting in ["terrace:t:{numbers}clear", "terrace:t:{numbers}clock"] {
        assert!(days_left(&raw, lasting).await > 1_000, "{lasting}");
    }
    let epoch = raw.bytes(TAG).await;

    let shorten = async |days: u32| {
        let life = (DAY * days).as_millis().to_string();
        raw.say::<()>(&["PEXPIRE", TAG, &life]).await;
    };
    shorten(16).await;
    here.set("second", odd()).await.unwrap();
    assert_eq!(days_left(&raw, TAG).await, 16, "more than half is enough");
    shorten(15).await;
    here.set("third", odd()).await.unwrap();
    assert_eq!(days_left(&raw, TAG).await, 31, "less than half is renewed");

    // It is the same one, its members live, and its removal is heard on all sides (C6).
    assert_eq!(raw.bytes(TAG).await, epoch);
    held_and_proven(&here, "third").await;
    held_and_proven(&elsewhere, "first").await;
    assert_eq!(elsewhere.stats().fills, 0, "nothing was lost");
    elsewhere.remove_tag("odd").await.unwrap();
    for member in ["first", "second", "third"] {
        reads(&here, member, None).await;
        reads(&elsewhere, member, None).await;
    }
    assert_eq!(days_left(&raw, TAG).await, 31);
}

/// Protocol C6: one's own new end of an epoch's life ends the registration, unless a read follows.
#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_whose_life_was_renewed_here_stays_registered() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let (raw, odd) = (Raw::on(&server).await, || Loaded::new(1).tag("odd"));
    here.set("warm", odd()).await.unwrap();
    held_and_proven(&here, "warm").await;
    // Told to this process as well: news that comes during the set would void what it sets.
    let before = here.stats().changes_heard;
    raw.say::<()>(&["PEXPIRE", "terrace:t:{numbers:odd}", "60000"])
        .await;
    let told = || here.stats().changes_heard > before;
    eventually("the shorter life is heard of", PATIENCE, told).await;
    // Nobody reads the epoch again, which would register it anew.
    here.set("k", odd()).await.unwrap();
    assert!(here.peek("k").is_some_and(|seen| seen.proven()));
    elsewhere.remove_tag("odd").await.unwrap();
    let void = || here.peek("k").is_none();
    eventually("the removal is heard", PATIENCE, void).await;
}

/// It may take a minute, and close does not.
#[tokio::test]
async fn a_walk_over_the_keys_ends_when_its_cache_is_closed() {
    let it = set();
    let walk = Hold::new();
    it.faults
        .always(Call::RemoveMatching, Fault::Late(walk.clone()));
    let removing = tokio::spawn({
        let here = it.here.clone();
        async move { here.remove_prefix("odd:").await }
    });
    walk.reached(1).await;
    in_time("closing", it.here.close()).await;
    let error = removing.await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
}

/// A lease that is taken while the values are walked goes with its value, and is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_by_prefix_counts_values_and_not_their_leases() {
    let server = RedisServer::start();
    let (proxy, raw) = (Proxy::before(&server).await, Raw::on(&server).await);
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let cache = numbers().store_timeout(seconds(5)).store(store);
    let cache = cache.build().unwrap();
    for key in ["odd:1", "odd:3", "odd:5"] {
        cache.set(key, 1).await.unwrap();
    }
    // The values are found, and removed this much later.
    proxy.to_client(Flow::Delay(millis(300)));
    let removing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.remove_prefix("odd:").await }
    });
    let found = || proxy.commands("SCAN") == 2;
    eventually("the values are walked", PATIENCE, found).await;
    let lease = ["SET", "terrace:l:{numbers:odd:1}", "somebody"];
    raw.say::<()>(&lease).await;
    let removed = in_time("the removal", removing).await.unwrap().unwrap();
    assert_eq!(removed.store, Some(3));
}
