//! Nothing removed comes back: seeded rounds of readers, loads and writers that
//! overlap in random ways.
//!
//! The source is a counter. Before a write (`set`, `remove`, or the removal of a tag,
//! a prefix, a glob, or everything) the writer raises it; once the call has returned,
//! the raised number is the floor: a read that begins later must not see less.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::{BoxError, Cache, Entry, EntryOptions, Error, Loaded, testing::MemoryStore};
use tokio::sync::watch;

use crate::{
    chaos::Chaotic,
    redis_server::RedisServer,
    rig::{POLICIES, in_time, millis, numbers, patient_process_on, seconds, store_on, ttl},
};

const ROUNDS: u64 = 10_000;
/// Keys that are worked on at the same time.
const LANES: u64 = 32;
/// How long a task waits for another one's next step, which may never come.
const LONGEST_WAIT: Duration = Duration::from_millis(5);
const SEED: u64 = 0x7e44_ace0;

/// What was seen in all rounds, so that a harness that cannot see is noticed.
#[derive(Debug, Default)]
struct Sight {
    /// Rounds in which a load had read the source before the write and ended after it began.
    overlapped: AtomicU64,
    reads: AtomicU64,
    failed_writes: AtomicU64,
}

/// One key, its source and what its readers know.
struct Lane {
    key: String,
    /// The process that writes, and whose readers are held to the floor.
    here: Cache<u64>,
    /// Another process that loads and fills the same key.
    elsewhere: Option<Cache<u64>>,
    source: AtomicU64,
    floor: watch::Sender<u64>,
    /// Raised as a write begins.
    writing: watch::Sender<u64>,
    /// Raised as a load has read the source.
    loading: watch::Sender<u64>,
    /// Whether some loads fail, so that stale values stand in.
    fails: bool,
    sight: Arc<Sight>,
}

impl Lane {
    /// With the lane's tag if the group is to be removed by it.
    fn tagged(&self, version: u64, others: u32) -> Loaded<u64> {
        let others = (0..others).map(|number| format!("other {number}"));
        let loaded = Loaded::new(version).tag(&self.key);
        others.fold(loaded, Loaded::tag)
    }

    fn load(
        self: &Arc<Self>,
        seed: u64,
    ) -> impl Future<Output = Result<Loaded<u64>, BoxError>> + use<> {
        let lane = Arc::clone(self);
        async move {
            let mut random = StdRng::seed_from_u64(seed);
            pause(&mut random).await;
            let tags = random.random_range(0..3);
            let (version, began) = (lane.source.load(SeqCst), *lane.writing.borrow());
            lane.loading.send_modify(|loads| *loads += 1);
            match random.random_range(0..3) {
                0 => pause(&mut random).await,
                1 => until_changed(&lane.writing).await,
                _ => until_changed(&lane.floor).await,
            }
            pause(&mut random).await;
            if *lane.writing.borrow() != began {
                lane.sight.overlapped.fetch_add(1, SeqCst);
            }
            if lane.fails && random.random_bool(0.3) {
                return Err("the source is down".into());
            }
            Ok(lane.tagged(version, tags))
        }
    }

    async fn read(self: &Arc<Self>, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        pause(&mut random).await;
        let (floor, load_seed) = (*self.floor.borrow(), random.random());
        let seen = match random.random_range(0..10) {
            0 => self.here.peek(&self.key),
            1 | 2 => self.here.get(&self.key).await.unwrap(),
            3 => self.loaded(self.here.refresh(&self.key, || self.load(load_seed)).await),
            _ => self.loaded(
                self.here
                    .get_or_load(&self.key, || self.load(load_seed))
                    .await,
            ),
        };
        self.sight.reads.fetch_add(1, SeqCst);
        if let Some(entry) = seen {
            assert!(
                *entry >= floor,
                "{:?}: a read that began at floor {floor} saw {entry:?} (reader's seed {seed:#x})",
                self.key
            );
        }
    }

    fn loaded(&self, answer: Result<Entry<u64>, Error>) -> Option<Entry<u64>> {
        match answer {
            Err(error) if self.fails && error.is_load() => None,
            answer => Some(answer.unwrap()),
        }
    }

    async fn read_elsewhere(self: &Arc<Self>, seed: u64) {
        let Some(elsewhere) = &self.elsewhere else {
            return;
        };
        let mut random = StdRng::seed_from_u64(seed);
        pause(&mut random).await;
        let load = self.load(random.random());
        if random.random_bool(0.5) {
            self.loaded(elsewhere.refresh(&self.key, || load).await);
        } else {
            self.loaded(elsewhere.get_or_load(&self.key, || load).await);
        }
    }

