//! Removals of groups that fail: nothing of the group is served here until they are
//! settled, and then it is gone everywhere.

use terrace::{
    BoxError, Epoch, Error, Loaded, Mark, Policy, RedisStore, Source, Store,
    testing::{Call, Fault, Faulty, Hold, MemoryStore},
};

use crate::{
    groups::{Group, tagged},
    pending::{Set, set},
    proxy::{Flow, Proxy},
    redis_server::RedisServer,
    rig::{
        Origin, PATIENCE, eventually, healthy, held_and_proven, numbers, patient_process_on, reads,
        seconds,
    },
};

impl Group {
    /// The calls of the store that may fail.
    fn calls(self) -> &'static [Call] {
        match self {
            Self::Tag | Self::Everything => &[Call::Renew],
            // First the walk, then the clock of tags.
            Self::Prefix | Self::Glob => &[Call::RemoveMatching, Call::Renew],
        }
    }

    /// What the last attempt to remove it left in the store.
    async fn epochs_in(self, memory: &MemoryStore) -> Vec<Epoch> {
        let marks: &[Mark<'_>] = match self {
            Self::Tag => &[Mark::Clock, Mark::Tag("odd")],
            Self::Everything => &[Mark::Clear],
            Self::Prefix | Self::Glob => &[Mark::Clock],
        };
        memory.epochs("numbers", marks).await.unwrap()
    }
}

fn faults() -> [Fault; 4] {
    [
        Fault::Refused,
        Fault::Unreachable,
        Fault::Unanswered,
        Fault::Panics,
    ]
}

async fn fails(it: &Set, group: Group) {
    let error: Error = group.remove_from(&it.here).await.unwrap_err();
    assert!(error.is_store(), "{group:?}: {error}");
    assert_eq!(it.here.stats().pending, 1, "{group:?}");
    assert_eq!(it.here.stats().group_removals, 0);
}

#[tokio::test]
async fn members_of_a_group_whose_removal_failed_are_not_served_here_until_it_is_settled() {
    for group in Group::ALL {
        for (call, fault) in group
            .calls()
            .iter()
            .flat_map(|call| faults().map(|fault| (*call, fault)))
        {
            let it = set();
            for key in ["odd:1", "odd:3"] {
                let value = Loaded::new(1).tag("odd");
                it.here.set(key, value).await.unwrap();
            }
            it.here.set("even:2", 1).await.unwrap();
            held_and_proven(&it.here, "odd:1").await;
            it.faults.always(call, fault.clone());
            fails(&it, group).await;
            for key in ["odd:1", "odd:3"] {
                assert!(it.here.peek(key).is_none(), "{group:?} {fault:?}: L1");
                let seen = it.here.get(key).await.unwrap();
                assert!(seen.is_none(), "{group:?} {fault:?}: L2");
            }
            let origin = Origin::at(2);
            let load = || tagged(origin.load());
            let seen = it.here.get_or_load("odd:1", load).await.unwrap();
            assert_eq!((*seen, seen.source()), (2, Source::Loader));
            let other = it.here.get("even:2").await.unwrap().map(|seen| *seen);
            let kept = (group != Group::Everything).then_some(1);
            assert_eq!(other, kept, "{group:?} {fault:?}");

            it.faults.heal();
            it.settled().await;
            for key in ["odd:1", "odd:3"] {
                let seen = it.elsewhere.get(key).await.unwrap();
                assert_ne!(seen.as_deref(), Some(&1), "{group:?} {fault:?}: elsewhere");
            }
            reads(&it.elsewhere, "even:2", kept).await;
            it.here
                .set("odd:1", Loaded::new(3).tag("odd"))
                .await
                .unwrap();
            reads(&it.elsewhere, "odd:1", Some(3)).await;
        }
    }
}

/// Nobody can say of the members then whether they are still so, until it is known here.
#[tokio::test]
async fn what_is_served_unproven_in_an_outage_is_gone_once_its_group_is_removed() {
    for group in Group::ALL {
        let it = set();
        for key in ["odd:1", "even:2"] {
            let value = Loaded::new(1).tag(key.split(':').next().unwrap());
            it.here.set(key, value).await.unwrap();
            held_and_proven(&it.here, key).await;
        }
        it.link.cut();
        for key in ["odd:1", "even:2", "odd:1", "even:2"] {
            let seen = it.here.peek(key).unwrap();
            assert!(!seen.proven(), "{group:?}: {key}");
        }
        fails(&it, group).await;
        assert!(it.here.peek("odd:1").is_none(), "{group:?}");
        let other = it.here.peek("even:2").is_some();
        assert_eq!(other, group != Group::Everything, "{group:?}");
        it.link.restore();
        it.settled().await;
    }
}

