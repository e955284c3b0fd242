//! Readers who require coherence get what is proven, or a load; never what nobody
//! vouches for. The others get what there is, and are told.

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::{
    BoxError, Cache, Coherence, Entry, EntryOptions, Source,
    testing::{Call, Fault, Faulty, Hold, ManualClock, MemoryStore},
};

use crate::{
    pending::set,
    rig::{
        Latch, Origin, PATIENCE, bounded, eventually, healthy, held_and_proven, in_time, millis,
        numbers, seconds, ttl,
    },
};

fn required() -> EntryOptions {
    ttl(60).coherence(Coherence::Required)
}

/// "k", for a reader who requires coherence.
async fn strict_read(cache: &Cache<u64>, origin: &Arc<Origin>) -> Entry<u64> {
    let options = required();
    let read = cache.get_or_load_with("k", &options, || origin.load());
    in_time("a strict reader", read).await.unwrap()
}

#[tokio::test]
async fn during_an_outage_who_requires_coherence_gets_a_load_and_the_others_get_l1() {
    let it = set();
    it.here.set("k", 1).await.unwrap();
    held_and_proven(&it.here, "k").await;
    let origin = Origin::at(2);
    let proven = strict_read(&it.here, &origin).await;
    assert_eq!(
        (*proven, proven.source(), origin.loads()),
        (1, Source::Local, 0)
    );
    assert!(proven.proven());

    it.link.cut();
    for loads in 1..4 {
        let available = it.here.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(
            (available.source(), available.proven()),
            (Source::Local, false)
        );
        let seen = strict_read(&it.here, &origin).await;
        assert_eq!((*seen, seen.source()), (2, Source::Loader));
        assert!(!seen.proven());
        assert_eq!(
            origin.loads(),
            loads,
            "nobody vouches for the load before either"
        );
    }
    assert!(it.here.stats().unproven_hits >= 1);
    it.link.restore();
    let back = strict_read(&it.here, &origin).await;
    assert!(back.proven() || back.source() == Source::Loader);
}

#[tokio::test]
async fn a_cache_whose_default_requires_coherence_peeks_at_and_gets_proven_values_only() {
    let memory = MemoryStore::new();
    let link = memory.sibling();
    let builder = numbers().defaults(required()).store(link.clone());
    let cache = builder.build().unwrap();
    cache.set("k", 1).await.unwrap();
    held_and_proven(&cache, "k").await;
    assert!(cache.peek("k").unwrap().proven());
    link.cut();
    assert!(cache.peek("k").is_none());
    assert!(cache.get("k").await.unwrap().is_none());
    // One call may ask for less.
    let load = || async { Ok::<_, BoxError>(9) };
    let seen = cache.get_or_load_with("k", &ttl(60), load).await.unwrap();
    assert_eq!((*seen, seen.proven()), (1, false));
    link.restore();
    let seen = cache.get("k").await.unwrap().unwrap();
    assert_eq!(
        (*seen, seen.source(), seen.proven()),
        (1, Source::Local, true)
    );
}

/// While nobody tells of changes, a flight may be doomed and not know it.
#[tokio::test]
async fn during_an_outage_who_requires_coherence_joins_nobody() {
    let it = set();
    it.link.cut();
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let old = tokio::spawn({
        let (here, load) = (it.here.clone(), origin.held_load(&latch));
        async move { *here.get_or_load("k", || load).await.unwrap() }
    });
    latch.reached().await;
    origin.change_to(2);
    assert_eq!(
        *strict_read(&it.here, &origin).await,
        2,
        "a flight of his own"
    );
    assert_eq!(it.here.stats().joined, 0);
    let joiner = tokio::spawn({
        let (here, load) = (it.here.clone(), origin.load());
        async move { *here.get_or_load("k", || load).await.unwrap() }
    });
    // Who requires nothing joins, or finds what the other one has loaded.
    let came = || it.here.stats().joined == 1 || joiner.is_finished();
    eventually("he has come", PATIENCE, came).await;
    latch.open();
    assert!([1, 2].contains(&in_time("the joiner", joiner).await.unwrap()));
    in_time("the first", old).await.unwrap();
}