    async fn write(&self, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        if random.random_bool(0.8) {
            until_changed(&self.loading).await;
        }
        pause(&mut random).await;
        let version = self.source.fetch_add(1, SeqCst) + 1;
        self.writing.send_modify(|writes| *writes += 1);
        // What concerns all keys disturbs the other lanes: not too often.
        let outcome = match random.random_range(0..128) {
            0..32 => {
                let value = self.tagged(version, random.random_range(0..3));
                self.here.set(&self.key, value).await.map(|_| ())
            }
            32..56 => self.here.remove_tag(&self.key).await,
            56 => self.here.clear().await,
            57 => self.here.remove_prefix(&self.key).await.map(|_| ()),
            58 => self.here.remove_matching(self.glob()).await.map(|_| ()),
            _ => self.here.remove(&self.key).await,
        };
        if let Err(error) = outcome {
            assert!(error.is_store(), "{error}");
            self.sight.failed_writes.fetch_add(1, SeqCst);
        }
        self.floor.send_replace(version);
    }

    /// Matches the lane's key and those of a few others.
    fn glob(&self) -> String {
        self.key.replacen('a', "?", 1) + "*"
    }

    async fn round(self: &Arc<Self>, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..random.random_range(1..4) {
            let (lane, seed) = (Arc::clone(self), random.random());
            tasks.spawn(async move { lane.read(seed).await });
        }
        let (lane, foreign) = (Arc::clone(self), random.random());
        tasks.spawn(async move { lane.read_elsewhere(foreign).await });
        self.write(random.random()).await;
        // A new reader, whatever the others do.
        self.read(random.random()).await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

async fn pause(random: &mut StdRng) {
    for _ in 0..random.random_range(0..6) {
        tokio::task::yield_now().await;
    }
}

/// Waits until the number moves; not for long, for it need not.
async fn until_changed(number: &watch::Sender<u64>) {
    let mut number = number.subscribe();
    let _ = tokio::time::timeout(LONGEST_WAIT, number.changed()).await;
}

/// Runs the rounds in lanes. The caches are built once; the policy is in them.
async fn run(rounds: u64, here: &Cache<u64>, elsewhere: Option<&Cache<u64>>) -> Arc<Sight> {
    run_with(false, rounds, here, elsewhere).await
}

async fn run_with(
    fails: bool,
    rounds: u64,
    here: &Cache<u64>,
    elsewhere: Option<&Cache<u64>>,
) -> Arc<Sight> {
    let sight = Arc::new(Sight::default());
    let mut lanes = tokio::task::JoinSet::new();
    for number in 0..LANES {
        let lane = Arc::new(Lane {
            key: format!("lane {number}"),
            here: here.clone(),
            elsewhere: elsewhere.cloned(),
            source: AtomicU64::new(1),
            floor: watch::Sender::new(1),
            writing: watch::Sender::new(0),
            loading: watch::Sender::new(0),
            fails,
            sight: Arc::clone(&sight),
        });
        lanes.spawn(async move {
            for round in 0..rounds.div_ceil(LANES) {
                let seed = SEED ^ (number << 32) ^ round;
                in_time(&format!("round of seed {seed:#x}"), lane.round(seed)).await;
            }
        });
    }
    while let Some(ended) = lanes.join_next().await {
        if let Err(error) = ended {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    sight
}

fn assert_overlaps(sight: &Sight, rounds: u64) {
    let overlapped = sight.overlapped.load(SeqCst);
    assert!(
        overlapped > rounds / 20,
        "only {overlapped} of {rounds} rounds overlapped: {sight:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_during_a_load_comes_back_without_a_store() {
    for policy in POLICIES {
        let cache = numbers().policy(policy).build().unwrap();
        let sight = run(ROUNDS, &cache, None).await;
        eprintln!("{policy:?}, no store: {sight:?}");
        assert_overlaps(&sight, ROUNDS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_during_a_load_comes_back_from_a_shared_store() {
    for policy in POLICIES {
        let store = MemoryStore::new();
        let here = numbers()
            .policy(policy)
            .store(store.sibling())
            .build()
            .unwrap();
        let elsewhere = numbers()
            .policy(policy)
            .store(store.sibling())
            .build()
            .unwrap();
        let sight = run(ROUNDS, &here, Some(&elsewhere)).await;
        eprintln!("{policy:?}, memory store: {sight:?}");
        assert_overlaps(&sight, ROUNDS);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_during_a_load_comes_back_from_redis() {
    let server = RedisServer::start();
    for policy in POLICIES {
        let process = || {
            let builder = numbers().policy(policy).store_timeout(seconds(5));
            builder.store(store_on(&server)).build().unwrap()
        };
        let sight = run(ROUNDS, &process(), Some(&process())).await;
        eprintln!("{policy:?}, Redis: {sight:?}");
        assert_overlaps(&sight, ROUNDS);
        assert_eq!(sight.failed_writes.load(SeqCst), 0);
    }
}

/// Lives of milliseconds, so that all that may be stale is, and stands in for loads that fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_comes_back_as_a_stale_value() {
    const ROUNDS: u64 = 3_000;
    for policy in POLICIES {
        let memory = MemoryStore::new();
        let process = || {
            let options = EntryOptions::ttl(millis(2))
                .stale_while_revalidate(millis(3))
                .stale_if_error(seconds(5));
            let builder = numbers().policy(policy).defaults(options);
            builder.store(memory.sibling()).build().unwrap()
        };
        let (here, elsewhere) = (process(), process());
        let sight = run_with(true, ROUNDS, &here, Some(&elsewhere)).await;
        let stats = here.stats();
        eprintln!(
            "{policy:?}, stale: {sight:?}, {} stood in",
            stats.stale_on_error
        );
        assert_overlaps(&sight, ROUNDS);
        assert_eq!(stats.store_damaged, 0);
        assert!(
            stats.stale_on_error > 10 && stats.lease_waits > 10,
            "{stats:?}"
        );
    }
}

/// The promise holds for calls that return an error, too, and for whatever the
/// store does of it afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_comes_back_although_one_store_call_in_four_fails() {
    const ROUNDS: u64 = 5_000;
    for policy in POLICIES {
        let memory = MemoryStore::new();
        let process = |seed| {
            let store = Chaotic::over(&memory, seed);
            // A held lease must not stop the rounds for long.
            let options = ttl(60).load_timeout(seconds(5));
            let builder = numbers().policy(policy).defaults(options);
            builder.store(store).build().unwrap()
        };
        let (here, elsewhere) = (process(SEED), process(SEED + 1));
        let sight = run(ROUNDS, &here, Some(&elsewhere)).await;
        eprintln!("{policy:?}, chaos: {sight:?}");
        assert_overlaps(&sight, ROUNDS);
        assert!(sight.failed_writes.load(SeqCst) > ROUNDS / 20);
    }
}

/// Links that are cut, deafened and lose all that they hold, in the midst of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_comes_back_although_links_break_and_the_store_forgets() {
    const ROUNDS: u64 = 2_000;
    for policy in POLICIES {
        let memory = MemoryStore::new();
        let (store, other) = (memory.sibling(), memory.sibling());
        let options = ttl(60).load_timeout(seconds(2));
        let build = |store: &MemoryStore| {
            let builder = numbers().policy(policy).defaults(options.clone());
            builder.store(store.clone()).build().unwrap()
        };
        let (here, elsewhere) = (build(&store), build(&other));
        let breaking = tokio::spawn(break_links([store, other]));
        let sight = run(ROUNDS, &here, Some(&elsewhere)).await;
        let breaks = breaking.is_finished();
        breaking.abort();
        let stats = here.stats();
        eprintln!("{policy:?}, breaking links: {sight:?} {stats:?}");
        assert_overlaps(&sight, ROUNDS);
        assert!(!breaks && stats.gaps > 20, "{stats:?}");
        assert!(sight.failed_writes.load(SeqCst) > 0);
    }
}

/// Until it is aborted.
async fn break_links(links: [MemoryStore; 2]) {
    let mut random = StdRng::seed_from_u64(SEED);
    loop {
        let link = &links[random.random_range(0..2)];
        match random.random_range(0..10) {
            0 | 1 => link.cut(),
            2 => link.deafen(),
            3 => link.flush(),
            _ => link.restore(),
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(0..2_000))).await;
    }
}

/// With a deadline that many calls miss, bytes arrive late, and the breaker opens
/// and closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_removed_comes_back_although_redis_misses_the_deadline() {
    const ROUNDS: u64 = 2_000;
    let server = RedisServer::start();
    let hurried = numbers().store_timeout(millis(3)).store(store_on(&server));
    let (here, elsewhere) = (hurried.build().unwrap(), patient_process_on(&server));
    let sight = run(ROUNDS, &here, Some(&elsewhere)).await;
    eprintln!("hurried, Redis: {sight:?}");
}
