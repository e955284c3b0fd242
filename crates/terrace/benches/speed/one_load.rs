//! P4: many callers of one missing key, and how often it is loaded.
//!
//! The baseline is the load by itself, in turns with them. The three processes of the
//! last figure are three caches with a connection each in this one; the evidence
//! crate shows the same for three real ones.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use terrace::{BoxError, Cache, RedisStore};
use tokio::task::JoinSet;

use crate::{
    ratio::{Figure, Sample, Target},
    redis_server::RedisServer,
};

const CALLERS: usize = 1_000;
const CALLERS_OF_ALL: usize = 10_000;
const CACHES: usize = 3;
const LOAD: Duration = Duration::from_millis(50);
/// The first caller has led his flight for so long when he is cancelled.
const FIRST_STAYS: Duration = Duration::from_millis(10);
const ROUNDS: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Stays,
    IsCancelled,
}

pub(crate) fn run() -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = RedisServer::start();
    runtime.block_on(async {
        let mut figures = Vec::new();
        for (first, name) in [
            (First::Stays, "all stay"),
            (First::IsCancelled, "the first one cancelled"),
        ] {
            figures.extend(one_process(&server, first, name).await);
        }
        figures.push(three_caches(&server).await);
        figures
    })
}

async fn one_process(server: &RedisServer, first: First, name: &str) -> Vec<Figure> {
    let cache = cache(server, CALLERS).await;
    let (mut loads, mut times, mut load_times) = (vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let start = Instant::now();
        let load = tokio::spawn(load(Arc::default())).await;
        load.expect("no panics").expect("the load cannot fail");
        load_times.push(start.elapsed().as_secs_f64() * 1e3);
        let key = format!("{}:{round}", first == First::Stays);
        let (time, count) = gather(&[&cache], CALLERS, &key, first).await;
        times.push(time);
        loads.push(count);
    }
    let what = |rest: &str| format!("{CALLERS} callers, {name}, {rest}");
    vec![
        Figure {
            id: "P4",
            what: what("loads at worst"),
            unit: "loads",
            ours: Sample::worst(loads),
            baseline: 1.0.into(),
            target: Target::Exactly(1.0),
        },
        Figure {
            id: "P4",
            what: what("until the last has it"),
            unit: "ms",
            ours: Sample::median(times),
            baseline: Sample::median(load_times),
            target: Target::RatioAtMost(1.1),
        },
    ]
}

async fn three_caches(server: &RedisServer) -> Figure {
    let mut caches = Vec::new();
    for _ in 0..CACHES {
        caches.push(cache(server, CALLERS_OF_ALL).await);
    }
    let caches: Vec<_> = caches.iter().collect();
    let mut loads = Vec::new();
    for round in 0..ROUNDS {
        let key = format!("all:{round}");
        loads.push(gather(&caches, CALLERS_OF_ALL, &key, First::Stays).await.1);
    }
    Figure {
        id: "P4",
        what: format!("{CALLERS_OF_ALL} callers, {CACHES} connections, loads at worst"),
        unit: "loads",
        ours: Sample::worst(loads),
        baseline: 1.0.into(),
        target: Target::Exactly(1.0),
    }
}

/// The milliseconds until the last caller has the value, and how often it was loaded.
async fn gather(caches: &[&Cache<u64>], callers: usize, key: &str, first: First) -> (f64, f64) {
    let loads: Arc<AtomicU64> = Arc::default();
    let start = Instant::now();
    let mut calls = JoinSet::new();
    let call = |index: usize| {
        let (cache, key) = (caches[index % caches.len()].clone(), key.to_owned());
        let loads = Arc::clone(&loads);
        async move {
            let entry = cache.get_or_load(key, || load(loads)).await;
            assert_eq!(*entry.expect("the load cannot fail"), 7);
        }
    };
    let leader = tokio::spawn(call(0));
    while loads.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    for index in 1..callers {
        calls.spawn(call(index));
    }
    if first == First::IsCancelled {
        tokio::time::sleep(FIRST_STAYS).await;
        leader.abort();
    } else {
        leader.await.expect("no panics");
    }
    while let Some(call) = calls.join_next().await {
        call.expect("no panics");
    }
    let time = start.elapsed().as_secs_f64() * 1e3;
    (time, loads.load(Relaxed) as f64)
}

async fn load(loads: Arc<AtomicU64>) -> Result<u64, BoxError> {
    loads.fetch_add(1, Relaxed);
    tokio::time::sleep(LOAD).await;
    Ok(7)
}

/// Warm: its connection is up.
async fn cache(server: &RedisServer, capacity: usize) -> Cache<u64> {
    let store = RedisStore::connect(&server.url()).expect("a valid URL");
    let cache = Cache::builder("crowd")
        .capacity(capacity as u64)
        .store(store)
        .build()
        .expect("valid settings");
    cache.set("warm", 1).await.expect("the store is up");
    cache
}
