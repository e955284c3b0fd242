//! Which policy keeps the right entries: hit ratios on seeded traces, LRU as baseline.
//!
//! Through the public API, so that what is measured is what users get.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::{Cache, Policy};

use crate::ratio::{Figure, Target};

const SEED: u64 = 7;
const CAPACITY: u64 = 1_000;
const READS: usize = 200_000;
const KEYS: usize = 20_000;

pub(crate) fn run() -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without I/O");
    let mut figures = Vec::new();
    for (name, trace) in traces() {
        let [lru, tiny_lfu, s3_fifo] = [Policy::Lru, Policy::TinyLfu, Policy::S3Fifo]
            .map(|policy| runtime.block_on(hit_percent(policy, &trace)));
        for (policy, ours) in [("TinyLFU", tiny_lfu), ("S3-FIFO", s3_fifo)] {
            figures.push(Figure {
                id: "hits",
                what: format!("{name}: {policy} against LRU"),
                unit: "%",
                ours: ours.into(),
                baseline: lru.into(),
                target: Target::Open,
            });
        }
    }
    figures
}

/// Read, and on a miss put: what a loader would do, without its task.
async fn hit_percent(policy: Policy, trace: &[usize]) -> f64 {
    let cache: Cache<()> = Cache::builder("trace")
        .policy(policy)
        .capacity(CAPACITY)
        .build()
        .expect("valid settings");
    let mut hits = 0_usize;
    for key in trace {
        let key = format!("{key}");
        if cache.peek(&key).is_some() {
            hits += 1;
        } else {
            cache.set(&key, ()).await.expect("no store to fail");
        }
    }
    100.0 * hits as f64 / trace.len() as f64
}

fn traces() -> Vec<(&'static str, Vec<usize>)> {
    let mut random = StdRng::seed_from_u64(SEED);
    let zipf = Zipf::new(KEYS, 0.9);
    let skewed: Vec<usize> = (0..READS).map(|_| zipf.draw(&mut random)).collect();
    // The popular keys change every tenth of the time, as news do.
    let shifting = (0..READS)
        .map(|i| (zipf.draw(&mut random) + i / (READS / 10) * 977) % KEYS)
        .collect();
    // A third of the reads walk once through keys that nobody asks for again.
    let scanned = (0..READS)
        .map(|i| if i % 3 == 0 { KEYS + i } else { skewed[i] })
        .collect();
    // What was just read is read again soon.
    let recent = (0..READS)
        .map(|i| (i / 4).saturating_sub(random.random_range(0..600)))
        .collect();
    let larger_than_cache = (0..READS).map(|i| i % 1_300).collect();
    vec![
        ("Zipf 0.9", skewed),
        ("Zipf 0.9, shifting", shifting),
        ("Zipf 0.9 and scans", scanned),
        ("recency", recent),
        ("loop of 1.3 x capacity", larger_than_cache),
    ]
}

struct Zipf {
    /// Running sum of the weights.
    sums: Vec<f64>,
}

impl Zipf {
    fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        Self { sums }
    }

    fn draw(&self, random: &mut StdRng) -> usize {
        let total = self.sums.last().copied().unwrap_or(1.0);
        let at = random.random_range(0.0..total);
        self.sums.partition_point(|sum| *sum < at)
    }
}
