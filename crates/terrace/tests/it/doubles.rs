//! The test doubles do what their documentation says.

use terrace::{
    Cache, Error,
    testing::{Call, Calls, Fault, Faults, Faulty, Hold, MemoryStore},
};

use crate::rig::{in_time, millis, numbers, seconds};

struct Fixture {
    cache: Cache<u64>,
    memory: MemoryStore,
    faults: Faults,
}

impl Fixture {
    fn new() -> Self {
        let store = Faulty::over(MemoryStore::new());
        let (memory, faults) = (store.inner().clone(), store.faults().clone());
        let builder = numbers().store(store).store_timeout(millis(100));
        Self {
            cache: builder.build().unwrap(),
            memory,
            faults,
        }
    }

    /// A value is stored, and its removal fares so. Whether it was removed when the
    /// caller had his answer, and what that was.
    async fn removal(fault: Fault) -> (bool, Result<(), Error>) {
        let it = Self::new();
        it.cache.set("k", 1).await.unwrap();
        // Nothing is settled behind the test's back.
        it.faults.always(Call::Heartbeat, Fault::Hangs);
        it.faults.always(Call::Remove, fault);
        let outcome = in_time("a removal", it.cache.remove("k")).await;
        assert!(it.faults.calls(Call::Remove) >= 1);
        (it.memory.is_empty(), outcome.map(drop))
    }
}

#[tokio::test]
async fn each_fault_does_what_its_table_says() {
    let is_overdue = |error: Error| error.is_timeout();
    let is_told = |error: Error| error.is_store() && !error.is_timeout();

    let (done, outcome) = Fixture::removal(Fault::Passes).await;
    assert!(done && outcome.is_ok());
    let (done, outcome) = Fixture::removal(Fault::Refused).await;
    assert!(!done && outcome.is_err_and(is_told));
    let (done, outcome) = Fixture::removal(Fault::Unreachable).await;
    assert!(!done && outcome.is_err_and(is_told));
    let (done, outcome) = Fixture::removal(Fault::Panics).await;
    assert!(!done && outcome.is_err_and(is_told));
    let (done, outcome) = Fixture::removal(Fault::Hangs).await;
    assert!(!done && outcome.is_err_and(is_overdue));
    let (done, outcome) = Fixture::removal(Fault::Unanswered).await;
    assert!(done && outcome.is_err_and(is_told));
    let (done, outcome) = Fixture::removal(Fault::AnswerHeld(Hold::new())).await;
    assert!(done && outcome.is_err_and(is_overdue));
    let (done, outcome) = Fixture::removal(Fault::Late(Hold::new())).await;
    assert!(!done && outcome.is_err_and(is_overdue));
    let (done, outcome) = Fixture::removal(Fault::Delayed(seconds(3_600))).await;
    assert!(!done && outcome.is_err_and(is_overdue));
    let (done, outcome) = Fixture::removal(Fault::Delayed(millis(1))).await;
    assert!(done && outcome.is_ok());
}

#[tokio::test]
async fn a_late_call_happens_on_release_although_its_caller_has_gone() {
    let it = Fixture::new();
    it.cache.set("k", 1).await.unwrap();
    it.faults.always(Call::Heartbeat, Fault::Hangs);
    let network = Hold::new();
    it.faults.once(Call::Remove, Fault::Late(network.clone()));
    assert!(it.cache.remove("k").await.is_err());
    network.reached(1).await;
    assert_eq!(it.memory.len(), 1);
    network.release().await;
    assert_eq!((it.memory.len(), network.arrived()), (0, 1));
}

#[tokio::test]
async fn a_caller_who_still_waits_gets_the_late_answer() {
    let it = Fixture::new();
    for late in [Fault::Late as fn(Hold) -> Fault, Fault::AnswerHeld] {
        let network = Hold::new();
        it.faults.once(Call::Force, late(network.clone()));
        let set = it.cache.set("k", 1);
        let release = async {
            network.reached(1).await;
            network.release().await;
        };
        let (outcome, ()) = tokio::join!(set, release);
        outcome.unwrap();
    }
}

#[tokio::test]
async fn rules_for_once_come_first_and_the_last_rule_for_always_wins() {
    let it = Fixture::new();
    it.faults.always(Calls::all(), Fault::Refused);
    it.faults.always(Call::Heartbeat, Fault::Passes);
    it.faults.always(Call::Remove.of("k"), Fault::Passes);
    assert!(it.cache.remove("k").await.is_ok());
    assert!(it.cache.remove("other").await.is_err());

    it.faults.heal();
    it.faults.once(Call::Remove, Fault::Passes);
    it.faults.once(Call::Remove, Fault::Refused);
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(it.cache.remove("k").await.is_ok());
    }
    assert_eq!(outcomes, [true, false, true]);
}
