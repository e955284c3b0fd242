//! Rules of the protocol that other tests pass by: each of these fails when its rule
//! is switched off (`scripts/mutants`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use terrace::{
    BoxError, Cache, Changed, Gap, Listener, RedisStore, Store, Written,
    testing::{Call, Fault, Faulty, Hold, ManualClock, MemoryStore},
};

use crate::{
    pending::set,
    rig::{
        BOUND, Latch, Origin, PATIENCE, eventually, held_and_proven, in_time, millis, numbers,
        seconds,
    },
};

/// Lets every task run that can.
async fn all_rest() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn loading(cache: &Cache<u64>, origin: &Arc<Origin>, latch: &Latch) -> Reading {
    let (cache, load) = (cache.clone(), origin.held_load(latch));
    tokio::spawn(async move { *cache.get_or_load("k", || load).await.unwrap() })
}

fn reading(cache: &Cache<u64>, origin: &Arc<Origin>) -> Reading {
    let (cache, load) = (cache.clone(), origin.load());
    tokio::spawn(async move { *cache.get_or_load("k", || load).await.unwrap() })
}

type Reading = tokio::task::JoinHandle<u64>;

/// Protocol C10: what he would be given is what was to be removed, and whoever joins
/// him came after.
#[tokio::test]
async fn who_waits_for_a_lease_does_without_the_store_once_a_remove_has_failed() {
    let it = set();
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let foreign = loading(&it.elsewhere, &origin, &latch);
    latch.reached().await;
    let waiting = reading(&it.here, &origin);
    let waits = || it.here.stats().lease_waits == 1;
    eventually("the reader waits for the lease", PATIENCE, waits).await;
    it.faults.always(Call::Heartbeat, Fault::Unreachable);
    it.faults.always(Call::Remove, Fault::Refused);
    origin.change_to(2);
    assert!(it.here.remove("k").await.unwrap_err().is_store());
    let later = reading(&it.here, &origin);
    all_rest().await;
    latch.open();
    foreign.await.unwrap();
    assert_eq!(in_time("who came later", later).await.unwrap(), 2);
    in_time("who waited", waiting).await.unwrap();
    assert!(it.here.peek("k").is_none(), "what is pending was let in");
}

/// Protocol C2: the two round trips are the fence.
#[tokio::test]
async fn the_fill_of_a_set_waits_for_the_answer_to_its_force() {
    let it = set();
    let answer = it.hold_answers(Call::Force);
    let writing = tokio::spawn({
        let here = it.here.clone();
        async move { here.set("k", 1).await }
    });
    answer.reached(1).await;
    all_rest().await;
    assert_eq!(it.faults.calls(Call::Fill), 0, "it was sent before");
    answer.open();
    assert_eq!(writing.await.unwrap().unwrap(), Written::Stored);
    assert_eq!(it.faults.calls(Call::Fill), 1);
}

/// The number of a removal is that of the attempt which it settles.
#[tokio::test]
async fn a_removal_settles_nothing_that_was_listed_after_it_began() {
    let it = set();
    it.faults.always(Call::Heartbeat, Fault::Unreachable);
    it.faults.always(Call::Remove, Fault::Refused);
    it.here.remove("k").await.unwrap_err();
    let answer = it.hold_answers(Call::Remove);
    let slow = tokio::spawn({
        let here = it.here.clone();
        async move { here.remove("k").await }
    });
    answer.reached(1).await;
    it.faults.always(Call::Remove, Fault::Refused);
    it.here.remove("k").await.unwrap_err();
    answer.open();
    slow.await.unwrap().unwrap();
    assert_eq!(it.here.stats().pending, 1, "the third is not settled");
    it.faults.heal();
    it.settled().await;
}

/// Idea 5: a change that is told empties L1, and ends what is being read.
#[tokio::test]
async fn what_another_process_changes_is_neither_kept_nor_let_in() {
    let it = set();
    it.here.set("k", 1).await.unwrap();
    it.elsewhere.set("k", 2).await.unwrap();
    assert!(it.here.peek("k").is_none(), "what was changed was kept");
    let answer = it.hold_answers(Call::Get);
    let overlapping = tokio::spawn({
        let here = it.here.clone();
        async move { here.get("k").await.unwrap().map(|seen| *seen) }
    });
    answer.reached(1).await;
    it.faults.always(Call::Get, Fault::Passes);
    it.elsewhere.remove("k").await.unwrap();
    answer.open();
    assert_eq!(in_time("the read", overlapping).await.unwrap(), Some(2));
    assert!(it.here.peek("k").is_none(), "what was removed was let in");
}

