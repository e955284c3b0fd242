//! Two processes on one Redis: late fills, late bytes, and sets that meet.

use terrace::{
    BoxError, Cache, RedisStore, Source, Written,
    testing::{Call, Fault, Faulty, Hold, MemoryStore},
};

use crate::{
    proxy::{Proxy, Upstream},
    redis_server::RedisServer,
    rig::{
        Latch, NUMBER, NUMBER_LEASE, Origin, PATIENCE, Raw, eventually, healthy, in_time, millis,
        numbers, patient_process_on, seconds,
    },
};

#[tokio::test]
async fn a_fill_whose_lease_another_process_removed_does_not_land() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let raw = Raw::on(&server).await;
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let loading = tokio::spawn({
        let (here, load) = (here.clone(), origin.held_load(&latch));
        async move { here.get_or_load("k", || load).await }
    });
    latch.reached().await;
    assert!(raw.exists(NUMBER_LEASE).await);
    origin.change_to(2);
    elsewhere.remove("k").await.unwrap();
    latch.open();
    // Its caller overlaps the removal, and may see what he asked for.
    assert_eq!(*loading.await.unwrap().unwrap(), 1);
    eventually("the fill is refused", PATIENCE, || {
        here.stats().refused == 1
    })
    .await;
    assert!(!raw.exists(NUMBER).await && !raw.exists(NUMBER_LEASE).await);
    for cache in [&here, &elsewhere] {
        assert!(cache.peek("k").is_none());
        assert!(cache.get("k").await.unwrap().is_none());
    }
    let next = here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!((*next, next.source()), (2, Source::Loader));
}

#[tokio::test]
async fn a_fill_that_another_process_overtook_with_a_set_does_not_land() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let loading = tokio::spawn({
        let (here, load) = (here.clone(), origin.held_load(&latch));
        async move { here.get_or_load("k", || load).await }
    });
    latch.reached().await;
    elsewhere.set("k", 2).await.unwrap();
    latch.open();
    loading.await.unwrap().unwrap();
    eventually("the fill is refused", PATIENCE, || {
        here.stats().refused == 1
    })
    .await;
    let read = here.get("k").await.unwrap().unwrap();
    assert_eq!((*read, read.source()), (2, Source::Store));
}

#[tokio::test]
async fn callers_in_two_processes_on_one_redis_cause_one_load() {
    let server = RedisServer::start();
    let processes = [patient_process_on(&server), patient_process_on(&server)];
    let (origin, latch) = (Origin::at(7), Latch::closed());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let (cache, load) = (processes[number % 2].clone(), origin.held_load(&latch));
        tasks.spawn(async move { cache.get_or_load("k", || load).await });
    }
    latch.reached().await;
    let all_wait = || {
        let stats = processes.each_ref().map(Cache::stats);
        stats.iter().map(|one| one.joined).sum::<u64>() == 98
            && stats.iter().map(|one| one.lease_waits).sum::<u64>() == 1
    };
    eventually("everybody waits", PATIENCE, all_wait).await;
    latch.open();
    while let Some(answer) = in_time("a waiter", tasks.join_next()).await {
        assert_eq!(*answer.unwrap().unwrap(), 7);
    }
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_load_that_fails_leaves_no_lease_in_redis() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    for number in 0..10 {
        let load = || async move {
            assert!(number % 2 == 0, "on purpose");
            Err::<u64, BoxError>("the source is down".into())
        };
        assert!(cache.get_or_load("k", load).await.unwrap_err().is_load());
    }
    let mut left = 1;
    for _ in 0..5_000 {
        left = raw.values_and_leases().await;
        if left == 0 {
            break;
        }
        tokio::time::sleep(millis(1)).await;
    }
    assert_eq!(left, 0);
}

/// The bytes of a set wait in the network while another process writes.
async fn held_set(finish: impl AsyncFnOnce(&Cache<u64>), after: Option<u64>) {
    let server = RedisServer::start();
    let (proxy, raw) = (Proxy::before(&server).await, Raw::on(&server).await);
    let store = RedisStore::connect(&proxy.url()).unwrap();
    let here = numbers().store(store).build().unwrap();
    let elsewhere = patient_process_on(&server);
    healthy(&here).await;
    here.set("k", 1).await.unwrap();

    proxy.set(Upstream::Hold);
    let error = here.set("k", 66).await.unwrap_err();
    assert!(error.is_store() && error.is_timeout(), "{error}");
    finish(&elsewhere).await;
    proxy.set(Upstream::Pass);

    let settled = || here.stats().pending == 0;
    eventually("the late set is settled", PATIENCE, settled).await;
    let held = |value: u64| value == 66;
    for cache in [&here, &elsewhere, &patient_process_on(&server)] {
        let seen = cache.get("k").await.unwrap().map(|entry| *entry);
        assert!(!seen.is_some_and(held), "the held value is served");
        assert!(seen.is_none() || seen == after, "{seen:?}");
    }
    // A ghost of the late force may hold the lease for a moment: nothing else.
    let origin = Origin::at(after.unwrap_or(9));
    let read = in_time("a read", here.get_or_load("k", || origin.load())).await;
    assert_eq!(*read.unwrap(), after.unwrap_or(9));
    drop(raw);
}

#[tokio::test]
async fn a_set_whose_bytes_were_held_is_never_seen_after_two_later_sets() {
    let twice = async |cache: &Cache<u64>| {
        cache.set("k", 2).await.unwrap();
        cache.set("k", 3).await.unwrap();
    };
    held_set(twice, Some(3)).await;
}

