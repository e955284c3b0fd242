//! P1: an L1 hit against the bare engine with the same key and value types.
//!
//! The engines run with their own default hashers and without any life of
//! entries, which is how they are used when one takes them as they are.

use std::{hint::black_box, sync::Arc, time::Instant};

use terrace::{BoxError, Cache, Policy};

use crate::ratio::{Figure, in_turns};

const ENTRIES: usize = 2_000;
const READS: usize = 400_000;
const ROUNDS: usize = 15;

/// What a typical small value weighs; and the same with the times beside it
/// that terrace keeps, so that both sides touch as much memory.
#[derive(Clone)]
struct Value([u64; 4]);

struct ValueWithTimes {
    value: Value,
    _times: [u64; 4],
}

pub(crate) fn run() -> Vec<Figure> {
    let keys: Vec<String> = (0..ENTRIES).map(|i| format!("quote:{i:09}")).collect();
    let order = shuffled_reads();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without I/O");
    let mut figures = Vec::new();

    let bare = quick_cache::sync::Cache::<Arc<str>, Arc<ValueWithTimes>>::new(ENTRIES * 2);
    keys.iter()
        .for_each(|key| bare.insert(Arc::from(key.as_str()), value_with_times()));
    let get = |key: &str| bare.get(key).map_or(0, |v| v.value.0[0]);
    let (peek, awaited) = ("peek <= 1.5", "awaited <= 1.75, stretch 1.5");
    let ours = cache(Policy::S3Fifo, &keys, &runtime);
    figures.extend(compare(
        "S3-FIFO",
        &keys,
        &order,
        &runtime,
        &ours,
        get,
        [peek, awaited],
    ));

    let bare = moka::sync::Cache::<Arc<str>, Arc<ValueWithTimes>>::new(ENTRIES as u64 * 2);
    keys.iter()
        .for_each(|key| bare.insert(Arc::from(key.as_str()), value_with_times()));
    let get = |key: &str| bare.get(key).map_or(0, |v| v.value.0[0]);
    let ours = cache(Policy::TinyLfu, &keys, &runtime);
    let target = "<= 1.1";
    figures.extend(compare(
        "TinyLFU",
        &keys,
        &order,
        &runtime,
        &ours,
        get,
        [target, target],
    ));
    figures
}

fn compare(
    policy: &str,
    keys: &[String],
    order: &[usize],
    runtime: &tokio::runtime::Runtime,
    ours: &Cache<Value>,
    bare: impl Fn(&str) -> u64,
    targets: [&'static str; 2],
) -> Vec<Figure> {
    let each = |read: &dyn Fn(&str) -> u64| {
        let start = Instant::now();
        for &index in order {
            black_box(read(black_box(&keys[index])));
        }
        nanos_each(start)
    };
    let mut baseline = || each(&|key| bare(key));
    let mut peek = || each(&|key| ours.peek(key).map_or(0, |entry| entry.0[0]));
    let mut awaited = || {
        runtime.block_on(async {
            let start = Instant::now();
            for &index in order {
                let load = || async { Err::<Value, BoxError>("every read is a hit".into()) };
                let entry = ours.get_or_load(black_box(&keys[index]), load).await;
                black_box(entry.expect("every read is a hit").0[0]);
            }
            nanos_each(start)
        })
    };
    let [base, peek, awaited] = in_turns(ROUNDS, [&mut baseline, &mut peek, &mut awaited]);
    [("peek", peek), ("get_or_load().await", awaited)]
        .into_iter()
        .zip(targets)
        .map(|((verb, ours), target)| Figure {
            id: "P1",
            what: format!("L1 hit, {policy}, {verb}, 1 thread"),
            unit: "ns",
            ours,
            baseline: base,
            target,
        })
        .collect()
}

fn cache(policy: Policy, keys: &[String], runtime: &tokio::runtime::Runtime) -> Cache<Value> {
    let cache = Cache::builder("bench")
        .policy(policy)
        .capacity(ENTRIES as u64 * 2)
        .build()
        .expect("valid settings");
    runtime.block_on(async {
        for key in keys {
            cache
                .set(key, Value([7; 4]))
                .await
                .expect("no store to fail");
        }
    });
    cache
}

fn value_with_times() -> Arc<ValueWithTimes> {
    Arc::new(ValueWithTimes {
        value: Value([7; 4]),
        _times: [0; 4],
    })
}

/// Fixed xorshift order: the same for every side and every run.
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
