//! A store whose calls fare as the test decides.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    envelope::Token,
    error::Error,
    key::Slot,
    pattern::Pattern,
    store::{
        Fill, FillOutcome, Health, Heartbeat, Lease, LeaseRequest, Listener, Store, StoreFuture,
        Stored,
    },
    tag::{Epoch, Mark},
    testing::{
        faults::{Call, Fault, Faults},
        own_mark::OwnMark,
    },
};

/// Any store, with faults between it and the cache.
///
/// Each call is given the fate that the test has chosen for its kind by
/// [`faults`](Self::faults): refused, lost, done with its answer lost, done late, or
/// met by a panic.
/// Whatever is *sent* goes on when its caller has gone, as bytes in a network do.
/// Pushes from the store are passed on untouched; a [`MemoryStore`](super::MemoryStore)
/// loses those itself (`cut`, `freeze`, `deafen`).
///
/// A write that comes too late, after somebody else's, changes nothing:
///
/// ```
/// # use terrace::{Cache, testing::{Call, Fault, Faulty, Hold, MemoryStore}};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// let memory = MemoryStore::new();
/// let store = Faulty::over(memory.sibling());
/// let faults = store.faults().clone();
/// let here: Cache<u8> = Cache::builder("numbers")
///     .store(store)
///     .store_timeout(Duration::from_millis(50))
///     .build()?;
/// let there: Cache<u8> = Cache::builder("numbers").store(memory.sibling()).build()?;
///
/// let network = Hold::new();
/// faults.once(Call::Fill, Fault::Late(network.clone()));
/// let outcome = here.set("one", 1).await;
/// assert!(outcome.is_err_and(|error| error.is_timeout())); // the writer gave up
/// assert_eq!(network.arrived(), 1); // its bytes are still under way
///
/// there.set("one", 2).await?;
/// network.release().await; // now they arrive
/// assert_ne!(there.get("one").await?.map(|one| *one), Some(1));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Faulty<S> {
    inner: Arc<S>,
    faults: Faults,
}

impl<S> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            faults: self.faults.clone(),
        }
    }
}

impl<S: Store> Faulty<S> {
    /// This store, with no faults yet.
    pub fn over(inner: S) -> Self {
        Self {
            inner: Arc::new(inner),
            faults: Faults::default(),
        }
    }

    /// By what a test decides; clone it before the cache takes the store.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Makes a call fare as was decided. It owns what it needs, so that it can
    /// happen after its caller has gone.
    fn fare<'a, T, C>(
        &'a self,
        call: Call,
        key: Option<&'a str>,
        act: impl FnOnce(Arc<S>) -> C + Send + 'static,
    ) -> StoreFuture<'a, T>
    where
        T: Send + 'static,
        C: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Box::pin(async move {
            let inner = Arc::clone(&self.inner);
            let unavailable = |why: &str| Err(Error::unavailable(call.attempt(), why));
            match self.faults.decide(call, key) {
                Fault::Passes => act(inner).await,
                Fault::Refused => Err(Error::rejected(call.attempt(), "refused by the test")),
                Fault::Unreachable => unavailable("made unreachable by the test"),
                Fault::Panics => panic!("{}: made to panic by the test", call.attempt()),
                Fault::Hangs => std::future::pending().await,
                Fault::Unanswered => {
                    act(inner).await?;
                    unavailable("the test lost the answer")
                }
                Fault::AnswerHeld(hold) => {
                    let answer = act(inner).await;
                    let _visit = hold.pass().await;
                    answer
                }
                Fault::Late(hold) => {
                    sent(async move {
                        let _visit = hold.pass().await;
                        act(inner).await
                    })
                    .await
                }
                Fault::Delayed(by) => {
                    sent(async move {
                        tokio::time::sleep(by).await;
                        act(inner).await
                    })
                    .await
                }
            }
        })
    }
}

/// Runs to its end, whether or not anybody waits for the answer.
async fn sent<T: Send + 'static>(
    call: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    tokio::spawn(async move {
        // Nobody may be there any more to take it.
        let _ = reply.send(call.await);
    });
    let lost = |error| Err(Error::unavailable("waiting for an answer", error));
    answer.await.unwrap_or_else(lost)
}

impl<S: Store> Store for Faulty<S> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn health(&self) -> &Arc<Health> {
        self.inner.health()
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        let own = slot.clone();
        let act = move |inner: Arc<S>| async move { inner.get(&own, limit).await };
        self.fare(Call::Get, Some(slot.key()), act)
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        let own = slot.clone();
        let act = move |inner: Arc<S>| async move { inner.lease(&own, request).await };
        self.fare(Call::Lease, Some(slot.key()), act)
    }

    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>> {
        let own = slot.clone();
        let act = move |inner: Arc<S>| async move { inner.force(&own, token, hold).await };
        self.fare(Call::Force, Some(slot.key()), act)
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        let own = slot.clone();
        let act = move |inner: Arc<S>| async move { inner.fill(&own, fill).await };
        self.fare(Call::Fill, Some(slot.key()), act)
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        let own = slot.clone();
        let act = move |inner: Arc<S>| async move { inner.release(&own, token).await };
        self.fare(Call::Release, Some(slot.key()), act)
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        let own = slot.clone();
        let act = move |inner: Arc<S>| async move { inner.remove(&own).await };
        self.fare(Call::Remove, Some(slot.key()), act)
    }

    fn remove_matching<'a>(
        &'a self,
        cache: &'a str,
        pattern: &'a Pattern,
        step: Duration,
    ) -> StoreFuture<'a, u64> {
        let (cache, pattern) = (cache.to_owned(), pattern.clone());
        let act =
            move |inner: Arc<S>| async move { inner.remove_matching(&cache, &pattern, step).await };
        self.fare(Call::RemoveMatching, None, act)
    }

    fn epochs<'a>(&'a self, cache: &'a str, marks: &'a [Mark<'a>]) -> StoreFuture<'a, Vec<Epoch>> {
        let cache = cache.to_owned();
        let own: Vec<OwnMark> = marks.iter().map(|mark| (*mark).into()).collect();
        let act = move |inner: Arc<S>| async move {
            let marks: Vec<_> = own.iter().map(OwnMark::lent).collect();
            inner.epochs(&cache, &marks).await
        };
        self.fare(Call::Epochs, None, act)
    }

    fn renew<'a>(&'a self, cache: &'a str, epochs: &'a [(Mark<'a>, Epoch)]) -> StoreFuture<'a, ()> {
        let cache = cache.to_owned();
        let own = epochs.iter().map(|(mark, epoch)| ((*mark).into(), *epoch));
        let own: Vec<(OwnMark, Epoch)> = own.collect();
        let act = move |inner: Arc<S>| async move {
            let lent = own.iter().map(|(mark, epoch)| (mark.lent(), *epoch));
            let epochs: Vec<_> = lent.collect();
            inner.renew(&cache, &epochs).await
        };
        self.fare(Call::Renew, None, act)
    }

    fn heartbeat<'a>(&'a self, cache: &'a str, limit: Duration) -> StoreFuture<'a, Heartbeat> {
        let cache = cache.to_owned();
        let act = move |inner: Arc<S>| async move { inner.heartbeat(&cache, limit).await };
        self.fare(Call::Heartbeat, None, act)
    }

    fn overdue(&self) {
        self.inner.overdue();
    }

    fn listen(&self, cache: &str, listener: Weak<dyn Listener>) -> bool {
        self.inner.listen(cache, listener)
    }

    fn hush(&self, cache: &str, listener: &Weak<dyn Listener>) {
        self.inner.hush(cache, listener);
    }
}
