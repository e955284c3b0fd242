//! Groups: by tag, by prefix, by glob, or everything. Here and in other processes,
//! also while their members are being loaded.

use proptest::prelude::*;
use terrace::{BoxError, Builder, Cache, Error, Loaded, Policy, Source, testing::MemoryStore};

use crate::{
    redis_server::RedisServer,
    rig::{
        Latch, Origin, PATIENCE, POLICIES, bounded, eventually, held_and_proven, in_time, numbers,
        reads, seconds, store_on,
    },
};

/// One process without a store, or two with one.
pub(crate) struct Processes {
    pub(crate) here: Cache<u64>,
    pub(crate) elsewhere: Option<Cache<u64>>,
    _server: Option<RedisServer>,
}

impl Processes {
    pub(crate) fn all(policy: Policy) -> [Self; 3] {
        let build = |builder: Builder<u64>| builder.policy(policy).build().unwrap();
        let (memory, server) = (MemoryStore::new(), RedisServer::start());
        let over_memory = || build(numbers().store(memory.sibling()));
        let patient = || numbers().store_timeout(seconds(5));
        let over_redis = || build(patient().store(store_on(&server)));
        let (first, second) = (over_redis(), over_redis());
        [
            Self {
                here: build(numbers()),
                elsewhere: None,
                _server: None,
            },
            Self {
                here: over_memory(),
                elsewhere: Some(over_memory()),
                _server: None,
            },
            Self {
                here: first,
                elsewhere: Some(second),
                _server: Some(server),
            },
        ]
    }

    fn caches(&self) -> impl Iterator<Item = &Cache<u64>> {
        std::iter::once(&self.here).chain(&self.elsewhere)
    }
}

/// The ways to remove "odd:1" with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Tag,
    Prefix,
    Glob,
    Everything,
}

impl Group {
    pub(crate) const ALL: [Self; 4] = [Self::Tag, Self::Prefix, Self::Glob, Self::Everything];

    pub(crate) async fn remove_from(self, cache: &Cache<u64>) -> Result<(), Error> {
        match self {
            Self::Tag => cache.remove_tag("odd").await,
            Self::Prefix => cache.remove_prefix("odd:").await.map(drop),
            Self::Glob => cache.remove_matching("o?d:[0-9]*").await.map(drop),
            Self::Everything => cache.clear().await,
        }
    }
}

/// What a loader brings that decides the tags itself.
pub(crate) async fn tagged(
    load: impl Future<Output = Result<u64, BoxError>>,
) -> Result<Loaded<u64>, BoxError> {
    load.await.map(|value| Loaded::new(value).tag("odd"))
}

#[tokio::test]
async fn a_group_goes_with_all_its_members_and_nothing_else() {
    for policy in POLICIES {
        for it in Processes::all(policy) {
            for (round, group) in (1..).zip(Group::ALL) {
                let origin = Origin::at(round);
                let (set, loaded) = ("odd:1", "odd:3");
                let odd = Loaded::new(round).tag("other").tag("odd");
                it.here.set(set, odd).await.unwrap();
                let load = || tagged(origin.load());
                it.here.get_or_load(loaded, load).await.unwrap();
                it.here.set("even:2", round).await.unwrap();
                for cache in it.caches() {
                    for key in [set, loaded, "even:2"] {
                        reads(cache, key, Some(round)).await;
                        held_and_proven(cache, key).await;
                    }
                }
                let before = it.here.stats();
                group.remove_from(&it.here).await.unwrap();
                let kept = (group != Group::Everything).then_some(round);
                for key in [set, loaded] {
                    assert!(it.here.peek(key).is_none(), "{group:?} {key}");
                    assert!(it.here.get(key).await.unwrap().is_none(), "{group:?} {key}");
                }
                for cache in it.caches() {
                    for key in [set, loaded] {
                        reads(cache, key, None).await;
                    }
                    reads(cache, "even:2", kept).await;
                }
                assert_eq!(it.here.stats().group_removals, before.group_removals + 1);
                assert_eq!(it.here.stats().removals, 0);
            }
        }
    }
}

