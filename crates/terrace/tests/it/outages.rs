//! What readers feel while Redis is lost and found again, under load.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use terrace::{BoxError, Cache};
use tokio::task::JoinSet;

use crate::{
    faults::{USED_AGAIN, WORST_ADDED, used},
    redis_server::RedisServer,
    rig::{PATIENCE, eventually, healthy, in_time, millis, process_on},
};

/// What nine reads in ten may take while the fault is found out: the store's
/// deadline of 100 ms, and what is the machine's.
const FINDING_OUT: Duration = Duration::from_millis(130);
/// With the breaker open: what half of the reads, and nine in ten, may take.
const OPEN_HALF: Duration = Duration::from_millis(2);
const OPEN_MOST: Duration = Duration::from_millis(10);

/// One read: when it began, and how long it took.
#[derive(Clone, Copy)]
struct Read {
    began: Instant,
    took: Duration,
}

/// Readers of hot and of cold keys, until they are told to stop.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    cold: AtomicU64,
    reads: AtomicU64,
    hits: Mutex<Vec<Read>>,
    misses: Mutex<Vec<Read>>,
}

impl Load {
    fn start(cache: &Cache<u64>) -> (Arc<Self>, JoinSet<()>) {
        let (load, mut tasks) = (Arc::new(Self::default()), JoinSet::new());
        for _ in 0..4 {
            let (load, cache) = (Arc::clone(&load), cache.clone());
            tasks.spawn(async move {
                while !load.stop.load(SeqCst) {
                    load.read(&cache, "hot", &load.hits).await;
                    let cold = format!("cold {}", load.cold.fetch_add(1, SeqCst));
                    load.read(&cache, &cold, &load.misses).await;
                    tokio::time::sleep(millis(1)).await;
                }
            });
        }
        (load, tasks)
    }

    async fn read(&self, cache: &Cache<u64>, key: &str, reads: &Mutex<Vec<Read>>) {
        let began = Instant::now();
        let answer = cache
            .get_or_load(key, || async { Ok::<_, BoxError>(7) })
            .await;
        let took = began.elapsed();
        assert_eq!(*answer.expect("no read fails"), 7);
        reads.lock().unwrap().push(Read { began, took });
        self.reads.fetch_add(1, SeqCst);
    }

    /// So many more reads have ended.
    async fn more(&self, count: u64) {
        let enough = self.reads.load(SeqCst) + count;
        let ended = || self.reads.load(SeqCst) >= enough;
        eventually("more reads", PATIENCE, ended).await;
    }

    /// How long the reads took that began in this span: hits and misses.
    fn between(&self, start: Instant, end: Instant) -> (Latencies, Latencies) {
        self.those(|read| start <= read.began && read.began < end)
    }

    /// The same for reads that were under way at some time of this span: those that
    /// the fault met in the middle, too.
    fn under_way(&self, start: Instant, end: Instant) -> (Latencies, Latencies) {
        self.those(|read| read.began < end && start < read.began + read.took)
    }

    fn those(&self, chosen: impl Fn(&Read) -> bool) -> (Latencies, Latencies) {
        let latencies = |reads: &Mutex<Vec<Read>>| {
            let reads = reads.lock().unwrap();
            let chosen = reads.iter().filter(|read| chosen(read));
            Latencies::of(chosen.map(|read| read.took).collect())
        };
        (latencies(&self.hits), latencies(&self.misses))
    }

    async fn end(&self, mut tasks: JoinSet<()>) {
        self.stop.store(true, SeqCst);
        while let Some(ended) = in_time("a reader", tasks.join_next()).await {
            ended.expect("no reader failed");
        }
    }
}

/// Sorted.
struct Latencies(Vec<Duration>);

impl Latencies {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    /// What so many tenths of the reads took at most; nothing if there were none,
    /// as of hits while every reader waits for a miss.
    fn tenths(&self, tenths: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * tenths / 10).copied().unwrap_or_default()
    }

    fn longest(&self) -> Duration {
        self.tenths(10)
    }

    fn report(&self, when: &str) {
        let (half, most) = (self.tenths(5), self.tenths(9));
        let (count, longest) = (self.0.len(), self.longest());
        eprintln!("{when}: {count} reads, half {half:?}, 9 in 10 {most:?}, longest {longest:?}");
    }
}

/// The same for every way to lose Redis: `lose` it under load, then `regain` it.
async fn reads_survive(
    name: &str,
    mut server: RedisServer,
    lose: impl FnOnce(&mut RedisServer),
    regain: impl FnOnce(&mut RedisServer),
) {
    let cache = process_on(&server);
    healthy(&cache).await;
    cache.set("hot", 7).await.unwrap();
    let (start, (load, tasks)) = (Instant::now(), Load::start(&cache));
    load.more(100).await;
    let lost = Instant::now();
    load.between(start, lost)
        .1
        .report(&format!("{name}, misses before"));

    lose(&mut server);
    let open = || cache.stats().store.is_some_and(|store| store.breaker_open);
    let took = eventually("the breaker opens", PATIENCE, open).await;
    let opened = Instant::now();
    // Those that were under way when it opened have ended after these.
    load.more(100).await;
    let (hits, misses) = load.under_way(lost, opened);
    hits.report(&format!("{name}, hits in the {took:?} until it opened"));
    misses.report(&format!("{name}, misses meanwhile"));
    assert!(!misses.0.is_empty(), "it takes failed reads to find it out");
    assert!(misses.tenths(9) <= FINDING_OUT, "{:?}", misses.tenths(9));
    assert!(misses.longest() <= WORST_ADDED, "{:?}", misses.longest());
    assert!(hits.longest() <= WORST_ADDED / 3, "{:?}", hits.longest());

    load.more(1_000).await;
    let (hits, misses) = load.between(opened, Instant::now());
    for (what, reads) in [("hits", hits), ("misses", misses)] {
        reads.report(&format!("{name}, {what} with the breaker open"));
        assert!(reads.tenths(5) <= OPEN_HALF, "{what} {:?}", reads.tenths(5));
        assert!(reads.tenths(9) <= OPEN_MOST, "{what} {:?}", reads.tenths(9));
        assert!(reads.longest() <= WORST_ADDED / 3, "{:?}", reads.longest());
    }

    regain(&mut server);
    let took = eventually("the store is used again", PATIENCE, || used(&cache)).await;
    eprintln!("{name}: used again after {took:?}");
    assert!(took <= USED_AGAIN, "{took:?}");
    let fills = cache.stats().fills;
    eventually("fills arrive", PATIENCE, || cache.stats().fills > fills).await;
    load.end(tasks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_while_redis_is_frozen_and_it_is_used_soon_after() {
    let server = RedisServer::start();
    reads_survive("frozen", server, |s| s.freeze(), |s| s.thaw()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_while_redis_is_dead_and_its_successor_is_used_soon_after() {
    let server = RedisServer::start();
    reads_survive("killed", server, RedisServer::kill, RedisServer::launch).await;
}
