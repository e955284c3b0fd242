//! Writes that fail, overtake reads, or whose outcome in the store is unknown.

use terrace::{
    BoxError, Cache, EntryOptions, Source, Written,
    testing::{Call, Fault, Faults, Faulty, Hold, ManualClock, MemoryStore},
};
use tokio::task::JoinHandle;

use crate::rig::{Latch, Origin, PATIENCE, eventually, in_time, numbers, seconds};

/// A cache over a store with faults, and a second process on the same store without.
pub(crate) struct Set {
    pub(crate) here: Cache<u64>,
    pub(crate) elsewhere: Cache<u64>,
    pub(crate) memory: MemoryStore,
    /// The way of the first to the store, to be cut, frozen or deafened.
    pub(crate) link: MemoryStore,
    pub(crate) faults: Faults,
}

pub(crate) fn set() -> Set {
    let memory = MemoryStore::new();
    let link = memory.sibling();
    let store = Faulty::over(link.clone());
    let faults = store.faults().clone();
    let patient = || numbers().store_timeout(seconds(20));
    Set {
        here: patient().store(store).build().unwrap(),
        elsewhere: patient().store(memory.sibling()).build().unwrap(),
        memory,
        link,
        faults,
    }
}

impl Set {
    /// Starts a read that loads, here.
    fn read(
        &self,
        load: impl Future<Output = Result<u64, BoxError>> + Send + 'static,
    ) -> JoinHandle<u64> {
        let here = self.here.clone();
        tokio::spawn(async move { *here.get_or_load("k", || load).await.unwrap() })
    }

    /// From now on these calls are done, and answered once the hold is released.
    pub(crate) fn hold_answers(&self, call: Call) -> Hold {
        let hold = Hold::new();
        self.faults.always(call, Fault::AnswerHeld(hold.clone()));
        hold
    }

    pub(crate) async fn settled(&self) {
        let settled = || self.here.stats().pending == 0;
        eventually("what is pending is settled", PATIENCE, settled).await;
    }
}

#[tokio::test]
async fn what_is_removed_during_a_read_of_the_store_does_not_come_back() {
    for sets in [false, true] {
        let it = set();
        it.elsewhere.set("k", 1).await.unwrap();
        let (origin, answer) = (Origin::at(2), it.hold_answers(Call::Get));
        let plain = tokio::spawn({
            let here = it.here.clone();
            async move { here.get("k").await.unwrap().map(|entry| *entry) }
        });
        let loading = it.read(origin.load());
        eventually("both have read", PATIENCE, || answer.arrived() == 2).await;
        it.faults.always(Call::Get, Fault::Passes);
        match sets {
            true => assert_eq!(it.here.set("k", 2).await.unwrap(), Written::Stored),
            false => it.here.remove("k").await.unwrap(),
        }
        let after = *it.here.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(after, 2, "a reader who came later joined the old flight");
        answer.open();
        // They overlap the write, and may have either.
        assert_eq!(plain.await.unwrap(), Some(1));
        assert!([1, 2].contains(&loading.await.unwrap()));
        assert_eq!(
            it.here.peek("k").as_deref(),
            Some(&2),
            "the old value was let in"
        );
        assert_eq!(
            *it.elsewhere
                .get_or_load("k", || origin.load())
                .await
                .unwrap(),
            2,
            "it heard of the change"
        );
    }
}

#[tokio::test]
async fn what_changes_during_a_load_is_seen_by_whoever_comes_later() {
    for write in ["set", "remove", "clear"] {
        for stored in [false, true] {
            let store = stored.then(MemoryStore::new);
            let builder = numbers();
            let cache = match &store {
                Some(store) => builder.store(store.sibling()).build().unwrap(),
                None => builder.build().unwrap(),
            };
            let (origin, latch) = (Origin::at(1), Latch::closed());
            let old = tokio::spawn({
                let (cache, load) = (cache.clone(), origin.held_load(&latch));
                async move { *cache.get_or_load("k", || load).await.unwrap() }
            });
            latch.reached().await;
            origin.change_to(2);
            match write {
                "set" => assert_eq!(cache.set("k", 2).await.unwrap(), Written::Stored),
                "remove" => cache.remove("k").await.unwrap(),
                _ => cache.clear().await.unwrap(),
            }
            let read = cache.get_or_load("k", || origin.load());
            assert_eq!(*in_time(write, read).await.unwrap(), 2, "{write}");
            latch.open();
            assert_eq!(old.await.unwrap(), 1);
            let last = cache.get_or_load("k", || origin.load()).await.unwrap();
            assert_eq!(*last, 2, "{write}: the late load was kept");
            if let Some(store) = store {
                let elsewhere = numbers().store(store).build().unwrap();
                assert_eq!(*elsewhere.get("k").await.unwrap().unwrap(), 2, "{write}");
            }
        }
    }
}

