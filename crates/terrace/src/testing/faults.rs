//! Which calls of a store are to fare how.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use crate::testing::hold::Hold;

/// A kind of call, by the method of [`Store`](crate::Store) that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Call {
    /// A look at what is stored: the usual read of L2.
    Get,
    /// The right to load: before a loader runs.
    Lease,
    /// The first of the two round trips of a `set`.
    Force,
    /// The second of a `set`, and the store of what was loaded.
    Fill,
    /// A lease that goes back unused.
    Release,
    /// A `remove` of one key.
    Remove,
    /// A `remove_prefix` or `remove_matching`.
    RemoveMatching,
    /// A read of the epochs of tags and of the last `clear`.
    Epochs,
    /// A `remove_tag` or `clear`.
    Renew,
    /// What the cache asks in the background, and by which it learns that the
    /// store is back.
    Heartbeat,
}

impl Call {
    /// The calls of this kind about one key. Those about tags, patterns and
    /// nothing at all have no key.
    pub fn of(self, key: impl Into<String>) -> Calls {
        Calls {
            call: Some(self),
            key: Some(key.into()),
        }
    }

    /// What an error says was tried.
    pub(super) fn attempt(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// Some of the calls that a store gets: [`all`](Self::all), all of a kind
/// (a [`Call`] is that), or those of a kind about one key ([`Call::of`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Calls {
    call: Option<Call>,
    key: Option<String>,
}

impl Calls {
    /// Every call, heartbeats among them.
    pub fn all() -> Self {
        Self {
            call: None,
            key: None,
        }
    }

    fn are(&self, call: Call, key: Option<&str>) -> bool {
        self.call.is_none_or(|own| own == call)
            && self.key.as_deref().is_none_or(|own| Some(own) == key)
    }
}

impl From<Call> for Calls {
    fn from(call: Call) -> Self {
        Self {
            call: Some(call),
            key: None,
        }
    }
}

/// What becomes of a call.
///
/// | fault | done? | the cache sees | use it for |
/// |---|---|---|---|
/// | `Refused` | no | [`Error::rejected`](crate::Error::rejected) | a full or read-only store, no permission: writes fail, reads go on |
/// | `Unreachable` | no | [`Error::unavailable`](crate::Error::unavailable) | a store that is down: the breaker opens, what you serve in an outage |
/// | `Panics` | no | a panic inside the call | a store of your own with a bug: what else stands still then |
/// | `Hangs` | no | its deadline | a half-open link: what your callers wait, `store_timeout` |
/// | `Unanswered` | yes | `Error::unavailable` | the outcome nobody knows: was it written? |
/// | `AnswerHeld` | yes | the answer, later | something else happens between a call and its answer |
/// | `Late` | later | the answer, if it still waits | the late write: it arrives after its writer gave up |
/// | `Delayed` | later | the answer, later | a slow network |
///
/// Writers report what happened; readers never see a store's error:
///
/// ```
/// # use terrace::{Cache, testing::{Call, Calls, Fault, Faulty, MemoryStore}};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// let store = Faulty::over(MemoryStore::new());
/// let faults = store.faults().clone();
/// let cache: Cache<u8> = Cache::builder("numbers").store(store).build()?;
///
/// faults.always(Calls::all(), Fault::Unreachable);
/// assert!(cache.set("one", 1).await.is_err_and(|error| error.is_store()));
/// let one = cache.get_or_load("one", || async { Ok::<u8, std::io::Error>(1) }).await?;
/// assert!(!one.proven());
/// # Ok(()) }
/// ```
///
/// A removal whose answer is lost has happened, and is reported all the same:
///
/// ```
/// # use terrace::{Cache, testing::{Call, Fault, Faulty, MemoryStore}};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// # let store = Faulty::over(MemoryStore::new());
/// # let (memory, faults) = (store.inner().clone(), store.faults().clone());
/// # let cache: Cache<u8> = Cache::builder("numbers").store(store).build()?;
/// cache.set("one", 1).await?;
/// faults.once(Call::Remove, Fault::Unanswered);
/// assert!(cache.remove("one").await.is_err());
/// assert!(memory.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: for an exception from a wider rule.
    Passes,
    /// The store answers that it does not do it.
    Refused,
    /// The store cannot be asked.
    Unreachable,
    /// The store's own code is broken, and panics; nothing is done.
    Panics,
    /// Nothing is done, and nobody ever answers.
    Hangs,
    /// It is done, and the connection is lost before the answer.
    Unanswered,
    /// It is done, and answered once the hold is released.
    AnswerHeld(Hold),
    /// It is done once the hold is released, whether or not its caller still waits.
    Late(Hold),
    /// It is done after this time (of Tokio, which tests can pause), whether or not
    /// its caller still waits.
    Delayed(Duration),
}

/// Decides what becomes of the calls of a [`Faulty`](super::Faulty) store, and
/// counts them. A clone decides for the same store.
///
/// A call takes the first rule made by [`once`](Self::once) that is about it; else
/// the last one made by [`always`](Self::always); else it passes.
///
/// ```
/// # use terrace::{Cache, testing::{Call, Calls, Fault, Faulty, MemoryStore}};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
/// let store = Faulty::over(MemoryStore::new());
/// let faults = store.faults().clone();
/// let cache: Cache<u8> = Cache::builder("numbers").store(store).build()?;
///
/// faults.always(Call::Remove.of("one"), Fault::Refused);
/// assert!(cache.remove("one").await.is_err());
/// assert!(cache.remove("two").await.is_ok());
/// assert_eq!(faults.calls(Call::Force), 0);
/// faults.heal();
/// assert!(cache.remove("one").await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    /// Oldest first; each is for one call.
    once: Vec<(Calls, Fault)>,
    /// Oldest first; no two about the same calls.
    always: Vec<(Calls, Fault)>,
    calls: HashMap<Call, u64>,
}

impl Faults {
    /// From now on these calls fare so, until told otherwise.
    pub fn always(&self, calls: impl Into<Calls>, fault: Fault) {
        let calls = calls.into();
        let mut script = self.0.lock();
        script.always.retain(|(others, _)| *others != calls);
        script.always.push((calls, fault));
    }

    /// The next of these calls fares so. Several wait for their turn: to fail the
    /// second, let the first one [pass](Fault::Passes).
    pub fn once(&self, calls: impl Into<Calls>, fault: Fault) {
        self.0.lock().once.push((calls.into(), fault));
    }

    /// From now on everything passes. What is at a hold stays there.
    pub fn heal(&self) {
        let mut script = self.0.lock();
        script.once.clear();
        script.always.clear();
    }

    /// How many calls of a kind have begun, whatever became of them.
    pub fn calls(&self, call: Call) -> u64 {
        self.0.lock().calls.get(&call).copied().unwrap_or(0)
    }

    pub(super) fn decide(&self, call: Call, key: Option<&str>) -> Fault {
        let mut script = self.0.lock();
        *script.calls.entry(call).or_default() += 1;
        let next = script
            .once
            .iter()
            .position(|(calls, _)| calls.are(call, key));
        if let Some(at) = next {
            return script.once.remove(at).1;
        }
        let mut rules = script.always.iter().rev();
        let rule = rules.find(|(calls, _)| calls.are(call, key));
        rule.map_or(Fault::Passes, |(_, fault)| fault.clone())
    }
}