/// A joiner of a flight that was content with an unproven value wants more.
#[tokio::test]
async fn who_requires_coherence_does_not_share_what_a_flight_found_unproven() {
    let it = set();
    it.here.set("k", 1).await.unwrap();
    held_and_proven(&it.here, "k").await;
    // A gap, and whoever looks again gets no answer for now.
    it.link.cut();
    it.link.restore();
    let asked = Hold::new();
    it.faults.always(Call::Get, Fault::Late(asked.clone()));
    let origin = Origin::at(2);
    let reads = [ttl(60), required()].map(|options| {
        let (here, load) = (it.here.clone(), origin.load());
        tokio::spawn(async move {
            let read = here.get_or_load_with("k", &options, || load);
            read.await.unwrap()
        })
    });
    asked.reached(1).await;
    it.faults.always(Call::Get, Fault::Unreachable);
    it.link.cut();
    asked.open();
    let [available, strict] = reads;
    let seen = in_time("who takes what there is", available).await.unwrap();
    assert!([1, 2].contains(&*seen));
    let seen = in_time("who requires", strict).await.unwrap();
    assert!(seen.proven() || seen.source() == Source::Loader, "{seen:?}");
}

#[tokio::test]
async fn an_unproven_stale_value_does_not_stand_in_for_who_requires_coherence() {
    for strict in [false, true] {
        let time = ManualClock::new();
        let memory = MemoryStore::with_clock(time.clock());
        let options = ttl(10).stale_if_error(seconds(1_000));
        let options = match strict {
            true => options.coherence(Coherence::Required),
            false => options,
        };
        let link = memory.sibling();
        let builder = numbers().defaults(options).clock(time.clock());
        let cache = builder.store(link.clone()).build().unwrap();
        cache.set("k", 1).await.unwrap();
        time.advance(seconds(20));
        let fails = || async { Err::<u64, BoxError>("the source is down".into()) };
        // The store vouches for it: it stands in, however strict the reader.
        let seen = cache.get_or_load("k", fails).await.unwrap();
        assert_eq!((*seen, seen.is_stale()), (1, true));
        link.cut();
        match cache.get_or_load("k", fails).await {
            Ok(seen) => {
                assert!(!strict, "{seen:?}");
                assert_eq!((*seen, seen.is_stale(), seen.proven()), (1, true, false));
            }
            Err(error) => assert!(strict && error.is_load(), "{error}"),
        }
        link.restore();
        let seen = cache.get_or_load("k", fails).await.unwrap();
        assert_eq!((*seen, seen.is_stale()), (1, true));
    }
}

/// Loaded, and not stored: L1 has it, L2 never did.
#[tokio::test]
async fn what_the_store_never_had_is_not_for_who_requires_coherence() {
    let it = set();
    it.faults.always(Call::Fill, Fault::Refused);
    let origin = Origin::at(1);
    it.here.get_or_load("k", || origin.load()).await.unwrap();
    let kept = || it.here.peek("k").is_some_and(|seen| !seen.proven());
    eventually("L1 keeps it", PATIENCE, kept).await;
    origin.change_to(2);
    let available = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*available, available.source()), (1, Source::Local));
    let strict = strict_read(&it.here, &origin).await;
    assert_eq!((*strict, strict.source()), (2, Source::Loader));
}

/// A store whose heartbeats fail may be anybody, such as a primary of yesterday.
#[tokio::test]
async fn a_store_that_answers_and_vouches_for_nothing_is_not_for_who_requires_coherence() {
    for strict in [false, true] {
        let memory = MemoryStore::new();
        let store = Faulty::over(memory.sibling());
        let faults = store.faults().clone();
        faults.always(Call::Heartbeat, Fault::Refused);
        let options = if strict { required() } else { ttl(60) };
        let builder = numbers().defaults(options).store(store);
        let cache = builder.build().unwrap();
        let asked = || faults.calls(Call::Heartbeat) > 0;
        eventually("it has no answer", PATIENCE, asked).await;
        let elsewhere = numbers().store(memory.sibling()).build().unwrap();
        elsewhere.set("k", 1).await.unwrap();
        let origin = Origin::at(2);
        let seen = cache.get("k").await.unwrap();
        let seen = seen.map(|seen| (*seen, seen.source(), seen.proven()));
        assert_eq!(seen, (!strict).then_some((1, Source::Store, false)));
        let seen = cache.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!((*seen, seen.proven()), (if strict { 2 } else { 1 }, false));
    }
}

