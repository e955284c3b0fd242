//! A store in this process whose calls can be failed or held, verb by verb.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use terrace::{
    Epoch, Error, Fill, FillOutcome, Health, Heartbeat, Lease, LeaseRequest, Listener, Mark,
    Pattern, Slot, Store, StoreFuture, Stored, Token, testing::MemoryStore,
};

use crate::rig::Latch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Get,
    Lease,
    Force,
    Fill,
    Release,
    Remove,
    RemoveMatching,
    Epochs,
    Renew,
    Heartbeat,
}

impl Verb {
    const ALL: [Self; 10] = [
        Self::Get,
        Self::Lease,
        Self::Force,
        Self::Fill,
        Self::Release,
        Self::Remove,
        Self::RemoveMatching,
        Self::Epochs,
        Self::Renew,
        Self::Heartbeat,
    ];
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// The store answers with a refusal; nothing is done.
    Refused,
    /// The same, for this key alone.
    RefusedFor(&'static str),
    /// The store's own code is broken; nothing is done.
    Panics,
    /// The store cannot be asked; nothing is done.
    Unreachable,
    /// It is done, and the answer is lost.
    Unanswered,
    /// It is done once the latch is open.
    Late(Latch),
    /// It is done at once, and answered once the latch is open.
    Held(Latch),
}

#[derive(Clone, Debug)]
pub(crate) struct Staged {
    inner: MemoryStore,
    fates: Arc<Mutex<HashMap<Verb, Fate>>>,
    calls: Arc<Mutex<HashMap<Verb, u64>>>,
    /// The epochs of each attempt to renew some.
    renewed: Arc<Mutex<Vec<Vec<Epoch>>>>,
    /// The last slot that was asked for, as it prints itself.
    printed: Arc<Mutex<String>>,
}

impl Staged {
    pub(crate) fn over(inner: &MemoryStore) -> Self {
        Self {
            inner: inner.sibling(),
            fates: Arc::default(),
            calls: Arc::default(),
            renewed: Arc::default(),
            printed: Arc::default(),
        }
    }

    /// The link that it goes over, to be cut, frozen or deafened.
    pub(crate) fn link(&self) -> &MemoryStore {
        &self.inner
    }

    pub(crate) fn decide(&self, verb: Verb, fate: Fate) {
        self.fates.lock().unwrap().insert(verb, fate);
    }

    pub(crate) fn relent(&self, verb: Verb) {
        self.fates.lock().unwrap().remove(&verb);
    }

    pub(crate) fn fail_everything(&self) {
        for verb in Verb::ALL {
            self.decide(verb, Fate::Unreachable);
        }
    }

    pub(crate) fn relent_everything(&self) {
        self.fates.lock().unwrap().clear();
    }

    pub(crate) fn calls(&self, verb: Verb) -> u64 {
        self.calls.lock().unwrap().get(&verb).copied().unwrap_or(0)
    }

    /// How many calls were made, heartbeats not counted.
    pub(crate) fn all_calls(&self) -> u64 {
        let calls = self.calls.lock().unwrap();
        let counted = calls.iter().filter(|(verb, _)| **verb != Verb::Heartbeat);
        counted.map(|(_, count)| *count).sum()
    }

    pub(crate) fn renewed(&self) -> Vec<Vec<Epoch>> {
        self.renewed.lock().unwrap().clone()
    }

    pub(crate) fn printed(&self) -> String {
        self.printed.lock().unwrap().clone()
    }

    /// Stages a call about one slot.
    fn about<'a, T: Send + 'a>(
        &'a self,
        slot: &'a Slot,
        verb: Verb,
        call: impl FnOnce() -> StoreFuture<'a, T> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        *self.printed.lock().unwrap() = format!("{slot:?}");
        let spared = |fate: &Fate| matches!(fate, Fate::RefusedFor(key) if *key != slot.key());
        if self.fates.lock().unwrap().get(&verb).is_some_and(spared) {
            return call();
        }
        self.stage(verb, call)
    }

    fn stage<'a, T: Send + 'a>(
        &'a self,
        verb: Verb,
        call: impl FnOnce() -> StoreFuture<'a, T> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            *self.calls.lock().unwrap().entry(verb).or_default() += 1;
            let fate = self.fates.lock().unwrap().get(&verb).cloned();
            match fate {
                None => call().await,
                Some(Fate::Panics) => panic!("the store is broken"),
                Some(Fate::Refused | Fate::RefusedFor(_)) => {
                    Err(Error::rejected("staging", "not today"))
                }
                Some(Fate::Unreachable) => Err(Error::unavailable("staging", "nobody there")),
                Some(Fate::Unanswered) => {
                    call().await?;
                    Err(Error::unavailable("staging", "the line went dead"))
                }
                Some(Fate::Late(latch)) => {
                    latch.pass().await;
                    call().await
                }
                Some(Fate::Held(latch)) => {
                    let answer = call().await;
                    latch.pass().await;
                    answer
                }
            }
        })
    }
}

impl Store for Staged {
    fn kind(&self) -> &'static str {
        "staged"
    }

    fn health(&self) -> &Arc<Health> {
        self.inner.health()
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        self.about(slot, Verb::Get, move || self.inner.get(slot, limit))
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        self.about(slot, Verb::Lease, move || self.inner.lease(slot, request))
    }

    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>> {
        self.about(slot, Verb::Force, move || {
            self.inner.force(slot, token, hold)
        })
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        self.about(slot, Verb::Fill, move || self.inner.fill(slot, fill))
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        self.about(slot, Verb::Release, move || self.inner.release(slot, token))
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        self.about(slot, Verb::Remove, move || self.inner.remove(slot))
    }

    fn remove_matching<'a>(
        &'a self,
        cache: &'a str,
        pattern: &'a Pattern,
        step: Duration,
    ) -> StoreFuture<'a, u64> {
        self.stage(Verb::RemoveMatching, move || {
            self.inner.remove_matching(cache, pattern, step)
        })
    }

    fn epochs<'a>(&'a self, cache: &'a str, marks: &'a [Mark<'a>]) -> StoreFuture<'a, Vec<Epoch>> {
        self.stage(Verb::Epochs, move || self.inner.epochs(cache, marks))
    }

    fn renew<'a>(&'a self, cache: &'a str, epochs: &'a [(Mark<'a>, Epoch)]) -> StoreFuture<'a, ()> {
        let drawn = epochs.iter().map(|(_, epoch)| *epoch).collect();
        self.renewed.lock().unwrap().push(drawn);
        self.stage(Verb::Renew, move || self.inner.renew(cache, epochs))
    }

    fn heartbeat<'a>(&'a self, cache: &'a str, limit: Duration) -> StoreFuture<'a, Heartbeat> {
        self.stage(Verb::Heartbeat, move || self.inner.heartbeat(cache, limit))
    }

    fn listen(&self, cache: &str, listener: Weak<dyn Listener>) -> bool {
        self.inner.listen(cache, listener)
    }

    fn hush(&self, cache: &str, listener: &Weak<dyn Listener>) {
        self.inner.hush(cache, listener);
    }
}
