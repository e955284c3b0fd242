//! P2: an L2 hit against a bare GET of the same bytes through the same client.
//! P3: a miss with a load that costs nothing against GET then SET.
//!
//! One caller at a time for latency (p50), 64 in flight for throughput.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use terrace::{BoxError, Cache, EntryOptions, RedisStore};

use crate::{
    ratio::{Figure, Sample, Target},
    redis_server::RedisServer,
};

const CALLS: usize = 2_000;
const ROUNDS: usize = 7;
const IN_FLIGHT: usize = 64;
const VALUE_BYTES: usize = 2_048;

#[derive(Clone, Serialize, Deserialize)]
struct Page {
    body: String,
}

type Bare = redis::aio::MultiplexedConnection;

pub(crate) fn run(p2: bool, p3: bool) -> Vec<Figure> {
    // One thread for callers, tasks and connections alike: with more, a wake-up
    // across threads costs more than what is measured, and hits the sides unequally.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let server = RedisServer::start();
    runtime.block_on(async {
        let bare = redis::Client::open(server.url())
            .expect("a valid URL")
            .get_multiplexed_async_connection()
            .await
            .expect("the server answers");
        let mut figures = Vec::new();
        if p2 {
            figures.extend(store_hit(&server, &bare).await);
        }
        if p3 {
            figures.extend(miss(&server, &bare).await);
        }
        figures
    })
}

/// Every read of a cache whose L1 holds next to nothing is an L2 hit.
async fn store_hit(server: &RedisServer, bare: &Bare) -> Vec<Figure> {
    let cache = cache(server, "hits").await;
    let keys: Vec<String> = (0..CALLS).map(|i| format!("page:{i}")).collect();
    let mut raw_keys = Vec::new();
    for key in &keys {
        cache.set(key, page()).await.expect("the store is up");
        raw_keys.push(format!("terrace:v:{{hits:{key}}}"));
    }
    let (mut ours, mut base, mut ours_rate, mut base_rate) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        base.push(p50(CALLS, async |i| get(bare, &raw_keys[i]).await).await);
        ours.push(p50(CALLS, async |i| read(&cache, &keys[i]).await).await);
        base_rate.push(rate(|i| get_owned(bare.clone(), raw_keys[i].clone())).await);
        ours_rate.push(rate(|i| read_owned(cache.clone(), keys[i].clone())).await);
    }
    let stats = cache.stats();
    assert!(stats.store_hits > stats.hits, "the reads were not L2 hits");
    vec![
        Figure {
            id: "P2",
            what: "L2 hit, 2 KB, decoded and adopted, p50".into(),
            unit: "us",
            ours: Sample::median(ours),
            baseline: Sample::median(base),
            target: Target::RatioAtMost(1.15),
        },
        Figure {
            id: "P2",
            what: "L2 hits, 64 in flight".into(),
            unit: "k/s",
            ours: Sample::median(ours_rate),
            baseline: Sample::median(base_rate),
            target: Target::RatioAtLeast(0.7),
        },
    ]
}

/// Every key is new, so every read loads and stores.
async fn miss(server: &RedisServer, bare: &Bare) -> Vec<Figure> {
    let cache = cache(server, "misses").await;
    let body = page().body;
    let (mut ours, mut base) = (vec![], vec![]);
    for round in 0..ROUNDS {
        let key = |i: usize| format!("{round}:{i}");
        let get_set = async |i: usize| {
            let key = format!("bare:{}", key(i));
            get(bare, &key).await;
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(&body).arg("PX").arg(600_000);
            let mut connection = bare.clone();
            set.exec_async(&mut connection)
                .await
                .expect("the server is up");
        };
        base.push(p50(CALLS, get_set).await);
        ours.push(p50(CALLS, async |i| load(&cache, &key(i)).await).await);
    }
    vec![Figure {
        id: "P3",
        what: "miss, free load, leased and stored, p50".into(),
        unit: "us",
        ours: Sample::median(ours),
        baseline: Sample::median(base),
        target: Target::RatioAtMost(1.25),
    }]
}

async fn cache(server: &RedisServer, name: &str) -> Cache<Page> {
    let store = RedisStore::connect(&server.url()).expect("a valid URL");
    let cache = Cache::builder(name)
        .capacity(1)
        .store(store)
        .defaults(EntryOptions::ttl(Duration::from_secs(600)))
        .build()
        .expect("valid settings");
    cache.set("warm", page()).await.expect("the store is up");
    cache
}

fn page() -> Page {
    Page {
        body: "x".repeat(VALUE_BYTES),
    }
}

async fn read(cache: &Cache<Page>, key: &str) {
    let entry = cache.get(key).await.expect("a valid key");
    assert!(entry.is_some(), "{key} is stored");
}

async fn read_owned(cache: Cache<Page>, key: String) {
    read(&cache, &key).await;
}

async fn load(cache: &Cache<Page>, key: &str) {
    let loaded = cache.get_or_load(key, || async { Ok::<_, BoxError>(page()) });
    loaded.await.expect("the load cannot fail");
}

async fn get(bare: &Bare, key: &str) {
    get_owned(bare.clone(), key.to_owned()).await;
}

async fn get_owned(mut bare: Bare, key: String) {
    let mut command = redis::cmd("GET");
    let reply = command.arg(key).query_async::<Option<Vec<u8>>>(&mut bare);
    std::hint::black_box(reply.await.expect("the server is up"));
}

/// Median latency of one call at a time, in microseconds.
async fn p50(calls: usize, call: impl AsyncFn(usize)) -> f64 {
    let mut samples = Vec::with_capacity(calls);
    for i in 0..calls {
        let start = Instant::now();
        call(i).await;
        samples.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Sample::median(samples).value
}

/// Thousands of calls a second with 64 callers.
async fn rate<F: Future<Output = ()> + Send + 'static>(call: impl Fn(usize) -> F) -> f64 {
    let start = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for i in 0..CALLS {
        if running.len() == IN_FLIGHT {
            running.join_next().await;
        }
        running.spawn(call(i));
    }
    while running.join_next().await.is_some() {}
    CALLS as f64 / start.elapsed().as_secs_f64() / 1e3
}
