//! P5: what a call costs while Redis is frozen, and what a hit does.
//! P5b: the same while Redis is dead, and how soon it is used again.
//!
//! Loads are free, so all that is measured is what the outage adds. The baseline of
//! a call is the same call of a cache without a store, in the same run.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use terrace::{BoxError, Cache, EntryOptions, RedisStore};

use crate::{
    ratio::{Figure, Sample, Target},
    redis_server::RedisServer,
};

const ROUNDS: usize = 4;
/// Longer than it takes to find out, to give up the connection and for the default
/// `max_staleness` to lapse.
const OUTAGE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(5);
const WARM_KEYS: usize = 1_000;
const HITS: usize = 100_000;
const PASSES: usize = 9;
/// Nobody waits for a store that is back for longer.
const BACK_LIMIT: Duration = Duration::from_secs(30);
/// Some percent of noise are no change.
const UNCHANGED: f64 = 1.1;

pub(crate) fn run(p5: bool, p5b: bool) -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut figures = Vec::new();
        let alone = builder().build().expect("valid settings");
        let base = calls_over(&alone, OUTAGE).await.after;
        if p5 {
            figures.extend(frozen(&base).await);
        }
        if p5b {
            figures.extend(killed(&base).await);
        }
        figures
    })
}

async fn frozen(base: &[f64]) -> Vec<Figure> {
    let (mut during, mut after) = (vec![], vec![]);
    let (mut before, mut at_once, mut lapsed) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let server = RedisServer::start();
        let cache = warm(&server).await;
        before.extend(hits(&cache));
        server.freeze();
        at_once.extend(hits(&cache));
        let calls = calls_over(&cache, OUTAGE).await;
        lapsed.extend(hits(&cache));
        let unproven = cache.stats().unproven_hits;
        assert!(unproven > 0, "the proof has not lapsed");
        server.thaw();
        during.extend(calls.before);
        after.extend(calls.after);
    }
    let before = Sample::median(before);
    let mut figures = calls_figures("P5", "frozen", [during, after], [110_000.0, 2_000.0], base);
    for (when, ours) in [("still proven", at_once), ("proof lapsed", lapsed)] {
        figures.push(Figure {
            id: "P5",
            what: format!("Redis frozen, L1 hit, {when}"),
            unit: "ns",
            ours: Sample::median(ours),
            baseline: before,
            target: Target::RatioAtMost(UNCHANGED),
        });
    }
    figures
}

async fn killed(base: &[f64]) -> Vec<Figure> {
    let (mut during, mut after) = (vec![], vec![]);
    let (mut back, mut bare_back) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        let mut server = RedisServer::start();
        let cache = warm(&server).await;
        server.kill();
        let calls = calls_over(&cache, OUTAGE).await;
        during.extend(calls.before);
        after.extend(calls.after);
        server.launch();
        let launched = Instant::now();
        bare_back.push(millis_to_connect(&server).await);
        back.push(millis_until_used(&cache, launched).await);
    }
    let mut figures = calls_figures("P5b", "killed", [during, after], [10_000.0, 1_000.0], base);
    figures.push(Figure {
        id: "P5b",
        what: "Redis back, until it is used, slowest round".into(),
        unit: "ms",
        ours: Sample::worst(back),
        baseline: Sample::median(bare_back),
        target: Target::AtMost(2_000.0),
    });
    figures
}

/// The slowest of all while it is found out; later on 99 of 100, for a thread that is
/// not scheduled says nothing of us.
fn calls_figures(
    id: &'static str,
    fault: &str,
    [during, after]: [Vec<f64>; 2],
    most: [f64; 2],
    base: &[f64],
) -> Vec<Figure> {
    let kinds = [
        ("breaker closed, worst", Sample::worst(during), 0.5),
        ("breaker open, p99", Sample::quantile(after, 0.99), 0.99),
    ];
    let figure = |((what, ours, quantile), most): ((&str, Sample, f64), f64)| Figure {
        id,
        what: format!("Redis {fault}, absent key, {what}"),
        unit: "us",
        ours,
        baseline: Sample::quantile(base.to_vec(), quantile),
        target: Target::AboveBaselineAtMost(most),
    };
    kinds.into_iter().zip(most).map(figure).collect()
}