#[tokio::test]
async fn a_reader_who_waits_for_a_lease_reads_nothing_from_the_store_after_a_failed_remove() {
    let it = set();
    let (origin, latch) = (Origin::at(1), Latch::closed());

    // The other process loads the old value and holds the lease; this one waits for it.
    let foreign = tokio::spawn({
        let (elsewhere, load) = (it.elsewhere.clone(), origin.held_load(&latch));
        async move { elsewhere.get_or_load("k", || load).await }
    });
    latch.reached().await;
    let waiting = it.read(origin.load());
    let waits = || it.here.stats().lease_waits == 1;
    eventually("the reader waits for the lease", PATIENCE, waits).await;

    // Everything it asks from now on is late, and the old value lands meanwhile.
    let asked = Hold::new();
    it.faults.always(Call::Lease, Fault::Late(asked.clone()));
    it.faults.always(Call::Remove, Fault::Refused);
    origin.change_to(2);
    assert!(it.here.remove("k").await.unwrap_err().is_store());
    latch.open();
    foreign.await.unwrap().unwrap();
    asked.release().await;
    it.faults.always(Call::Lease, Fault::Passes);

    let later = it.here.get_or_load("k", || origin.load());
    assert_eq!(*in_time("a reader", later).await.unwrap(), 2);
    in_time("the waiting reader", waiting).await.unwrap();
    let last = it.here.get_or_load("k", || origin.load()).await.unwrap();
    assert_eq!(*last, 2);
}

#[tokio::test]
async fn a_key_whose_write_failed_is_not_read_from_the_store_until_it_is_settled() {
    for (call, fault) in [
        (Call::Remove, Fault::Refused),
        (Call::Remove, Fault::Unanswered),
        (Call::Force, Fault::Refused),
        (Call::Force, Fault::Unanswered),
        (Call::Fill, Fault::Refused),
        (Call::Fill, Fault::Unanswered),
    ] {
        let it = set();
        it.here.set("k", 1).await.unwrap();
        it.here.set("other", 1).await.unwrap();
        let origin = Origin::at(2);
        it.faults.always(call, fault.clone());
        let error = match call {
            Call::Remove => it.here.remove("k").await.unwrap_err(),
            _ => it.here.set("k", 2).await.unwrap_err(),
        };
        assert!(error.is_store(), "{call:?} {fault:?}: {error}");
        assert_eq!(it.here.stats().pending, 1);
        // What another process puts there now is not trusted either.
        it.elsewhere.set("k", 66).await.unwrap();
        let asked = it.faults.calls(Call::Get) + it.faults.calls(Call::Lease);
        assert!(it.here.peek("k").is_none() && it.here.get("k").await.unwrap().is_none());
        let read = it.here.get_or_load("k", || origin.load()).await.unwrap();
        assert_eq!(
            (*read, read.source()),
            (2, Source::Loader),
            "{call:?} {fault:?}"
        );
        assert!(it.here.peek("k").is_none(), "kept nowhere");
        if it.here.stats().pending == 1 {
            assert_eq!(
                asked,
                it.faults.calls(Call::Get) + it.faults.calls(Call::Lease)
            );
        }
        it.faults.heal();
        it.settled().await;
        assert!(
            it.here.get("k").await.unwrap().is_none(),
            "never a value that is played again"
        );
        assert_eq!(it.memory.len(), 1, "the other key is left alone");
        assert_eq!(
            *it.here.get_or_load("k", || origin.load()).await.unwrap(),
            2
        );
    }
}

#[tokio::test]
async fn a_later_write_that_succeeds_settles_what_an_earlier_one_left() {
    for sets in [false, true] {
        let it = set();
        it.faults.always(Call::Remove, Fault::Refused);
        it.here.remove("k").await.unwrap_err();
        it.faults.heal();
        match sets {
            true => assert_eq!(it.here.set("k", 3).await.unwrap(), Written::Stored),
            false => it.here.remove("k").await.unwrap(),
        }
        assert_eq!(it.here.stats().pending, 0);
        let seen = it.here.get("k").await.unwrap().map(|entry| *entry);
        assert_eq!(seen, sets.then_some(3));
    }
}

