//! At most one load for a key: whoever comes, goes, panics, hangs or asks itself.

use std::time::Instant;

use terrace::{
    BoxError, Cache, EntryOptions, Error, Source,
    testing::{Call, Fault, Faulty, MemoryStore},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::rig::{
    Latch, Origin, PATIENCE, POLICIES, eventually, in_time, millis, numbers, seconds, ttl,
};

pub(crate) async fn joined(cache: &Cache<u64>, count: u64) {
    let all = || cache.stats().joined >= count;
    eventually("the others wait for the one load", PATIENCE, all).await;
}

async fn one_load_answers(callers: u64, cache: &Cache<u64>) {
    let (origin, latch) = (Origin::at(7), Latch::closed());
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (cache, load) = (cache.clone(), origin.held_load(&latch));
        tasks.spawn(async move { cache.get_or_load("k", || load).await });
    }
    joined(cache, callers - 1).await;
    let start = Instant::now();
    latch.open();
    while let Some(answer) = in_time("a waiter", tasks.join_next()).await {
        assert_eq!(*answer.unwrap().unwrap(), 7);
    }
    eprintln!(
        "{callers} callers answered {:?} after the load",
        start.elapsed()
    );
    assert!(start.elapsed() < seconds(5));
    assert_eq!((origin.loads(), cache.stats().loads), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_of_a_cold_key_cause_one_load() {
    for policy in POLICIES {
        one_load_answers(1_000, &numbers().policy(policy).build().unwrap()).await;
        let stored = numbers().policy(policy).store(MemoryStore::new());
        one_load_answers(1_000, &stored.build().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_callers_of_a_cold_key_cause_one_load() {
    one_load_answers(10_000, &numbers().build().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_go_away_neither_stop_nor_repeat_the_load() {
    let cache = numbers().store(MemoryStore::new()).build().unwrap();
    let (origin, latch) = (Origin::at(7), Latch::closed());
    let call = || {
        let (cache, load) = (cache.clone(), origin.held_load(&latch));
        tokio::spawn(async move { cache.get_or_load("k", || load).await })
    };
    let first: Vec<_> = (0..100).map(|_| call()).collect();
    joined(&cache, 99).await;
    latch.reached().await;
    first.iter().for_each(tokio::task::JoinHandle::abort);
    for task in first {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let later: Vec<_> = (0..100).map(|_| call()).collect();
    joined(&cache, 199).await;
    latch.open();
    for task in later {
        assert_eq!(*in_time("a waiter", task).await.unwrap().unwrap(), 7);
    }
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_load_whose_only_caller_left_still_fills_the_tiers() {
    let memory = MemoryStore::new();
    let cache = numbers().store(memory.sibling()).build().unwrap();
    let (origin, latch) = (Origin::at(7), Latch::closed());
    let lonely = tokio::spawn({
        let (cache, load) = (cache.clone(), origin.held_load(&latch));
        async move { cache.get_or_load("k", || load).await }
    });
    latch.reached().await;
    lonely.abort();
    latch.open();
    eventually("L1 has it", PATIENCE, || cache.peek("k").is_some()).await;
    assert_eq!(memory.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_load_is_an_error_to_all_and_the_next_call_works() {
    let cache = numbers().store(MemoryStore::new()).build().unwrap();
    let latch = Latch::closed();
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let (cache, latch) = (cache.clone(), latch.clone());
        tasks.spawn(async move {
            let load = async move {
                latch.pass().await;
                if latch.arrived() > 0 {
                    panic!("on purpose");
                }
                Ok::<u64, BoxError>(0)
            };
            cache.get_or_load("k", || load).await
        });
    }
    joined(&cache, 49).await;
    latch.open();
    while let Some(answer) = in_time("a waiter", tasks.join_next()).await {
        let error = answer.unwrap().unwrap_err();
        assert!(error.is_load() && !error.is_timeout(), "{error}");
    }
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));

    // No lease is left behind: the next load does not wait for one.
    let origin = Origin::at(7);
    let start = Instant::now();
    let next = cache.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*next, next.source()), (7, Source::Loader));
    assert!(start.elapsed() < seconds(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_hangs_is_a_time_out_to_all_who_wait() {
    let options = ttl(60).load_timeout(millis(50));
    let builder = numbers().defaults(options).store(MemoryStore::new());
    let cache = builder.build().unwrap();
    let hangs = || std::future::pending::<Result<u64, BoxError>>();
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let cache = cache.clone();
        tasks.spawn(async move { cache.get_or_load("k", hangs).await });
    }
    while let Some(answer) = in_time("a waiter", tasks.join_next()).await {
        let error = answer.unwrap().unwrap_err();
        assert!(error.is_load() && error.is_timeout(), "{error}");
    }
    let origin = Origin::at(7);
    assert_eq!(*cache.get_or_load("k", || origin.load()).await.unwrap(), 7);
}

#[tokio::test]
async fn a_load_that_reads_its_own_key_gets_an_error() {
    let cache = numbers().build().unwrap();
    let inner = cache.clone();
    let load = async move {
        let own = inner
            .get_or_load("k", || async { Ok::<_, BoxError>(1) })
            .await;
        Ok::<u64, Error>(*own?)
    };
    let answer = in_time("the load", cache.get_or_load("k", || load)).await;
    let error = answer.unwrap_err();
    let cause = error
        .load_error::<Error>()
        .expect("the cause is given back");
    assert!(cause.is_reentrant(), "{cause}");
    assert!(error.is_load());
}

#[tokio::test]
async fn a_load_that_reads_its_own_key_through_another_gets_an_error() {
    let (cache, other) = (numbers().build().unwrap(), numbers().build().unwrap());
    let (middle, end) = (other.clone(), cache.clone());
    let load = async move {
        let through = middle.get_or_load("between", || async move {
            let own = end.refresh("k", || async { Ok::<_, BoxError>(1) }).await;
            Ok::<u64, Error>(*own?)
        });
        Ok::<u64, Error>(*through.await?)
    };
    let answer = in_time("the load", cache.get_or_load("k", || load)).await;
    let error = answer.unwrap_err();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut reentrant = false;
    while let Some(error) = cause {
        reentrant |= error
            .downcast_ref::<Error>()
            .is_some_and(Error::is_reentrant);
        cause = error.source();
    }
    assert!(reentrant, "{error:?}");
}

#[tokio::test]
async fn a_load_may_read_the_same_key_of_another_cache() {
    let (cache, other) = (numbers().build().unwrap(), numbers().build().unwrap());
    let inner = other.clone();
    let load = async move {
        let same = inner
            .get_or_load("k", || async { Ok::<_, BoxError>(20) })
            .await;
        Ok::<u64, Error>(*same? + 1)
    };
    assert_eq!(*cache.get_or_load("k", || load).await.unwrap(), 21);
}

#[tokio::test]
async fn a_load_may_set_and_remove_its_own_key() {
    let cache = numbers().store(MemoryStore::new()).build().unwrap();
    let inner = cache.clone();
    let load = async move {
        inner.set("k", 5).await?;
        inner.remove("k").await?;
        Ok::<u64, Error>(6)
    };
    assert_eq!(
        *in_time("it", cache.get_or_load("k", || load))
            .await
            .unwrap(),
        6
    );
    // It was removed while it ran, so it is stored nowhere.
    assert!(cache.get("k").await.unwrap().is_none());
}

#[derive(Debug)]
struct Sulk(u32);

impl std::fmt::Display for Sulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sulking {}", self.0)
    }
}

impl std::error::Error for Sulk {}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_waited_get_the_loaders_own_error() {
    let cache = numbers().build().unwrap();
    let latch = Latch::closed();
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (cache, latch) = (cache.clone(), latch.clone());
        tasks.spawn(async move {
            let load = async move {
                latch.pass().await;
                Err::<u64, _>(Sulk(3))
            };
            cache.get_or_load("k", || load).await
        });
    }
    joined(&cache, 19).await;
    latch.open();
    while let Some(answer) = tasks.join_next().await {
        let error = answer.unwrap().unwrap_err();
        assert!(error.is_load());
        assert_eq!(error.load_error::<Sulk>().expect("it is in the chain").0, 3);
        assert!(error.to_string().contains("sulking 3"));
    }
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
    assert!(
        cache.get("k").await.unwrap().is_none(),
        "an error is not a value"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_in_two_processes_cause_one_load() {
    let memory = MemoryStore::new();
    let process = || numbers().store(memory.sibling()).build().unwrap();
    let (one, two) = (process(), process());
    let (origin, latch) = (Origin::at(7), Latch::closed());
    let mut tasks = JoinSet::new();
    for cache in [&one, &two] {
        for _ in 0..50 {
            let (cache, load) = (cache.clone(), origin.held_load(&latch));
            tasks.spawn(async move { cache.get_or_load("k", || load).await });
        }
    }
    latch.reached().await;
    let other_waits = || one.stats().lease_waits + two.stats().lease_waits == 1;
    eventually("the other process waits", PATIENCE, other_waits).await;
    joined(&one, 49).await;
    joined(&two, 49).await;
    latch.open();
    while let Some(answer) = in_time("a waiter", tasks.join_next()).await {
        assert_eq!(*answer.unwrap().unwrap(), 7);
    }
    assert_eq!((origin.loads(), latch.arrived()), (1, 1));
}

#[test]
fn a_process_that_dies_with_the_lease_holds_the_others_up_for_its_hold_at_most() {
    let memory = MemoryStore::new();
    let process = |store: Faulty<MemoryStore>| {
        let options: EntryOptions = ttl(60).load_timeout(millis(100));
        numbers().defaults(options).store(store).build().unwrap()
    };
    let (doomed, living) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    // The dead give nothing back.
    let store = Faulty::over(memory.sibling());
    store.faults().always(Call::Release, Fault::Unreachable);
    let (origin, latch) = (Origin::at(7), Latch::closed());
    doomed.block_on(async {
        let (dies, load) = (process(store), origin.held_load(&latch));
        tokio::spawn(async move { dies.get_or_load("k", || load).await });
        latch.reached().await;
    });
    doomed.shutdown_background();

    living.block_on(async {
        let lives = process(Faulty::over(memory.sibling()));
        let start = Instant::now();
        let read = lives.get_or_load("k", || origin.load());
        assert_eq!(*in_time("the other process", read).await.unwrap(), 7);
        // The hold is the load's deadline and a second.
        let took = start.elapsed();
        assert!(took < millis(1_100) + seconds(1), "{took:?}");
        assert_eq!(lives.stats().lease_waits, 1);
    });
}
