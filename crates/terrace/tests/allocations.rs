//! A hit allocates nothing of ours, counted. A binary of its own: counting needs a
//! global allocator, and a process without other tests.

use std::sync::Arc;

use terrace::{BoxError, Cache, Policy};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const READS: u64 = 20_000;
const KEYS: u64 = 100;

#[test]
fn a_hit_allocates_nothing_of_ours() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without I/O");

    let cache = filled(Policy::S3Fifo, &runtime);
    assert_eq!(allocations(|key| assert!(cache.peek(key).is_some())), 0);
    assert_eq!(awaited_allocations(&cache, &runtime), 0);

    // moka keeps a log of reads, which allocates now and then; we add nothing to it.
    let bare = moka::sync::Cache::<Arc<str>, Arc<u64>>::new(10 * KEYS);
    (0..KEYS).for_each(|key| bare.insert(key_of(key).into(), Arc::new(key)));
    let of_engine = allocations(|key| assert!(bare.get(key).is_some()));
    for policy in [Policy::TinyLfu, Policy::Lru] {
        let cache = filled(policy, &runtime);
        let ours = allocations(|key| assert!(cache.peek(key).is_some()));
        let awaited = awaited_allocations(&cache, &runtime);
        let allowed = of_engine + READS / 100;
        assert!(
            ours <= allowed && awaited <= allowed,
            "{policy:?}: peek {ours}, awaited {awaited}, bare engine {of_engine} in {READS} reads"
        );
    }
}

fn filled(policy: Policy, runtime: &tokio::runtime::Runtime) -> Cache<u64> {
    let cache = Cache::builder("counted")
        .policy(policy)
        .capacity(10 * KEYS)
        .build()
        .expect("valid settings");
    runtime.block_on(async {
        for key in 0..KEYS {
            cache.set(key_of(key), key).await.expect("no store to fail");
        }
    });
    cache
}

fn allocations(mut read: impl FnMut(&str)) -> u64 {
    let keys: Vec<String> = (0..KEYS).map(key_of).collect();
    let before = dhat::HeapStats::get().total_blocks;
    for _ in 0..READS / KEYS {
        keys.iter().for_each(|key| read(key));
    }
    dhat::HeapStats::get().total_blocks - before
}

fn awaited_allocations(cache: &Cache<u64>, runtime: &tokio::runtime::Runtime) -> u64 {
    let load = || async { Err::<u64, BoxError>("every read is a hit".into()) };
    runtime.block_on(async {
        let keys: Vec<String> = (0..KEYS).map(key_of).collect();
        let before = dhat::HeapStats::get().total_blocks;
        for _ in 0..READS / KEYS {
            for key in &keys {
                assert!(cache.get_or_load(key, load).await.is_ok());
            }
        }
        dhat::HeapStats::get().total_blocks - before
    })
}

fn key_of(number: u64) -> String {
    format!("quote:{number:09}")
}
