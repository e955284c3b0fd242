//! P1: an L1 hit against the bare engine with the same key and value types.
//! P1b: the same, two threads at once.
//!
//! Both for a cache of its own and for one over Redis, whose hits also have to be
//! proven, while its heartbeats run on another thread. The engines run with their own
//! default hashers and without any life of entries, which is how they are used when
//! one takes them as they are.

use std::{
    hint::black_box,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use terrace::{BoxError, Cache, EntryOptions, Policy, RedisStore};
use tokio::runtime::Runtime;

use crate::{
    ratio::{Figure, Sample, Target, in_turns},
    redis_server::RedisServer,
};

const ENTRIES: usize = 2_000;
/// Short rounds, and many: who shares the machine then hits all sides alike.
const READS: usize = 100_000;
const ROUNDS: usize = 61;
/// A loaded machine is no failure; hits do not depend on it.
const PATIENCE: Duration = Duration::from_secs(5);
/// In words: a record has 136 bytes, 32 of which are the value's.
const KEPT_BESIDE: usize = 13;

/// What a typical small value weighs; and the same with what terrace keeps beside
/// it, so that both sides touch as much memory.
#[derive(Clone, Serialize, Deserialize)]
struct Value([u64; 4]);

struct ValueAsKept {
    value: Value,
    _rest: [u64; KEPT_BESIDE],
}

pub(crate) fn run(p1: bool, p1b: bool) -> Vec<Figure> {
    // The main thread reads; what the store needs runs on the one worker.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = RedisServer::start();
    let reads = Reads::new();
    let quick = quick_cache::sync::Cache::<Arc<str>, Arc<ValueAsKept>>::new(ENTRIES * 2);
    let moka = moka::sync::Cache::<Arc<str>, Arc<ValueAsKept>>::new(ENTRIES as u64 * 2);
    for key in &reads.keys {
        quick.insert(Arc::from(key.as_str()), value_as_kept());
        moka.insert(Arc::from(key.as_str()), value_as_kept());
    }
    let quick = |key: &str| quick.get(key).map_or(0, |v| v.value.0[0]);
    let moka = |key: &str| moka.get(key).map_or(0, |v| v.value.0[0]);
    let s3_fifo = Pair::filled(Policy::S3Fifo, &reads, &runtime, &server);
    let tiny_lfu = Pair::filled(Policy::TinyLfu, &reads, &runtime, &server);
    let mut figures = Vec::new();
    if p1 {
        let targets = [1.5, 1.75].map(Target::RatioAtMost);
        figures.extend(s3_fifo.against(quick, 1).figures(targets));
        let targets = [1.1, 1.1].map(Target::RatioAtMost);
        figures.extend(tiny_lfu.against(moka, 1).figures(targets));
    }
    if p1b {
        let targets = [1.5, 1.5].map(Target::RatioAtMost);
        let of_quick = s3_fifo.against(quick, 2);
        let of_moka = tiny_lfu.against(moka, 2);
        figures.extend(of_quick.figures(targets));
        figures.extend(of_moka.figures(targets));
        figures.extend(of_quick.throughput_against(of_moka.bare));
    }
    s3_fifo.assert_hits();
    tiny_lfu.assert_hits();
    figures
}

/// The same keys in the same order for every side and every run.
struct Reads {
    keys: Vec<String>,
    order: Vec<usize>,
}

impl Reads {
    fn new() -> Self {
        Self {
            keys: (0..ENTRIES).map(|i| format!("quote:{i:09}")).collect(),
            order: shuffled_reads(),
        }
    }

    /// Each thread begins elsewhere, so that they do not read the same entries in step.
    fn of_thread(&self, thread: usize) -> impl Iterator<Item = &str> {
        let (behind, ahead) = self.order.split_at(READS / 2 * thread);
        let order = ahead.iter().chain(behind);
        order.map(|&index| self.keys[index].as_str())
    }

    /// Nanoseconds a read of this thread.
    fn each(&self, thread: usize, read: impl Fn(&str) -> u64) -> f64 {
        let start = Instant::now();
        for key in self.of_thread(thread) {
            black_box(read(black_box(key)));
        }
        nanos_each(start)
    }

    async fn each_awaited(&self, thread: usize, cache: &Cache<Value>) -> f64 {
        let start = Instant::now();
        for key in self.of_thread(thread) {
            let load = || async { Ok::<_, BoxError>(Value([7; 4])) };
            let entry = cache.get_or_load(black_box(key), load).await;
            black_box(entry.expect("the load cannot fail").0[0]);
        }
        nanos_each(start)
    }
}

/// The same entries in a cache of its own and in one over a store.
struct Pair<'a> {
    policy: Policy,
    reads: &'a Reads,
    runtime: &'a Runtime,
    alone: Cache<Value>,
    over_store: Cache<Value>,
}

