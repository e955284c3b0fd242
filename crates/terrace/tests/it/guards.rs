//! The gate: what closes and opens a key's stripe while others pass.

use std::{
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    time::Instant,
};

use terrace::{
    BoxError, Written,
    testing::{Call, Fault, Hold},
};

use crate::{
    pending::set,
    rig::{Latch, PATIENCE, eventually, in_time, numbers},
};

const ROUNDS: u64 = 20_000;
const WRITERS: u64 = 2;

/// Meets the other writers, to the nanosecond: a blocking barrier wakes them one by one.
fn meet(arrived: &AtomicU64) {
    let round = arrived.fetch_add(1, SeqCst) / WRITERS;
    let (mut spins, start) = (0_u32, Instant::now());
    while arrived.load(SeqCst) < (round + 1) * WRITERS {
        spins += 1;
        if spins.is_multiple_of(1_000) {
            assert!(start.elapsed() < PATIENCE, "the others do not come");
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sets_that_meet_in_a_cache_without_a_store_one_is_kept() {
    let cache = numbers().build().unwrap();
    let runtime = tokio::runtime::Handle::current();
    let (begun, ended, seen) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let lost = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (cache, runtime) = (&cache, &runtime);
            let (begun, ended, seen, lost) = (&begun, &ended, &seen, &lost);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    meet(begun);
                    let value = round * WRITERS + writer;
                    let written = runtime.block_on(cache.set("k", value));
                    assert_eq!(written.unwrap(), Written::Stored);
                    meet(ended);
                    if writer == 0 {
                        let of_round = |value: u64| value / WRITERS == round;
                        let kept = cache.peek("k").is_some_and(|entry| of_round(*entry));
                        lost.fetch_add(u64::from(!kept), SeqCst);
                    }
                    meet(seen);
                }
            });
        }
    });
    assert_eq!(lost.load(SeqCst), 0, "of {ROUNDS} rounds");
}

/// Protocol C4: the end of a write ends a generation too. Who took his ticket
/// while the write was under way may have read what it removed.
#[tokio::test]
async fn a_stirred_stripe_is_emptied_when_the_write_ends() {
    let it = set();
    it.here.set("k", 1).await.unwrap();
    // A refresh that will fail holds the lease.
    let failing = Latch::closed();
    let refresh = tokio::spawn({
        let (here, latch) = (it.here.clone(), failing.clone());
        let load = async move {
            latch.pass().await;
            Err::<u64, BoxError>("sulking".into())
        };
        async move { here.refresh("k", || load).await.map(drop) }
    });
    failing.reached().await;
    let removal = Hold::new();
    it.faults.always(Call::Remove, Fault::Late(removal.clone()));
    let remove = tokio::spawn({
        let here = it.here.clone();
        async move { here.remove("k").await }
    });
    removal.reached(1).await;
    // Its release stirs the stripe while the write keeps it closed.
    failing.open();
    let _ = in_time("the refresh", refresh).await.unwrap();
    let released = || it.faults.calls(Call::Release) > 0;
    eventually("the lease is given back", PATIENCE, released).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let answer = it.hold_answers(Call::Get);
    let overlapping = tokio::spawn({
        let here = it.here.clone();
        async move { here.get("k").await.unwrap().map(|entry| *entry) }
    });
    answer.reached(1).await;
    removal.release().await;
    in_time("the removal", remove).await.unwrap().unwrap();
    it.faults.always(Call::Get, Fault::Passes);
    answer.open();
    assert_eq!(overlapping.await.unwrap(), Some(1), "it overlaps the write");
    assert!(it.here.peek("k").is_none(), "the old value was let in");
    assert!(it.here.get("k").await.unwrap().is_none());
}
