//! A store that fails, refuses, hangs or falls behind.

use terrace::{BoxError, EntryOptions, Source, Written, testing::MemoryStore};

use crate::{
    pending::set,
    rig::{Latch, Origin, PATIENCE, eventually, millis, numbers, seconds},
    staged::{Fate, Staged, Verb},
};

#[tokio::test]
async fn a_store_that_fails_is_left_alone_until_a_probe_succeeds() {
    let it = set();
    let probed = || it.stage.calls(Verb::Heartbeat) >= 1;
    eventually("the first probe", PATIENCE, probed).await;
    it.stage.fail_everything();
    let origin = Origin::at(7);
    for number in 0..100 {
        let read = it
            .here
            .get_or_load(format!("k{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 7);
    }
    assert!(it.here.stats().store.unwrap().breaker_open);
    let asked = it.stage.calls(Verb::Get) + it.stage.calls(Verb::Lease);
    assert_eq!(asked, 5, "five failures in a row, and no more");
    let stats = it.here.stats();
    assert_eq!(
        (stats.store_errors, stats.store_skipped, stats.unleased),
        (5, 95, 100)
    );
    assert!(it.here.remove("k").await.unwrap_err().is_store());
    assert_eq!(it.stage.calls(Verb::Remove), 0);
    // L1 goes on: what was loaded is kept.
    assert_eq!(it.here.peek("k7").as_deref(), Some(&7));
    it.stage.relent_everything();
    let closed = || !it.here.stats().store.unwrap().breaker_open;
    eventually("the breaker closes", PATIENCE, closed).await;
    it.settled().await;
    assert_eq!(it.here.set("k", 1).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn refused_writes_are_not_tried_again_and_again_and_reads_go_on() {
    let it = set();
    it.stage.decide(Verb::Lease, Fate::Refused);
    it.stage.decide(Verb::Force, Fate::Refused);
    let origin = Origin::at(7);
    for number in 0..100 {
        let key = format!("k{number}");
        assert_eq!(
            *it.here.get_or_load(&key, || origin.load()).await.unwrap(),
            7
        );
        assert!(it.here.set(&key, 1).await.unwrap_err().is_store());
    }
    let stats = it.here.stats();
    let store = stats.store.unwrap();
    assert!(!store.breaker_open && store.writes_refused);
    assert!(stats.store_errors < 100, "{}", stats.store_errors);
    it.elsewhere.set("other", 3).await.unwrap();
    assert_eq!(*it.here.get("other").await.unwrap().unwrap(), 3);
    it.stage.relent_everything();
    eventually("it is written to again", PATIENCE, || {
        !it.here.stats().store.unwrap().writes_refused
    })
    .await;
    assert_eq!(it.here.set("k0", 1).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn a_store_that_hangs_costs_a_read_one_deadline_and_no_more() {
    let memory = MemoryStore::new();
    let stage = Staged::over(&memory);
    let builder = numbers().store_timeout(millis(50));
    let cache = builder.store(stage.clone()).build().unwrap();
    let never = Latch::closed();
    for verb in [Verb::Get, Verb::Lease, Verb::Fill] {
        stage.decide(verb, Fate::Late(never.clone()));
    }
    let origin = Origin::at(7);
    let start = std::time::Instant::now();
    assert_eq!(*cache.get_or_load("k", || origin.load()).await.unwrap(), 7);
    assert!(start.elapsed() >= millis(40) && start.elapsed() < millis(250));
    assert_eq!((stage.calls(Verb::Get), stage.calls(Verb::Lease)), (1, 0));
    assert_eq!(
        (cache.stats().store_timeouts, cache.stats().unleased),
        (1, 1)
    );
    assert_eq!(cache.peek("k").as_deref(), Some(&7));
}

#[tokio::test]
async fn more_reads_than_the_store_should_have_in_flight_go_to_the_source() {
    let it = set();
    let answers = Latch::closed();
    it.stage.decide(Verb::Get, Fate::Held(answers.clone()));
    let origin = Origin::at(7);
    let reads: Vec<_> = (0..300)
        .map(|number| {
            let (here, load) = (it.here.clone(), origin.load());
            let key = format!("k{number}");
            tokio::spawn(async move { *here.get_or_load(key, || load).await.unwrap() })
        })
        .collect();
    eventually("some go to the source", PATIENCE, || origin.loads() == 44).await;
    assert_eq!(
        (answers.arrived(), it.here.stats().store_skipped),
        (256, 44)
    );
    answers.open();
    for read in reads {
        assert_eq!(read.await.unwrap(), 7);
    }
    assert_eq!(origin.loads(), 300);
}

#[tokio::test]
async fn a_fill_without_an_answer_is_not_kept_here() {
    let it = set();
    it.stage.decide(Verb::Fill, Fate::Unreachable);
    let options = EntryOptions::ttl(seconds(60)).load_timeout(millis(10));
    let load = || async { Ok::<_, BoxError>(7) };
    let read = it.here.get_or_load_with("k", &options, load).await.unwrap();
    assert_eq!((*read, read.source()), (7, Source::Loader));
    let failed = || it.here.stats().store_errors == 1;
    eventually("the fill has failed", PATIENCE, failed).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(it.here.peek("k").is_none());
}