impl<'a> Pair<'a> {
    fn filled(
        policy: Policy,
        reads: &'a Reads,
        runtime: &'a Runtime,
        server: &RedisServer,
    ) -> Self {
        let _in_runtime = runtime.enter();
        let builder = || {
            let name = format!("{policy:?}").to_lowercase();
            Cache::builder(name)
                .policy(policy)
                .capacity(ENTRIES as u64 * 2)
                .defaults(EntryOptions::ttl(Duration::from_secs(3_600)))
                .store_timeout(PATIENCE)
        };
        let store = RedisStore::connect(&server.url()).expect("a valid URL");
        let alone = builder().build().expect("valid settings");
        let over_store = builder().store(store).build().expect("valid settings");
        runtime.block_on(async {
            for key in &reads.keys {
                for cache in [&alone, &over_store] {
                    let set = cache.set(key, Value([7; 4]));
                    set.await.expect("the store is up");
                }
            }
            // What was set before the first heartbeat is confirmed by being asked for.
            for key in &reads.keys {
                while !proven(&over_store, key).await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        Self {
            policy,
            reads,
            runtime,
            alone,
            over_store,
        }
    }

    fn against(&self, bare: impl Fn(&str) -> u64 + Sync, threads: usize) -> Compared {
        let peek = |cache: &Cache<Value>| {
            let read = |key: &str| cache.peek(key).map_or(0, |entry| entry.0[0]);
            together(threads, |thread| self.reads.each(thread, read))
        };
        let awaited = |cache: &Cache<Value>| {
            together(threads, |thread| {
                self.runtime
                    .block_on(self.reads.each_awaited(thread, cache))
            })
        };
        let [bare, peek_alone, awaited_alone, peek_store, awaited_store] = in_turns(
            ROUNDS,
            [
                &mut || together(threads, |thread| self.reads.each(thread, &bare)),
                &mut || peek(&self.alone),
                &mut || awaited(&self.alone),
                &mut || peek(&self.over_store),
                &mut || awaited(&self.over_store),
            ],
        );
        Compared {
            policy: self.policy,
            threads,
            bare,
            alone: [peek_alone, awaited_alone],
            over_store: [peek_store, awaited_store],
        }
    }

    /// Else something slower or faster than a proven hit was measured.
    fn assert_hits(&self) {
        for cache in [&self.alone, &self.over_store] {
            let stats = cache.stats();
            let others = stats.misses + stats.unproven_hits + stats.stale_hits;
            assert!(others * 1_000 < stats.hits, "not proven hits: {stats:?}");
        }
    }
}

async fn proven(cache: &Cache<Value>, key: &str) -> bool {
    let entry = cache.get(key).await.expect("a valid key");
    entry.is_some_and(|entry| entry.proven())
}

/// What a read costs each thread, in nanoseconds; ours by `peek`, then awaited.
struct Compared {
    policy: Policy,
    threads: usize,
    bare: Sample,
    alone: [Sample; 2],
    over_store: [Sample; 2],
}

impl Compared {
    fn figures(&self, targets: [Target; 2]) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (place, ours) in [("L1 only", self.alone), ("over Redis", self.over_store)] {
            for ((verb, ours), target) in ["peek", "get_or_load"].into_iter().zip(ours).zip(targets)
            {
                let (policy, threads) = (self.policy, self.threads);
                figures.push(Figure {
                    id: if threads == 1 { "P1" } else { "P1b" },
                    what: format!("hit, {policy:?}, {place}, {verb}, {threads} thread(s)"),
                    unit: "ns",
                    ours,
                    baseline: self.bare,
                    target,
                });
            }
        }
        figures
    }

    fn throughput_against(&self, bare: Sample) -> Vec<Figure> {
        let rate = |each: Sample| each.map(|nanos| self.threads as f64 * 1e3 / nanos);
        [("L1 only", self.alone), ("over Redis", self.over_store)]
            .into_iter()
            .map(|(place, [peek, _])| Figure {
                id: "P1b",
                what: format!("{:?}, {place}, peek, against bare moka", self.policy),
                unit: "M/s",
                ours: rate(peek),
                baseline: rate(bare),
                target: Target::RatioAtLeast(3.0),
            })
            .collect()
    }
}

/// Runs `work` on so many threads at once, and gives the mean of what they say.
fn together(threads: usize, work: impl Fn(usize) -> f64 + Sync) -> f64 {
    if threads == 1 {
        return work(0);
    }
    let start = Barrier::new(threads);
    let (work, start) = (&work, &start);
    let sum: f64 = thread::scope(|scope| {
        let run = |thread| {
            scope.spawn(move || {
                start.wait();
                work(thread)
            })
        };
        let all: Vec<_> = (0..threads).map(run).collect();
        let each = all.into_iter().map(|one| one.join().expect("no panics"));
        each.sum()
    });
    sum / threads as f64
}

fn value_as_kept() -> Arc<ValueAsKept> {
    Arc::new(ValueAsKept {
        value: Value([7; 4]),
        _rest: [0; KEPT_BESIDE],
    })
}

/// Fixed xorshift order.
fn shuffled_reads() -> Vec<usize> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..READS)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % ENTRIES as u64).expect("below the number of entries")
        })
        .collect()
}

fn nanos_each(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e9 / READS as f64
}