fn builder() -> terrace::Builder<u64> {
    Cache::builder("outage")
        .capacity(100_000)
        .defaults(EntryOptions::ttl(Duration::from_secs(3_600)))
}

/// A cache with all its entries proven.
async fn warm(server: &RedisServer) -> Cache<u64> {
    let store = RedisStore::connect(&server.url()).expect("a valid URL");
    let cache = builder().store(store).build().expect("valid settings");
    for number in 0..WARM_KEYS {
        let set = cache.set(warm_key(number), 7);
        set.await.expect("the store is up");
    }
    // What was set before the first heartbeat is confirmed by being asked for.
    for number in 0..WARM_KEYS {
        while !proven(&cache, &warm_key(number)).await {
            tokio::time::sleep(PAUSE).await;
        }
    }
    cache
}

async fn proven(cache: &Cache<u64>, key: &str) -> bool {
    let entry = cache.get(key).await.expect("a valid key");
    entry.is_some_and(|entry| entry.proven())
}

fn warm_key(number: usize) -> String {
    format!("warm:{number}")
}

/// Nanoseconds a hit, of each pass.
fn hits(cache: &Cache<u64>) -> Vec<f64> {
    let keys: Vec<String> = (0..WARM_KEYS).map(warm_key).collect();
    let pass = |_| {
        let start = Instant::now();
        for key in keys.iter().cycle().take(HITS) {
            black_box(cache.peek(black_box(key)).expect("it stays in L1"));
        }
        start.elapsed().as_secs_f64() * 1e9 / HITS as f64
    };
    (0..PASSES).map(pass).collect()
}

/// What calls cost, in microseconds, before the breaker was open and after.
struct Calls {
    before: Vec<f64>,
    after: Vec<f64>,
}

/// One call after another, each of a key that nobody has asked for.
async fn calls_over(cache: &Cache<u64>, span: Duration) -> Calls {
    let mut calls = Calls {
        before: vec![],
        after: vec![],
    };
    let end = Instant::now() + span;
    let mut number = 0_u64;
    while Instant::now() < end {
        let key = format!("absent:{number}");
        number += 1;
        let state = cache.stats().store;
        let is_found_out = state.is_none_or(|state| state.breaker_open);
        let start = Instant::now();
        let call = cache.get_or_load(&key, || async { Ok::<_, BoxError>(7) });
        call.await.expect("the load cannot fail");
        let took = start.elapsed().as_secs_f64() * 1e6;
        if is_found_out {
            calls.after.push(took);
        } else {
            calls.before.push(took);
        }
        tokio::time::sleep(PAUSE).await;
    }
    calls
}

/// Until a load is stored, in milliseconds.
async fn millis_until_used(cache: &Cache<u64>, launched: Instant) -> f64 {
    let fills = cache.stats().fills;
    let mut number = 0_u64;
    while cache.stats().fills == fills && launched.elapsed() < BACK_LIMIT {
        let key = format!("back:{number}");
        number += 1;
        let call = cache.get_or_load(&key, || async { Ok::<_, BoxError>(7) });
        call.await.expect("the load cannot fail");
        tokio::time::sleep(PAUSE).await;
    }
    launched.elapsed().as_secs_f64() * 1e3
}

/// What a client needs that comes at that moment.
async fn millis_to_connect(server: &RedisServer) -> f64 {
    let start = Instant::now();
    let client = redis::Client::open(server.url()).expect("a valid URL");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.expect("the server is back");
    let ping = redis::cmd("PING").exec_async(&mut connection).await;
    ping.expect("the server answers");
    start.elapsed().as_secs_f64() * 1e3
}
