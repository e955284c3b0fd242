//! Writes whose outcome in the store is unknown.

use terrace::testing::MemoryStore;

use crate::{
    rig::{Latch, Origin, PATIENCE, eventually, in_time, numbers},
    staged::{Fate, Staged, Verb},
};

#[tokio::test]
async fn a_reader_who_waits_for_a_lease_reads_nothing_from_the_store_after_a_failed_remove() {
    let memory = MemoryStore::new();
    let stage = Staged::over(&memory);
    let here = numbers().store(stage.clone()).build().unwrap();
    let elsewhere = numbers().store(memory.sibling()).build().unwrap();
    let (origin, latch) = (Origin::at(1), Latch::closed());

    // The other process loads the old value and holds the lease; this one waits for it.
    let foreign = tokio::spawn({
        let (elsewhere, load) = (elsewhere.clone(), origin.held_load(&latch));
        async move { elsewhere.get_or_load("k", || load).await }
    });
    latch.reached().await;
    let waiting = tokio::spawn({
        let (here, load) = (here.clone(), origin.load());
        async move { here.get_or_load("k", || load).await }
    });
    let waits = || here.stats().lease_waits == 1;
    eventually("the reader waits for the lease", PATIENCE, waits).await;

    // Everything it asks from now on is late, and the old value lands meanwhile.
    let asked = Latch::closed();
    stage.decide(Verb::Lease, Fate::Late(asked.clone()));
    stage.decide(Verb::Remove, Fate::Refused);
    origin.change_to(2);
    assert!(here.remove("k").await.unwrap_err().is_store());
    latch.open();
    foreign.await.unwrap().unwrap();
    asked.open();
    stage.relent(Verb::Lease);

    let later = in_time("a reader", here.get_or_load("k", || origin.load())).await;
    assert_eq!(*later.unwrap(), 2);
    in_time("the waiting reader", waiting)
        .await
        .unwrap()
        .unwrap();
    let last = here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!(*last, 2);
}