/// What another process stores meanwhile under the old epoch is not trusted either.
#[tokio::test]
async fn what_another_process_stores_before_a_removal_is_settled_is_not_served_here() {
    for group in Group::ALL {
        let it = set();
        it.faults.always(group.calls()[0], Fault::Refused);
        it.here
            .set("odd:1", Loaded::new(1).tag("odd"))
            .await
            .unwrap();
        fails(&it, group).await;
        let value = Loaded::new(66).tag("odd");
        it.elsewhere.set("odd:1", value).await.unwrap();
        assert!(it.here.get("odd:1").await.unwrap().is_none(), "{group:?}");
        let load = || tagged(async { Ok::<_, BoxError>(2) });
        let seen = it.here.get_or_load("odd:1", load).await.unwrap();
        assert_eq!(*seen, 2, "{group:?}");
        it.faults.heal();
        it.settled().await;
    }
}

#[tokio::test]
async fn a_later_removal_that_succeeds_settles_an_earlier_one() {
    for group in Group::ALL {
        for clears in [false, true] {
            let it = set();
            it.faults.always(group.calls()[0], Fault::Refused);
            fails(&it, group).await;
            it.faults.heal();
            match clears {
                // Everything settles whatever was pending.
                true => it.here.clear().await.unwrap(),
                false => group.remove_from(&it.here).await.unwrap(),
            }
            assert_eq!(it.here.stats().pending, 0, "{group:?} {clears}");
        }
    }
}

/// Protocol C11: an epoch that was sent twice could bring back what was removed between.
#[tokio::test]
async fn no_attempt_to_remove_a_group_sends_an_epoch_that_was_sent_before() {
    for group in [Group::Tag, Group::Everything] {
        let it = set();
        // The recovery waits for a heartbeat: no attempt is overlooked.
        let beats = it.hold_answers(Call::Heartbeat);
        let mut seen = group.epochs_in(&it.memory).await;
        it.faults.always(Call::Renew, Fault::Unanswered);
        for attempt in 1..4 {
            assert!(group.remove_from(&it.here).await.unwrap_err().is_store());
            assert_eq!(it.faults.calls(Call::Renew), attempt);
            seen.extend(group.epochs_in(&it.memory).await);
        }
        it.faults.heal();
        beats.open();
        it.settled().await;
        assert_eq!(it.faults.calls(Call::Renew), 4);
        seen.extend(group.epochs_in(&it.memory).await);
        for (index, epoch) in seen.iter().enumerate() {
            assert!(!seen[..index].contains(epoch), "{group:?}: {seen:?}");
        }
    }
}

/// The lost answer was "done"; another process stored a member since.
#[tokio::test]
async fn a_removal_that_is_settled_late_takes_newer_members_along_and_revives_none() {
    let it = set();
    it.here.set("k", Loaded::new(1).tag("odd")).await.unwrap();
    it.faults.always(Call::Renew, Fault::Unanswered);
    fails(&it, Group::Tag).await;
    it.elsewhere
        .set("k", Loaded::new(2).tag("odd"))
        .await
        .unwrap();
    it.elsewhere.remove_tag("odd").await.unwrap();
    assert!(it.elsewhere.get("k").await.unwrap().is_none());
    it.faults.heal();
    it.settled().await;
    for cache in [&it.here, &it.elsewhere] {
        assert!(cache.get("k").await.unwrap().is_none());
    }
}

/// The bytes of a removal wait in the network, and arrive after newer writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_bytes_arrive_late_revives_nothing() {
    for group in Group::ALL {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server).await;
        let store = RedisStore::connect(&proxy.url()).unwrap();
        let here = numbers().store(store).build().unwrap();
        let elsewhere = patient_process_on(&server);
        healthy(&here).await;
        here.set("odd:1", Loaded::new(1).tag("odd")).await.unwrap();
        reads(&elsewhere, "odd:1", Some(1)).await;

        proxy.to_server(Flow::Hold);
        let error = group.remove_from(&here).await.unwrap_err();
        assert!(error.is_timeout(), "{group:?}: {error}");
        assert!(here.peek("odd:1").is_none() && here.stats().pending == 1);
        assert!(here.get("odd:1").await.unwrap().is_none());
        // The other one knows nothing of it yet.
        assert_eq!(elsewhere.get("odd:1").await.unwrap().as_deref(), Some(&1));
        group.remove_from(&elsewhere).await.unwrap();
        proxy.to_server(Flow::Pass);

        let settled = || here.stats().pending == 0;
        eventually("it is settled", PATIENCE, settled).await;
        for cache in [&here, &elsewhere] {
            reads(cache, "odd:1", None).await;
        }
        elsewhere
            .set("odd:1", Loaded::new(2).tag("odd"))
            .await
            .unwrap();
        reads(&here, "odd:1", Some(2)).await;
    }
}

