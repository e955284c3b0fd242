//! A store that fails, refuses, hangs or falls behind.

use terrace::{
    BoxError, EntryOptions, Source, Written,
    testing::{Call, Calls, Fault, Faulty, MemoryStore},
};

use crate::{
    pending::set,
    rig::{Origin, PATIENCE, eventually, millis, numbers, seconds},
};

#[tokio::test]
async fn a_store_that_fails_is_left_alone_until_a_probe_succeeds() {
    let it = set();
    let probed = || it.faults.calls(Call::Heartbeat) >= 1;
    eventually("the first probe", PATIENCE, probed).await;
    it.faults.always(Calls::all(), Fault::Unreachable);
    let origin = Origin::at(7);
    for number in 0..100 {
        let read = it
            .here
            .get_or_load(format!("k{number}"), || origin.load())
            .await;
        assert_eq!(*read.unwrap(), 7);
    }
    assert!(it.here.stats().store.unwrap().breaker_open);
    let asked = it.faults.calls(Call::Get) + it.faults.calls(Call::Lease);
    assert_eq!(asked, 5, "five failures in a row, and no more");
    let stats = it.here.stats();
    assert_eq!(
        (stats.store_errors, stats.store_skipped, stats.unleased),
        (5, 95, 100)
    );
    assert!(it.here.remove("k").await.unwrap_err().is_store());
    assert_eq!(it.faults.calls(Call::Remove), 0);
    // L1 goes on: what was loaded is kept.
    assert_eq!(it.here.peek("k7").as_deref(), Some(&7));
    it.faults.heal();
    let closed = || !it.here.stats().store.unwrap().breaker_open;
    eventually("the breaker closes", PATIENCE, closed).await;
    it.settled().await;
    assert_eq!(it.here.set("k", 1).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn refused_writes_are_not_tried_again_and_again_and_reads_go_on() {
    let it = set();
    it.faults.always(Call::Lease, Fault::Refused);
    it.faults.always(Call::Force, Fault::Refused);
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
    it.faults.heal();
    eventually("it is written to again", PATIENCE, || {
        !it.here.stats().store.unwrap().writes_refused
    })
    .await;
    assert_eq!(it.here.set("k0", 1).await.unwrap(), Written::Stored);
}

#[tokio::test]
async fn a_store_that_hangs_costs_a_read_one_deadline_and_no_more() {
    let store = Faulty::over(MemoryStore::new());
    let faults = store.faults().clone();
    let builder = numbers().store_timeout(millis(50));
    let cache = builder.store(store).build().unwrap();
    for call in [Call::Get, Call::Lease, Call::Fill] {
        faults.always(call, Fault::Hangs);
    }
    let origin = Origin::at(7);
    let start = std::time::Instant::now();
    assert_eq!(*cache.get_or_load("k", || origin.load()).await.unwrap(), 7);
    assert!(start.elapsed() >= millis(40) && start.elapsed() < millis(250));
    assert_eq!((faults.calls(Call::Get), faults.calls(Call::Lease)), (1, 0));
    assert_eq!(
        (cache.stats().store_timeouts, cache.stats().unleased),
        (1, 1)
    );
    assert_eq!(cache.peek("k").as_deref(), Some(&7));
}

#[tokio::test]
async fn more_reads_than_the_store_should_have_in_flight_go_to_the_source() {
    let it = set();
    let answers = it.hold_answers(Call::Get);
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
    it.faults.always(Call::Fill, Fault::Unreachable);
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