/// A link that breaks in every way while readers of both kinds read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_requires_coherence_never_gets_from_a_tier_what_is_not_proven() {
    const SEED: u64 = 0x7e44_ace4;
    const READS: usize = 3_000;
    eprintln!("seed {SEED:#x}");
    let memory = MemoryStore::new();
    let link = memory.sibling();
    let build = |store| -> Cache<u64> {
        let builder = bounded().store_timeout(millis(5));
        builder.store(store).build().unwrap()
    };
    let (here, elsewhere) = (build(link.clone()), build(memory.clone()));
    let (origin, mut random) = (Origin::at(1), StdRng::seed_from_u64(SEED));
    let (mut proven, mut loaded, mut unproven) = (0, 0, 0);
    for _ in 0..READS {
        match random.random_range(0..80) {
            0 => link.cut(),
            1 => link.freeze(),
            2 => link.deafen(),
            3 => link.flush(),
            4 => elsewhere.remove("k1").await.unwrap(),
            5..9 => link.restore(),
            _ => tokio::task::yield_now().await,
        }
        let key = format!("k{}", random.random_range(0..3));
        let strict = random.random_bool(0.6);
        let options = if strict { required() } else { ttl(60) };
        let read = here.get_or_load_with(&key, &options, || origin.load());
        let seen = in_time("a read", read).await.unwrap();
        match (seen.proven(), seen.source()) {
            (true, _) => proven += 1,
            (false, Source::Loader) => loaded += 1,
            (false, _) => {
                assert!(!strict, "{seen:?}");
                unproven += 1;
            }
        }
    }
    eprintln!("{proven} proven, {loaded} loaded, {unproven} unproven");
    assert!(proven > 0 && loaded > 0 && unproven > 0);
    link.restore();
    let used = || !here.stats().store.unwrap().breaker_open;
    eventually("it is used again", PATIENCE, used).await;
    let set = async { while here.set("k0", 1).await.is_err() {} };
    in_time("a set", set).await;
    held_and_proven(&here, "k0").await;
}

/// The load behind a stale value goes on, and can be joined: whoever comes later is not
/// told that the value is proven because it was.
#[tokio::test]
async fn what_a_flight_found_is_looked_at_again_for_who_joins_it_later() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let link = memory.sibling();
    let store = Faulty::over(link.clone());
    let faults = store.faults().clone();
    let stale = ttl(10).stale_while_revalidate(seconds(100_000));
    let builder = || {
        let builder = numbers().defaults(stale.clone()).clock(time.clock());
        builder.store_timeout(seconds(20))
    };
    let here = builder().store(store).build().unwrap();
    let elsewhere = builder().store(memory).build().unwrap();
    elsewhere.set("k", 1).await.unwrap();
    time.advance(seconds(20));
    healthy(&here).await;
    let (origin, latch) = (Origin::at(2), Latch::closed());
    let first = here.get_or_load("k", || origin.held_load(&latch)).await;
    let first = first.unwrap();
    assert_eq!((*first, first.is_stale(), first.proven()), (1, true, true));
    latch.reached().await;

    // It is removed, nobody tells, and the bound passes.
    let beats = Hold::new();
    faults.always(Call::Heartbeat, Fault::AnswerHeld(beats.clone()));
    beats.reached(1).await;
    link.deafen();
    elsewhere.remove("k").await.unwrap();
    time.advance(seconds(3_700));
    let joining = tokio::spawn({
        let (here, load) = (here.clone(), origin.load());
        async move { here.get_or_load("k", || load).await.unwrap() }
    });
    let joins = || here.stats().joined == 1;
    eventually("he joins the load", PATIENCE, joins).await;
    latch.open();
    let seen = in_time("who joined", joining).await.unwrap();
    assert_eq!((*seen, seen.source()), (2, Source::Loader));
}