/// The epoch in the store is what it was, and whoever writes a member comes to know it.
#[tokio::test]
async fn what_l1_held_of_a_group_whose_removal_failed_stays_dead_once_its_epoch_is_known() {
    let it = set();
    let member = || Loaded::new(1).tag("odd");
    it.here.set("odd:1", member()).await.unwrap();
    held_and_proven(&it.here, "odd:1").await;
    // Nothing is settled meanwhile.
    it.hold_answers(Call::Heartbeat).reached(1).await;
    it.faults.always(Call::Renew, Fault::Refused);
    fails(&it, Group::Tag).await;
    it.here.set("odd:3", member()).await.unwrap();
    assert!(it.here.peek("odd:1").is_none());
    assert!(it.here.get("odd:1").await.unwrap().is_none());
}

#[tokio::test]
async fn what_was_read_during_a_removal_that_failed_is_dead_once_its_epoch_is_known() {
    let memory = MemoryStore::new();
    let refusing = Faulty::over(memory.sibling());
    refusing.faults().always(Call::Renew, Fault::Refused);
    let store = Faulty::over(refusing);
    let faults = store.faults().clone();
    let here = numbers().store_timeout(seconds(20)).store(store);
    let here = here.build().unwrap();
    let elsewhere = numbers().store(memory).build().unwrap();
    let member = || Loaded::new(1).tag("odd");
    elsewhere.set("odd:1", member()).await.unwrap();
    healthy(&here).await;
    // Nothing is settled meanwhile.
    let (beats, removal) = (Hold::new(), Hold::new());
    faults.always(Call::Heartbeat, Fault::AnswerHeld(beats.clone()));
    beats.reached(1).await;
    faults.always(Call::Renew, Fault::Late(removal.clone()));
    let removing = tokio::spawn({
        let here = here.clone();
        async move { here.remove_tag("odd").await }
    });
    removal.reached(1).await;
    let overlapping = here.get("odd:1").await.unwrap();
    assert_eq!(overlapping.as_deref(), Some(&1));
    removal.release().await;
    assert!(removing.await.unwrap().unwrap_err().is_store());
    here.set("odd:3", member()).await.unwrap();
    assert!(here.peek("odd:1").is_none());
    assert!(here.get("odd:1").await.unwrap().is_none());
}

/// In the engine that counts what it holds at once.
#[tokio::test]
async fn a_clear_that_failed_frees_the_memory_of_l1_all_the_same() {
    let store = Faulty::over(MemoryStore::new());
    store.faults().always(Call::Renew, Fault::Refused);
    let cache = numbers().policy(Policy::S3Fifo).store(store);
    let cache = cache.build().unwrap();
    for key in 0..10 {
        cache.set(format!("k{key}"), 1).await.unwrap();
    }
    assert_eq!(cache.stats().entries, 10);
    assert!(cache.clear().await.unwrap_err().is_store());
    assert_eq!(cache.stats().entries, 0);
}

/// Every miss looks at each of the patterns.
#[tokio::test]
async fn more_failed_patterns_than_a_miss_should_look_at_become_a_clear() {
    const MOST: u64 = 64;
    let it = set();
    for key in ["one", "two"] {
        it.elsewhere.set(key, 1).await.unwrap();
    }
    // Nothing is settled meanwhile.
    let beats = it.hold_answers(Call::Heartbeat);
    beats.reached(1).await;
    it.faults.always(Call::RemoveMatching, Fault::Refused);
    for number in 0..MOST {
        let removal = it.here.remove_prefix(format!("p{number}:")).await;
        assert!(removal.unwrap_err().is_store());
    }
    assert_eq!(it.here.stats().pending, MOST);
    let other = it.here.get("one").await.unwrap();
    assert_eq!(other.as_deref(), Some(&1), "they leave the others alone");
    assert!(it.here.remove_prefix("last:").await.is_err());
    assert!(it.here.get("two").await.unwrap().is_none());
    it.faults.heal();
    beats.open();
    it.settled().await;
    for key in ["one", "two"] {
        reads(&it.elsewhere, key, None).await;
    }
}