#[tokio::test]
async fn a_set_whose_bytes_were_held_is_never_seen_after_a_later_remove() {
    let removes = async |cache: &Cache<u64>| {
        cache.set("k", 2).await.unwrap();
        cache.remove("k").await.unwrap();
    };
    held_set(removes, None).await;
}

/// The force arrived, the fill is held: the dangerous half.
#[tokio::test]
async fn a_fill_that_arrives_late_carries_a_dead_token() {
    let memory = MemoryStore::new();
    let store = Faulty::over(memory.sibling());
    let faults = store.faults().clone();
    let builder = numbers().store_timeout(seconds(20));
    let here = builder.store(store).build().unwrap();
    let elsewhere = numbers().store(memory.sibling()).build().unwrap();
    for removes in [false, true] {
        let late = Hold::new();
        faults.always(Call::Fill, Fault::Late(late.clone()));
        let set = tokio::spawn({
            let here = here.clone();
            async move { here.set("k", 66).await }
        });
        late.reached(1).await;
        elsewhere.set("k", 2).await.unwrap();
        if removes {
            elsewhere.remove("k").await.unwrap();
        }
        late.release().await;
        assert_eq!(set.await.unwrap().unwrap(), Written::Superseded);
        assert!(here.peek("k").is_none());
        let seen = here.get("k").await.unwrap().map(|entry| *entry);
        assert_eq!(seen, (!removes).then_some(2));
        faults.always(Call::Fill, Fault::Passes);
    }
    assert_eq!((here.stats().superseded, here.stats().refused), (2, 2));
}

/// Protocol C1: a set that was told Ok leaves nothing older behind.
#[tokio::test]
async fn a_set_that_was_overtaken_by_a_lease_leaves_nothing_older_behind() {
    let memory = MemoryStore::new();
    let store = Faulty::over(memory.sibling());
    let other_store = Faulty::over(memory.sibling());
    let (faults, other_faults) = (store.faults().clone(), other_store.faults().clone());
    let here = numbers()
        .store_timeout(seconds(20))
        .store(store)
        .build()
        .unwrap();
    let elsewhere = numbers().store(other_store).build().unwrap();
    elsewhere.set("k", 0).await.unwrap();
    let late = Hold::new();
    faults.always(Call::Fill, Fault::Late(late.clone()));
    let set = tokio::spawn({
        let here = here.clone();
        async move { here.set("k", 1).await }
    });
    late.reached(1).await;
    // The other process takes the lease by force, and its fill never comes.
    other_faults.always(Call::Fill, Fault::Refused);
    assert!(elsewhere.set("k", 2).await.unwrap_err().is_store());
    late.release().await;
    assert_eq!(set.await.unwrap().unwrap(), Written::Superseded);
    assert!(memory.is_empty(), "the value from before both sets is gone");
    assert!(here.get("k").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_that_meet_leave_one_of_their_values_everywhere() {
    let server = RedisServer::start();
    let (one, two) = (patient_process_on(&server), patient_process_on(&server));
    let (mut superseded, mut emptied) = (0, 0);
    for round in 0..500_u64 {
        let key = format!("k{}", round % 7);
        let (a, b) = tokio::join!(one.set(&key, 2 * round), two.set(&key, 2 * round + 1));
        let outcomes = [(&one, a.unwrap()), (&two, b.unwrap())];
        assert!(
            outcomes
                .iter()
                .any(|(_, outcome)| *outcome == Written::Stored),
            "round {round}"
        );
        let truth = patient_process_on(&server).get(&key).await.unwrap();
        let truth = *truth.unwrap_or_else(|| panic!("round {round}: nothing is left"));
        assert!(truth / 2 == round, "round {round}: {truth}");
        for (cache, outcome) in outcomes {
            if outcome == Written::Superseded {
                superseded += 1;
                emptied += u64::from(cache.peek(&key).is_none());
                assert_eq!(
                    *cache.get(&key).await.unwrap().unwrap(),
                    truth,
                    "round {round}"
                );
            }
        }
    }
    eprintln!("of 1,000 sets that met, {superseded} were superseded");
    assert_eq!(superseded, emptied);
    assert!(superseded > 20, "they hardly met: {superseded}");
}

#[tokio::test]
async fn removing_by_prefix_leaves_foreign_keys_alone_and_kills_the_leases_of_loads() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let raw = Raw::on(&server).await;
    let foreign = [
        "terrace",
        "terrace:v:{numbersX:k}",
        "terrace:x:{numbers:k}",
        "v:{numbers:k}",
    ];
    for key in foreign {
        raw.say::<()>(&["SET", key, "theirs"]).await;
    }
    for number in 0..2_000 {
        here.set(format!("n{number}"), number).await.unwrap();
    }
    let (origin, latch) = (Origin::at(1), Latch::closed());
    let loading = tokio::spawn({
        let (elsewhere, load) = (elsewhere.clone(), origin.held_load(&latch));
        async move { elsewhere.get_or_load("k", || load).await }
    });
    latch.reached().await;
    assert_eq!(here.remove_matching("*").await.unwrap().store, Some(2_000));
    assert!(!raw.exists(NUMBER_LEASE).await);
    latch.open();
    loading.await.unwrap().unwrap();
    eventually("the fill is refused", PATIENCE, || {
        elsewhere.stats().refused == 1
    })
    .await;
    let mut left: Vec<String> = raw.ask("KEYS *").await;
    left.retain(|key| !key.starts_with("terrace:t:{numbers}"));
    left.sort();
    let mut expected = foreign.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(left, expected);
}
