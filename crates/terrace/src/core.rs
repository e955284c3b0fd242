//! What the walks work on: the parts of one cache, put together once.

use std::{
    fmt,
    sync::{Arc, Once},
    time::Duration,
};

use parking_lot::Mutex;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    entry::{Entry, Record},
    envelope::Token,
    error::Error,
    flight::Flights,
    gate::{ClosedAll, Gate, Guarded, Ticket},
    key::check_key,
    local::{Bound, Local},
    options::EntryOptions,
    pending::{Ghosts, Pending},
    remote::Remote,
    stats::{Counters, Stats},
};

/// What a flight brings home.
pub(crate) type Outcome<V> = Result<Entry<V>, Error>;

/// What an entry weighs in L1.
pub(crate) type Weigher<V> = Box<dyn Fn(&str, &V) -> u32 + Send + Sync>;

pub(crate) struct Core<V: Send + Sync + 'static> {
    pub(crate) name: Arc<str>,
    /// L1. Changed only through `gate`.
    pub(crate) local: Arc<Local<V>>,
    pub(crate) gate: Arc<Gate<Local<V>>>,
    pub(crate) flights: Arc<Flights<Ticket, Outcome<V>>>,
    pub(crate) remote: Option<Remote<V>>,
    pub(crate) pending: Pending,
    /// Leases that are to be given back when the store answers again.
    pub(crate) ghosts: Ghosts<Token>,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) defaults: EntryOptions,
    pub(crate) longest_stay: Option<Duration>,
    pub(crate) bound: Bound,
    pub(crate) weigher: Option<Weigher<V>>,
    /// How long a `set` may hold a key's lease between its two round trips.
    pub(crate) set_hold: Duration,
    /// Loads and writes that outlive their callers.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// A store that refuses does so often: the log hears of it once.
    pub(crate) not_stored: Once,
    /// Once closed, a cache never lets anything in again.
    pub(crate) shut: Mutex<Option<ClosedAll<Local<V>>>>,
}

impl<V: Send + Sync + 'static> Core<V> {
    /// Tells this cache from every other that lives.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(&*self.name).addr()
    }

    /// A key for the slow path: checked here, once. An unchecked one cannot be in L1.
    pub(crate) fn admit(&self, key: &str) -> Result<Arc<str>, Error> {
        if self.stop.is_cancelled() {
            return Err(Error::closed());
        }
        check_key(key)?;
        Ok(Arc::from(key))
    }

    /// The record as L1 would hold it.
    pub(crate) fn hold(&self, key: &str, mut record: Record<V>) -> Arc<Record<V>> {
        // An engine lets entries of weight 0 pile up without bound.
        let weigh = |weigher: &Weigher<V>| weigher(key, record.value()).max(1);
        let weight = self.weigher.as_ref().map_or(1, weigh);
        record.enter(self.clock.now(), self.longest_stay, weight);
        Arc::new(record)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            pending: u64::try_from(self.pending.len()).unwrap_or(u64::MAX),
            entries: self.local.len(),
            capacity: self.bound.limit(),
            store: self.remote.as_ref().map(Remote::state),
            ..self.counters.snapshot()
        }
    }

    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let shut = self.gate.close_all();
        self.shut.lock().get_or_insert(shut);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl<V: Send + Sync + 'static> Drop for Core<V> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<V: Send + Sync + 'static> Guarded for Local<V> {
    type Held = Arc<Record<V>>;

    fn take(&self, key: &str) -> Option<Self::Held> {
        self.remove(key)
    }

    fn drop_all(&self) {
        self.clear();
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Core<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name)
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}
