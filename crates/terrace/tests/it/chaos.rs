//! A store in this process that fails one call in four: not done, done without an
//! answer, or done late, after the caller was told that it failed. Now and then the
//! link blinks, or the store forgets everything.
//!
//! Not a `Faulty` with rules: what is done late here was told to have failed, each
//! call draws its own lot, some harm the link and not the call, and leases are short.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::{
    Epoch, Error, Fill, FillOutcome, Health, Heartbeat, Lease, LeaseRequest, Listener, Mark,
    Pattern, Slot, Store, StoreFuture, Stored, Token, testing::MemoryStore,
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
    /// The link is lost, and back at once: what was told meanwhile was missed.
    Blink,
    /// The store loses all that it holds.
    Forget,
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
        match random.random_range(0..240) {
            0..20 => Whim::Refuse,
            20..40 => Whim::DoAndFail,
            40..60 => Whim::DoLate(random.random_range(1..200)),
            60 => Whim::Blink,
            61 => Whim::Forget,
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
            let (inner, no) = (self.inner.clone(), Err(Error::rejected("chaos", "no")));
            match self.whim() {
                Whim::Obey => call(inner).await,
                Whim::Refuse => no,
                Whim::Blink => {
                    inner.cut();
                    tokio::task::yield_now().await;
                    inner.restore();
                    no
                }
                Whim::Forget => {
                    inner.flush();
                    call(inner).await
                }
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

    fn health(&self) -> &Arc<Health> {
        self.inner.health()
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

    fn remove_matching<'a>(
        &'a self,
        cache: &'a str,
        pattern: &'a Pattern,
        step: Duration,
    ) -> StoreFuture<'a, u64> {
        let (cache, pattern) = (cache.to_owned(), pattern.clone());
        self.act(move |inner| async move { inner.remove_matching(&cache, &pattern, step).await })
    }

    fn epochs<'a>(&'a self, cache: &'a str, marks: &'a [Mark<'a>]) -> StoreFuture<'a, Vec<Epoch>> {
        let (cache, marks) = (cache.to_owned(), owned(marks.iter().copied()));
        self.act(move |inner| async move {
            let marks: Vec<_> = marks.iter().map(OwnMark::lent).collect();
            inner.epochs(&cache, &marks).await
        })
    }

    fn renew<'a>(&'a self, cache: &'a str, epochs: &'a [(Mark<'a>, Epoch)]) -> StoreFuture<'a, ()> {
        let cache = cache.to_owned();
        let marks = owned(epochs.iter().map(|(mark, _)| *mark));
        let epochs: Vec<_> = epochs.iter().map(|(_, epoch)| *epoch).collect();
        self.act(move |inner| async move {
            let marks = marks.iter().map(OwnMark::lent);
            let renewed: Vec<_> = marks.zip(epochs).collect();
            inner.renew(&cache, &renewed).await
        })
    }

    fn heartbeat<'a>(&'a self, cache: &'a str, limit: Duration) -> StoreFuture<'a, Heartbeat> {
        self.inner.heartbeat(cache, limit)
    }

    fn listen(&self, cache: &str, listener: Weak<dyn Listener>) -> bool {
        self.inner.listen(cache, listener)
    }

    fn hush(&self, cache: &str, listener: &Weak<dyn Listener>) {
        self.inner.hush(cache, listener);
    }
}

enum OwnMark {
    Clear,
    Clock,
    Tag(String),
}

impl OwnMark {
    fn lent(&self) -> Mark<'_> {
        match self {
            Self::Clear => Mark::Clear,
            Self::Clock => Mark::Clock,
            Self::Tag(tag) => Mark::Tag(tag),
        }
    }
}

fn owned<'a>(marks: impl Iterator<Item = Mark<'a>>) -> Vec<OwnMark> {
    let own = |mark: Mark<'_>| match mark {
        Mark::Clear => OwnMark::Clear,
        Mark::Clock => OwnMark::Clock,
        Mark::Tag(tag) => OwnMark::Tag(tag.to_owned()),
    };
    marks.map(own).collect()
}