/// What L1 holds is void before anything is sent, not when the answer comes (C14).
#[tokio::test]
async fn nothing_is_served_from_l1_while_its_removal_is_under_way() {
    let it = set();
    it.here.set("k", 1).await.unwrap();
    let answer = it.hold_answers(Call::Remove);
    let removing = tokio::spawn({
        let here = it.here.clone();
        async move { here.remove("k").await }
    });
    answer.reached(1).await;
    assert!(it.here.peek("k").is_none());
    answer.open();
    removing.await.unwrap().unwrap();
}

/// A heartbeat vouches for the moment at which it was sent, and for the bound from
/// there on: whatever is changed while its answer is on the way is not in it.
#[tokio::test]
async fn a_proof_counts_from_the_sending_of_its_heartbeat_and_runs_out() {
    let time = ManualClock::new();
    let store = Faulty::over(MemoryStore::with_clock(time.clock()));
    let faults = store.faults().clone();
    let builder = numbers().max_staleness(BOUND).clock(time.clock());
    let builder = builder.store_timeout(seconds(20));
    let here = builder.store(store).build().unwrap();
    here.set("k", 1).await.unwrap();
    held_and_proven(&here, "k").await;
    let is_proven = || here.peek("k").is_some_and(|seen| seen.proven());
    let (first, second) = (Hold::new(), Hold::new());
    faults.always(Call::Heartbeat, Fault::AnswerHeld(first.clone()));
    first.reached(1).await;
    faults.always(Call::Heartbeat, Fault::AnswerHeld(second.clone()));
    assert!(is_proven());
    time.advance(BOUND);
    assert!(!is_proven(), "beyond the bound");
    first.open();
    second.reached(1).await;
    assert!(!is_proven(), "by the arrival of an old heartbeat");
}

/// Protocol C22: the store does not hold what it refused. Without news of what took
/// the lease, the ticket does not tell.
#[tokio::test]
async fn what_a_refused_fill_brought_is_not_kept_although_nothing_was_heard() {
    let it = set();
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let load = loading(&it.here, &origin, &latch);
    latch.reached().await;
    it.link.deafen();
    it.elsewhere.set("k", 2).await.unwrap();
    latch.open();
    load.await.unwrap();
    let refused = || it.here.stats().refused == 1;
    eventually("the fill is refused", PATIENCE, refused).await;
    all_rest().await;
    assert!(it.here.peek("k").is_none());
}

/// Protocol C22: a load that the store does not know of proves nothing.
#[tokio::test]
async fn what_was_loaded_without_a_lease_is_not_proven() {
    let it = set();
    let (origin, warm) = (Origin::at(1), "warm");
    it.here.set(warm, 1).await.unwrap();
    held_and_proven(&it.here, warm).await;
    it.faults.always(Call::Lease, Fault::Unreachable);
    let load = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert!(!load.proven());
    let kept = || it.here.peek("k").is_some();
    eventually("it is kept", PATIENCE, kept).await;
    assert!(!it.here.peek("k").unwrap().proven());
    assert!(it.here.peek(warm).unwrap().proven(), "the link is sound");
}

/// A lease that ends before the load's deadline would refuse every slow load.
#[tokio::test]
async fn the_lease_of_a_load_lasts_as_long_as_the_load_may() {
    let time = ManualClock::new();
    let store = MemoryStore::with_clock(time.clock());
    let cache = numbers().clock(time.clock()).store(store.clone());
    let cache = cache.build().unwrap();
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let load = loading(&cache, &origin, &latch);
    latch.reached().await;
    time.advance(millis(9_999));
    latch.open();
    load.await.unwrap();
    let fills = || cache.stats().fills + cache.stats().refused == 1;
    eventually("it is filled", PATIENCE, fills).await;
    assert_eq!(store.len(), 1, "a load within its deadline is stored");
}

/// Protocol C12: what one of them wrote, the other would not be told.
#[tokio::test]
async fn a_second_cache_of_one_name_on_one_link_is_refused() {
    let memory = MemoryStore::new();
    let redis = RedisStore::connect("redis://127.0.0.1:1").unwrap();
    let first = (
        numbers().store(memory.clone()).build().unwrap(),
        numbers().store(redis.clone()).build().unwrap(),
    );
    let error = numbers().store(memory.clone()).build().unwrap_err();
    assert!(error.is_config(), "{error}");
    let error = numbers().store(redis).build().unwrap_err();
    assert!(error.is_config(), "{error}");
    // Over a link of its own it is told like any other process.
    let sibling = numbers().store(memory.sibling()).build().unwrap();
    first.0.set("k", 1).await.unwrap();
    sibling.set("k", 2).await.unwrap();
    assert!(first.0.peek("k").is_none());
}

