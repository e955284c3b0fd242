//! A store in this process that fails one call in four: not done, done without an
//! answer, or done late, after the caller was told that it failed.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::{
    Error, Fill, FillOutcome, Lease, LeaseRequest, Slot, Store, StoreFuture, Stored, Token,
    testing::MemoryStore,
};

#[derive(Clone, Debug)]
pub(crate) struct Chaotic {
    inner: MemoryStore,
    random: Arc<std::sync::Mutex<StdRng>>,
}

enum Whim {
    Obey,
    Refuse,
    DoAndFail,
    DoLate(u32),
}

impl Chaotic {
    pub(crate) fn over(inner: &MemoryStore, seed: u64) -> Self {
        Self {
            inner: inner.sibling(),
            random: Arc::new(std::sync::Mutex::new(StdRng::seed_from_u64(seed))),
        }
    }

    fn whim(&self) -> Whim {
        let mut random = self.random.lock().unwrap();
        match random.random_range(0..12) {
            0 => Whim::Refuse,
            1 => Whim::DoAndFail,
            2 => Whim::DoLate(random.random_range(1..200)),
            _ => Whim::Obey,
        }
    }

    /// Each call owns what it needs, so that it can happen after its caller left.
    fn act<'a, T, C>(
        &'a self,
        call: impl FnOnce(MemoryStore) -> C + Send + 'static,
    ) -> StoreFuture<'a, T>
    where
        T: Send + 'static,
        C: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Box::pin(async move {
            // Every call crosses a network.
            tokio::task::yield_now().await;
            let (inner, no) = (self.inner.sibling(), Err(Error::rejected("chaos", "no")));
            match self.whim() {
                Whim::Obey => call(inner).await,
                Whim::Refuse => no,
                Whim::DoAndFail => call(inner).await.and(no),
                Whim::DoLate(turns) => {
                    tokio::spawn(async move {
                        for _ in 0..turns {
                            tokio::task::yield_now().await;
                        }
                        call(inner).await.map(drop)
                    });
                    no
                }
            }
        })
    }
}

impl Store for Chaotic {
    fn kind(&self) -> &'static str {
        "chaotic"
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        let slot = slot.clone();
        self.act(move |inner| async move { inner.get(&slot, limit).await })
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        let slot = slot.clone();
        // Short, so that what a lost lease blocks is seen to come free.
        let hold = Duration::from_millis(3);
        let request = LeaseRequest { hold, ..request };
        self.act(move |inner| async move { inner.lease(&slot, request).await })
    }

    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>> {
        let slot = slot.clone();
        self.act(move |inner| async move { inner.force(&slot, token, hold).await })
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        let slot = slot.clone();
        self.act(move |inner| async move { inner.fill(&slot, fill).await })
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        let slot = slot.clone();
        self.act(move |inner| async move { inner.release(&slot, token).await })
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        let slot = slot.clone();
        self.act(move |inner| async move { inner.remove(&slot).await })
    }

    fn clear<'a>(&'a self, cache: &'a str, step: Duration) -> StoreFuture<'a, u64> {
        let cache = cache.to_owned();
        self.act(move |inner| async move { inner.clear(&cache, step).await })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        self.inner.ping()
    }
}
