//! Random histories against a map with times.

use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;
use terrace::{
    BoxError, Cache, EntryOptions, Policy, Source,
    testing::{ManualClock, MemoryStore},
};

use crate::rig::{POLICIES, numbers};

const TTL: u64 = 1_000;
const REVALIDATE: u64 = 500;
const ON_ERROR: u64 = 2_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Set(u8),
    SetBrief(u8),
    SetTagged(u8),
    Get(u8),
    Peek(u8),
    GetOrLoad(u8),
    GetOrFail(u8),
    Refresh(u8),
    Remove(u8),
    RemoveTag,
    RemovePrefix(u8),
    /// Of the keys, the lower half.
    RemoveMatching,
    Clear,
    /// The link is lost and back at once: nothing changed meanwhile.
    Blink,
    /// The store loses all that it holds.
    Flush,
    Advance(u64),
}

/// What the model knows of a key.
#[derive(Clone, Copy, Debug)]
struct Known {
    value: u64,
    born: u64,
    ttl: u64,
    is_tagged: bool,
}

impl Known {
    fn is_fresh(&self, now: u64) -> bool {
        now - self.born < self.ttl
    }

    fn may_be_served(&self, now: u64) -> bool {
        now - self.born < self.ttl + REVALIDATE
    }

    fn may_stand_in(&self, now: u64) -> bool {
        now - self.born < self.ttl + ON_ERROR
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..4_u8;
    let step = prop_oneof![
        3 => key().prop_map(Step::Set),
        1 => key().prop_map(Step::SetBrief),
        2 => key().prop_map(Step::SetTagged),
        3 => key().prop_map(Step::Get),
        2 => key().prop_map(Step::Peek),
        4 => key().prop_map(Step::GetOrLoad),
        2 => key().prop_map(Step::GetOrFail),
        2 => key().prop_map(Step::Refresh),
        2 => key().prop_map(Step::Remove),
        1 => Just(Step::RemoveTag),
        1 => key().prop_map(Step::RemovePrefix),
        1 => Just(Step::RemoveMatching),
        1 => Just(Step::Clear),
        1 => Just(Step::Blink),
        1 => Just(Step::Flush),
        5 => (0..1_200_u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..60)
}

struct Run {
    cache: Cache<u64>,
    store: Option<MemoryStore>,
    time: ManualClock,
    now: u64,
    next: u64,
    known: HashMap<u8, Known>,
}

impl Run {
    fn new(policy: Policy, store: bool) -> Self {
        let time = ManualClock::new();
        let options = EntryOptions::ttl(Duration::from_millis(TTL))
            .stale_while_revalidate(Duration::from_millis(REVALIDATE))
            .stale_if_error(Duration::from_millis(ON_ERROR));
        let builder = numbers()
            .policy(policy)
            .defaults(options)
            .clock(time.clock());
        let store = store.then(|| MemoryStore::with_clock(time.clock()));
        let builder = match &store {
            Some(store) => builder.store(store.clone()),
            None => builder,
        };
        Self {
            store,
            cache: builder.build().unwrap(),
            time,
            now: 0,
            next: 0,
            known: HashMap::new(),
        }
    }

    fn learn(&mut self, key: u8, value: u64, ttl: u64) {
        let born = self.now;
        let known = Known {
            value,
            born,
            ttl,
            is_tagged: false,
        };
        self.known.insert(key, known);
    }

    /// What a read that loads nothing saw.
    fn check(&self, key: u8, seen: Option<(u64, bool, Duration)>) {
        let known = self.known.get(&key);
        match (seen, known) {
            (None, None) => {}
            (None, Some(known)) => assert!(!known.may_be_served(self.now), "lost {known:?}"),
            (Some(seen), None) => panic!("{seen:?} was removed"),
            (Some((value, stale, age)), Some(known)) => {
                assert_eq!(value, known.value);
                assert!(
                    known.may_be_served(self.now),
                    "{known:?} is over at {}",
                    self.now
                );
                assert_eq!(stale, !known.is_fresh(self.now));
                assert_eq!(age, Duration::from_millis(self.now - known.born));
            }
        }
    }

    async fn step(&mut self, step: Step) {
        self.next += 1;
        let (value, cache) = (self.next, self.cache.clone());
        let load = || async move { Ok::<_, BoxError>(value) };
        match step {
            Step::Set(key) => {
                cache.set(key.to_string(), value).await.unwrap();
                self.learn(key, value, TTL);
            }
            Step::SetBrief(key) => {
                let ttl = Duration::from_millis(10);
                let brief = terrace::Loaded::new(value).ttl(ttl);
                cache.set(key.to_string(), brief).await.unwrap();
                self.learn(key, value, 10);
            }
            Step::SetTagged(key) => {
                let tagged = terrace::Loaded::new(value).tag("tag").tag(key.to_string());
                cache.set(key.to_string(), tagged).await.unwrap();
                self.learn(key, value, TTL);
                self.known.get_mut(&key).unwrap().is_tagged = true;
            }
            Step::Get(key) => {
                let seen = cache.get(key.to_string()).await.unwrap();
                self.check(key, seen.map(|seen| (*seen, seen.is_stale(), seen.age())));
            }
            Step::Peek(key) => {
                if let Some(seen) = cache.peek(key.to_string()) {
                    self.check(key, Some((*seen, seen.is_stale(), seen.age())));
                }
            }
            Step::GetOrLoad(key) => self.get_or_load(key, value).await,
            Step::GetOrFail(key) => self.get_or_fail(key).await,
            Step::Refresh(key) => {
                let seen = cache.refresh(key.to_string(), load).await.unwrap();
                assert_eq!((*seen, seen.source()), (value, Source::Loader));
                self.learn(key, value, TTL);
            }
            Step::Remove(key) => {
                cache.remove(key.to_string()).await.unwrap();
                self.known.remove(&key);
            }
            Step::RemoveTag | Step::RemovePrefix(_) | Step::RemoveMatching | Step::Clear => {
                self.remove_group(step).await;
            }
            Step::Blink | Step::Flush => self.lose(step),
            Step::Advance(millis) => {
                self.time.advance(Duration::from_millis(millis));
                self.now += millis;
            }
        }
    }

    fn lose(&mut self, step: Step) {
        let Some(store) = &self.store else { return };
        if let Step::Flush = step {
            store.flush();
            self.known.clear();
        } else {
            store.cut();
            store.restore();
        }
    }

    async fn remove_group(&mut self, step: Step) {
        match step {
            Step::RemoveTag => {
                self.cache.remove_tag("tag").await.unwrap();
                self.known.retain(|_, known| !known.is_tagged);
            }
            Step::RemovePrefix(key) => {
                self.cache.remove_prefix(key.to_string()).await.unwrap();
                self.known.remove(&key);
            }
            Step::RemoveMatching => {
                self.cache.remove_matching("[01]").await.unwrap();
                self.known.retain(|key, _| *key > 1);
            }
            _ => {
                self.cache.clear().await.unwrap();
                self.known.clear();
            }
        }
    }

    async fn get_or_load(&mut self, key: u8, value: u64) {
        let load = || async move { Ok::<_, BoxError>(value) };
        let cache = self.cache.clone();
        let seen = cache.get_or_load(key.to_string(), load).await.unwrap();
        let served = self
            .known
            .get(&key)
            .filter(|known| known.may_be_served(self.now));
        match served.copied() {
            Some(known) if *seen == known.value => {
                assert_ne!(seen.source(), Source::Loader);
                assert_eq!(seen.is_stale(), !known.is_fresh(self.now));
                if seen.is_stale() {
                    // One load runs behind; on this runtime it ends in a few turns.
                    self.settle().await;
                    self.learn(key, value, TTL);
                }
            }
            Some(known) => {
                // A stale value may lose against a load that ends at once.
                assert!(!known.is_fresh(self.now), "{known:?} was fresh");
                assert_eq!(*seen, value);
                self.settle().await;
                self.learn(key, value, TTL);
            }
            None => {
                assert_eq!((*seen, seen.source()), (value, Source::Loader));
                self.settle().await;
                self.learn(key, value, TTL);
            }
        }
    }

    async fn get_or_fail(&self, key: u8) {
        let fail = || async { Err::<u64, BoxError>("the source is down".into()) };
        let cache = self.cache.clone();
        let answer = cache.get_or_load(key.to_string(), fail).await;
        let known = self
            .known
            .get(&key)
            .filter(|known| known.may_stand_in(self.now));
        match (answer, known) {
            (Ok(seen), Some(known)) => {
                assert_eq!(
                    (*seen, seen.is_stale()),
                    (known.value, !known.is_fresh(self.now))
                );
            }
            (Err(error), None) => assert!(error.is_load()),
            (answer, known) => panic!("{answer:?} although {known:?}"),
        }
        self.settle().await;
    }

    /// Lets flights that go on after their answers end: nothing here waits for time.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x7e44_ace1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_history_agrees_with_a_map_with_times(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for policy in POLICIES {
            for store in [false, true] {
                runtime.block_on(async {
                    let mut run = Run::new(policy, store);
                    for step in &steps {
                        run.step(*step).await;
                    }
                });
            }
        }
    }
}