#[tokio::test]
async fn more_failed_writes_than_can_be_listed_become_a_clear() {
    let it = set();
    it.here.set("witness", 1).await.unwrap();
    it.faults.always(Call::Remove, Fault::Refused);
    it.faults.always(Call::Renew, Fault::Refused);
    for number in 0..10_001 {
        let error = it.here.remove(format!("k{number}")).await.unwrap_err();
        assert!(error.is_store());
    }
    assert_eq!(it.here.stats().pending, 10_001);
    assert!(it.here.get("any").await.unwrap().is_none());
    it.faults.heal();
    it.settled().await;
    assert!(it.here.get("witness").await.unwrap().is_none());
    assert!(it.elsewhere.get("witness").await.unwrap().is_none());
    assert!(it.faults.calls(Call::Renew) >= 1);
}

#[tokio::test]
async fn a_set_whose_caller_left_is_carried_through() {
    let it = set();
    it.elsewhere.set("k", 1).await.unwrap();
    let late = Hold::new();
    it.faults.always(Call::Fill, Fault::Late(late.clone()));
    let caller = tokio::spawn({
        let here = it.here.clone();
        async move { here.set("k", 2).await }
    });
    late.reached(1).await;
    // A reader who meets the old value while the gate is closed gets it, and keeps it nowhere.
    assert_eq!(*it.here.get("k").await.unwrap().unwrap(), 1);
    assert!(it.here.peek("k").is_none());
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    late.release().await;
    let landed = || it.here.peek("k").as_deref() == Some(&2);
    eventually("the set lands", PATIENCE, landed).await;
}

#[tokio::test]
async fn close_waits_for_writes_and_not_for_loads() {
    let it = set();
    it.here.set("other", 1).await.unwrap();
    let late = Hold::new();
    it.faults.always(Call::Fill, Fault::Late(late.clone()));
    let writing = tokio::spawn({
        let here = it.here.clone();
        async move { here.set("k", 2).await }
    });
    late.reached(1).await;
    let closing = tokio::spawn({
        let here = it.here.clone();
        async move { here.close().await }
    });
    let emptied = || it.here.peek("other").is_none();
    eventually("it closes", PATIENCE, emptied).await;
    assert!(!closing.is_finished(), "it did not wait for the write");
    late.release().await;
    in_time("closing", closing).await.unwrap();
    assert_eq!(writing.await.unwrap().unwrap(), Written::Stored);
    assert_eq!(it.memory.len(), 2);
    assert!(
        it.here.peek("k").is_none(),
        "a closed cache lets nothing in"
    );
}

/// A stale copy that was found before a removal must not stand in after it.
#[tokio::test]
async fn what_is_removed_while_a_reader_waits_for_a_lease_does_not_stand_in_for_his_load() {
    let time = ManualClock::new();
    let memory = MemoryStore::with_clock(time.clock());
    let process = || {
        let options = EntryOptions::ttl(seconds(10)).stale_if_error(seconds(100));
        let builder = numbers().defaults(options).clock(time.clock());
        builder.store(memory.sibling()).build().unwrap()
    };
    let (here, elsewhere) = (process(), process());
    here.set("k", 1).await.unwrap();
    time.advance(seconds(20));
    let (origin, latch) = (Origin::at(9), Latch::closed());
    let holding = tokio::spawn({
        let (elsewhere, load) = (elsewhere.clone(), origin.held_load(&latch));
        async move { elsewhere.get_or_load("k", || load).await }
    });
    latch.reached().await;
    let fails = Latch::closed();
    let read = || {
        let (here, fails) = (here.clone(), fails.clone());
        let load = async move {
            fails.pass().await;
            Err::<u64, BoxError>("the source is down".into())
        };
        tokio::spawn(async move { here.get_or_load("k", || load).await })
    };
    let before = read();
    let waits = || here.stats().lease_waits == 1;
    eventually("the reader waits for the lease", PATIENCE, waits).await;
    here.remove("k").await.unwrap();
    fails.reached().await;
    let after = read();
    eventually("a later reader joins", PATIENCE, || {
        here.stats().joined == 1
    })
    .await;
    fails.open();
    let late = in_time("the later reader", after).await.unwrap();
    assert!(late.is_err(), "a removed value was served: {late:?}");
    in_time("the first reader", before).await.unwrap().ok();
    latch.open();
    holding.await.unwrap().unwrap();
}