/// Protocol C23: nobody tells us of our own release, and who was told "held" sleeps.
#[tokio::test]
async fn a_lease_that_is_given_back_here_wakes_who_waits_for_it_here() {
    // His next question is 80 ms away at least.
    const WAKES_WITHIN: Duration = Duration::from_millis(40);
    let mut took = Vec::new();
    for _ in 0..5 {
        let it = set();
        let (latch, origin) = (Latch::closed(), Origin::at(2));
        let failing = tokio::spawn({
            let (here, latch) = (it.here.clone(), latch.clone());
            let load = async move {
                latch.pass().await;
                Err::<u64, BoxError>("sulking".into())
            };
            async move { here.get_or_load("k", || load).await.map(drop) }
        });
        latch.reached().await;
        // Detaches the flight, and leaves its lease alone.
        it.here.remove_tag("any").await.unwrap();
        let waiting = reading(&it.here, &origin);
        let patient = || it.faults.calls(Call::Lease) >= 8;
        eventually("it has asked often", PATIENCE, patient).await;
        let start = Instant::now();
        latch.open();
        assert_eq!(in_time("the waiter", waiting).await.unwrap(), 2);
        took.push(start.elapsed());
        failing.await.unwrap().unwrap_err();
    }
    took.sort();
    assert!(took[took.len() / 2] < WAKES_WITHIN, "{took:?}");
}

/// Protocol C8, for what has no tag: everything has the epoch of `clear`, that of
/// before its load.
#[tokio::test]
async fn what_was_loaded_before_a_clear_is_dead_although_nothing_was_heard() {
    let it = set();
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let load = loading(&it.here, &origin, &latch);
    latch.reached().await;
    it.link.deafen();
    it.elsewhere.clear().await.unwrap();
    latch.open();
    load.await.unwrap();
    let filled = || it.here.stats().fills == 1;
    eventually("it is filled", PATIENCE, filled).await;
    assert!(it.elsewhere.get("k").await.unwrap().is_none());
}

/// Protocol C7: the heartbeats of a new link vouch for nothing that came over the old.
#[tokio::test]
async fn what_was_got_before_a_gap_is_not_proven_by_the_heartbeats_after_it() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let link = memory.sibling();
    let store = Faulty::over(link.clone());
    let faults = store.faults().clone();
    let builder = numbers().max_staleness(BOUND).clock(time.clock());
    let here = builder.store(store).build().unwrap();
    let elsewhere = numbers().clock(time.clock()).store(memory.sibling());
    let elsewhere = elsewhere.build().unwrap();
    here.set("k", 1).await.unwrap();
    held_and_proven(&here, "k").await;
    link.cut();
    elsewhere.remove("k").await.unwrap();
    // Its own moment must not vouch for it.
    time.advance(BOUND);
    link.restore();
    let beats = faults.calls(Call::Heartbeat);
    let beaten = || faults.calls(Call::Heartbeat) > beats + 2;
    eventually("the link is proven again", PATIENCE, beaten).await;
    assert!(here.peek("k").is_none(), "what was removed is served");
    assert!(here.get("k").await.unwrap().is_none());
}

struct Somebody;

impl Listener for Somebody {
    fn changed(&self, _: Changed<'_>) {}

    fn gap(&self, _: Gap) {}
}

fn is_taken<S: Store + Clone>(store: &S) {
    let somebody: Arc<dyn Listener> = Arc::new(Somebody);
    let cache = numbers().store(store.clone()).build().unwrap();
    store.hush(cache.name(), &Arc::downgrade(&somebody));
    let error = numbers().store(store.clone()).build().unwrap_err();
    assert!(error.is_config(), "{error}");
}

/// Protocol C12: a cache that ends late must not take the name from its successor.
#[tokio::test]
async fn whoever_gives_a_name_up_leaves_it_to_another_who_has_it() {
    is_taken(&MemoryStore::new());
    is_taken(&RedisStore::connect("redis://127.0.0.1:1").unwrap());
}

async fn is_given_up<S: Store + Clone>(store: &S) {
    let build = || numbers().store(store.clone()).build();
    let closed = build().unwrap();
    closed.close().await;
    let dropped = build().expect("a closed cache has no name");
    // Its load goes on without it, and without who waited for it.
    let latch = Latch::closed();
    let reading = loading(&dropped, &Origin::at(1), &latch);
    latch.reached().await;
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    drop(dropped);
    build().expect("nobody has a handle of that name");
    latch.open();
}

#[tokio::test]
async fn the_name_of_a_cache_that_was_closed_or_dropped_is_free_at_once() {
    is_given_up(&MemoryStore::new()).await;
    is_given_up(&RedisStore::connect("redis://127.0.0.1:1").unwrap()).await;
}