/// Whoever asks after the removal returned must not get what was loaded before it,
/// in either process, whatever the loader says late of its tags (protocol C8).
async fn removed_during_a_load(it: &Processes, group: Group, by_the_other: bool) {
    let remover = match &it.elsewhere {
        Some(other) if by_the_other => other,
        _ => &it.here,
    };
    let (origin, latch) = (Origin::at(1), Latch::closed());
    for cache in it.caches() {
        cache.set("warm", 1).await.unwrap();
        held_and_proven(cache, "warm").await;
    }
    let doomed = |cache: &Cache<u64>| {
        let (cache, load) = (cache.clone(), tagged(origin.held_load(&latch)));
        tokio::spawn(async move { *cache.get_or_load("odd:1", || load).await.unwrap() })
    };
    let leader = doomed(&it.here);
    latch.reached().await;
    let joiner = doomed(&it.here);
    let joined = it.here.stats().joined;
    eventually("it has joined", PATIENCE, || {
        it.here.stats().joined > joined || it.here.stats().misses > 1
    })
    .await;
    let heard = it.here.stats().changes_heard;
    origin.change_to(2);
    group.remove_from(remover).await.unwrap();
    if by_the_other && it.elsewhere.is_some() {
        let told = || it.here.stats().changes_heard > heard;
        eventually("the removal is heard", PATIENCE, told).await;
    }
    let later: Vec<_> = it
        .caches()
        .map(|cache| {
            let (cache, load) = (cache.clone(), tagged(origin.load()));
            tokio::spawn(async move { *cache.get_or_load("odd:1", || load).await.unwrap() })
        })
        .collect();
    // Some of them wait for the lease of the doomed load.
    tokio::task::yield_now().await;
    latch.open();
    for read in later {
        let seen = in_time("who comes later", read).await.unwrap();
        assert_eq!(seen, 2, "{group:?}, by the other: {by_the_other}");
    }
    for overlapping in [leader, joiner] {
        let seen = in_time("who came before", overlapping).await.unwrap();
        assert!([1, 2].contains(&seen));
    }
    for cache in it.caches() {
        let load = tagged(origin.load());
        let last = cache.get_or_load("odd:1", || load).await.unwrap();
        assert_eq!(*last, 2, "{group:?}, by the other: {by_the_other}");
        cache.remove("odd:1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_loaded_when_its_group_was_removed_is_not_for_later_readers() {
    for policy in POLICIES {
        for it in Processes::all(policy) {
            for group in Group::ALL {
                removed_during_a_load(&it, group, false).await;
                removed_during_a_load(&it, group, true).await;
            }
        }
    }
}

#[tokio::test]
async fn a_load_whose_tag_was_removed_meanwhile_is_handed_out_and_stored_nowhere() {
    let memory = MemoryStore::new();
    let process = || numbers().store(memory.sibling()).build().unwrap();
    let (here, elsewhere) = (process(), process());
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let load = tokio::spawn({
        let (here, load) = (here.clone(), tagged(origin.held_load(&latch)));
        async move { here.get_or_load("k", || load).await.unwrap() }
    });
    latch.reached().await;
    elsewhere.remove_tag("odd").await.unwrap();
    latch.open();
    let seen = in_time("the load", load).await.unwrap();
    assert_eq!(
        (*seen, seen.source(), seen.proven()),
        (1, Source::Loader, false)
    );
    let overtaken = || here.stats().overtaken == 1;
    eventually("it is found out", PATIENCE, overtaken).await;
    assert!(memory.is_empty() && here.peek("k").is_none());
    assert_eq!(here.stats().fills, 0);
}

/// Race 11.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_meets_a_clear_ends_alike_everywhere_and_one_after_it_survives() {
    for it in Processes::all(Policy::default()).into_iter().skip(1) {
        let elsewhere = it.elsewhere.clone().unwrap();
        let mut survived = 0;
        for round in 0..100_u64 {
            let (here, clearing) = (it.here.clone(), elsewhere.clone());
            let key = format!("k{}", round % 3);
            let set = tokio::spawn({
                let key = key.clone();
                let value = Loaded::new(round).tag("odd");
                async move { here.set(key, value).await.unwrap() }
            });
            match round % 2 {
                0 => clearing.clear().await.unwrap(),
                _ => clearing.remove_tag("odd").await.unwrap(),
            }
            set.await.unwrap();
            let stored = elsewhere.get(&key).await.unwrap().map(|seen| *seen);
            assert!(stored.is_none() || stored == Some(round));
            reads(&it.here, &key, stored).await;
            survived += u64::from(stored.is_some());
            for cache in it.caches() {
                cache
                    .set(&key, Loaded::new(round + 1).tag("odd"))
                    .await
                    .unwrap();
                for cache in it.caches() {
                    reads(cache, &key, Some(round + 1)).await;
                }
            }
        }
        eprintln!("{survived} of 100 sets came after the removal");
    }
}

/// L1 may hold what L2 could not take: no walk finds it, and no push names it.
#[tokio::test]
async fn what_only_an_l1_holds_goes_with_its_group_within_the_bound() {
    for group in Group::ALL {
        let memory = MemoryStore::new();
        let small = bounded().max_value_bytes(1).store(memory.sibling());
        let (here, elsewhere) = (small.build().unwrap(), numbers().store(memory));
        let elsewhere = elsewhere.build().unwrap();
        let load = || tagged(async { Ok(1_000_000) });
        here.get_or_load("odd:1", load).await.unwrap();
        let held = || here.peek("odd:1").is_some();
        eventually("L1 holds it", PATIENCE, held).await;
        assert!(!here.peek("odd:1").unwrap().proven());
        group.remove_from(&elsewhere).await.unwrap();
        reads(&here, "odd:1", None).await;
    }
}

#[tokio::test]
async fn globs_that_are_none_are_refused_and_the_longest_is_one() {
    let it = Processes::all(Policy::default());
    let bad = [
        "", "[", "a[", "[]", "[^]", "[a", "[a-]", "[z-a]", "[a-", "\\", "a\\", "[\\",
    ];
    let (longest, too_long) = ("?".repeat(128), "?".repeat(129));
    let (prefix, long_prefix) = ("x".repeat(512), "x".repeat(513));
    let (tag, long_tag): (_, &str) = ("t".repeat(128), "t".repeat(129).leak());
    for cache in it.iter().flat_map(Processes::caches) {
        for glob in bad.iter().copied().chain([&*too_long]) {
            let error = cache.remove_matching(glob).await.unwrap_err();
            assert!(error.is_invalid_key(), "{glob:?}: {error}");
        }
        let error = cache.remove_prefix("").await.unwrap_err();
        assert!(error.is_invalid_key());
        let error = cache.remove_prefix(&long_prefix).await.unwrap_err();
        assert!(error.is_invalid_key());
        for tag in ["", long_tag] {
            assert!(cache.remove_tag(tag).await.unwrap_err().is_invalid_key());
            let error = cache.set("k", Loaded::new(1).tag(tag)).await.unwrap_err();
            assert!(error.is_invalid_key());
            let load = || async move { Ok::<_, BoxError>(Loaded::new(1).tag(tag)) };
            let error = cache.get_or_load("none", load).await.unwrap_err();
            assert!(error.is_invalid_key());
        }
        cache.remove_matching(&longest).await.unwrap();
        cache.remove_prefix(&prefix).await.unwrap();
        cache.remove_tag(&tag).await.unwrap();
        let many = |count: usize| (0..count).fold(Loaded::new(1), |l, n| l.tag(format!("{n}")));
        assert!(cache.set("k", many(17)).await.unwrap_err().is_invalid_key());
        cache.set("k", many(16).tag("3")).await.unwrap();
        assert_eq!(cache.get("k").await.unwrap().as_deref(), Some(&1));
    }
}

/// Matching by its definition, one character at a time. `None`: no glob.
fn naive(glob: &[char], key: &[char]) -> Option<bool> {
    let Some((first, rest)) = glob.split_first() else {
        return Some(key.is_empty());
    };
    let step = |taken: bool, rest: &[char]| {
        let after = naive(rest, key.get(1..).unwrap_or_default())?;
        Some(taken && !key.is_empty() && after)
    };
    match first {
        '*' => {
            let mut any = false;
            for from in 0..=key.len() {
                any |= naive(rest, &key[from..])?;
            }
            Some(any)
        }
        '?' => step(true, rest),
        '\\' => step(key.first() == Some(rest.first()?), &rest[1..]),
        '[' => {
            let (within, rest) = naive_set(rest, key.first().copied().unwrap_or_default())?;
            step(within, rest)
        }
        literal => step(key.first() == Some(literal), rest),
    }
}

fn naive_set(mut rest: &[char], wanted: char) -> Option<(bool, &[char])> {
    let (mut negated, mut members, mut within) = (false, 0, false);
    if rest.first() == Some(&'^') {
        (negated, rest) = (true, &rest[1..]);
    }
    loop {
        let (first, after) = match rest {
            [']', after @ ..] if members > 0 => return Some((within != negated, after)),
            [] | [']', ..] | ['\\'] => return None,
            ['\\', first, after @ ..] | [first, after @ ..] => (*first, after),
        };
        rest = after;
        let mut last = first;
        if let ['-', end, after @ ..] = rest {
            (last, rest) = (*end, after);
            if *end == ']' {
                return None;
            }
        } else if rest == ['-'] {
            return None;
        }
        if last < first {
            return None;
        }
        members += 1;
        within |= (first..=last).contains(&wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x7e44_ace2),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_glob_means_what_its_definition_says(
        glob in r"[ab*?\[\]^é\\-]{1,9}",
        keys in prop::collection::hash_set(r"[abcé*?\[\]^\\-]{1,6}", 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let cache = numbers().build().unwrap();
            for key in &keys {
                cache.set(key, 1).await.unwrap();
            }
            let removed = cache.remove_matching(&glob).await;
            let letters: Vec<char> = glob.chars().collect();
            let mut count = 0;
            for key in &keys {
                let key_letters: Vec<char> = key.chars().collect();
                let expected = naive(&letters, &key_letters);
                assert_eq!(removed.is_ok(), expected.is_some(), "{glob:?}: {removed:?}");
                let gone = cache.peek(key).is_none();
                assert_eq!(gone, expected == Some(true), "{glob:?} and {key:?}");
                count += u64::from(gone);
            }
            if let Ok(removed) = removed {
                assert_eq!((removed.local, removed.store), (count, None));
            }
        });
    }
}
