//! Test doubles for users of terrace. Feature `testing`, for dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! terrace = { version = "0.1", features = ["testing"] }
//! ```
//!
//! Nothing here starts a server or opens a socket. The doubles are the ones that
//! terrace is tested with itself.
//!
//! | to test | take |
//! |---|---|
//! | what your code does with hits, misses and stale values | a cache without a store, and [`ManualClock`] |
//! | several processes | one [`MemoryStore`], and a [`sibling`](MemoryStore::sibling) for each |
//! | an outage, a lost connection, a half-open link | [`cut`](MemoryStore::cut), [`freeze`](MemoryStore::freeze), [`deafen`](MemoryStore::deafen), [`restore`](MemoryStore::restore) |
//! | a store that lost its contents | [`flush`](MemoryStore::flush) |
//! | one kind of call that fails, hangs or comes late | [`Faulty`] |
//! | whether the contract was kept in a long random run | [`history`] |
//!
//! # Time
//!
//! A [`ManualClock`] moves what entries live by: ttl, stale windows, the lives of a
//! [`MemoryStore::with_clock`]. Build both with it, or they disagree.
//!
//! ```
//! # use terrace::{Cache, EntryOptions, testing::{ManualClock, MemoryStore}};
//! # use std::time::Duration;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
//! let minutes = |count: u64| Duration::from_secs(60 * count);
//! let time = ManualClock::new();
//! let cache: Cache<u8> = Cache::builder("numbers")
//!     .store(MemoryStore::with_clock(time.clock()))
//!     .clock(time.clock())
//!     .defaults(EntryOptions::ttl(minutes(10)))
//!     .max_staleness(minutes(60)) // longer than the steps below
//!     .build()?;
//! cache.set("one", 1).await?;
//! time.advance(minutes(9));
//! assert_eq!(cache.peek("one").map(|one| *one), Some(1));
//! time.advance(minutes(1));
//! assert!(cache.get("one").await?.is_none());
//! # Ok(()) }
//! ```
//!
//! What a cache does in the background runs in real time (Tokio's, which its `start_paused`
//! can pause): heartbeats, deadlines, leases being waited for. **A hit is proven by
//! heartbeats**, so a step of the clock that is longer than `max_staleness` leaves L1 with
//! values that nobody vouches for: `peek` finds nothing, and the other verbs ask the
//! store again, which is what would happen if the process had been stopped that long.
//! Either choose a `max_staleness` longer than the test's steps, as above, or read
//! with `get` and `get_or_load`. A cache without a store has nothing to prove.
//!
//! # Processes
//!
//! Two caches over siblings behave as in two processes: each has its own L1, and hears
//! of what the other changes. Clones of a store are one link, and a link serves
//! one cache of a name.
//!
//! ```
//! # use terrace::{Cache, testing::MemoryStore};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
//! let memory = MemoryStore::new();
//! let link = memory.sibling(); // kept, to cut it
//! let here: Cache<u8> = Cache::builder("numbers").store(link.clone()).build()?;
//! let there: Cache<u8> = Cache::builder("numbers").store(memory.sibling()).build()?;
//!
//! here.set("one", 1).await?;
//! link.cut();
//! there.remove("one").await?; // `here` does not hear of it …
//! let one = here.get("one").await?.expect("it is served: availability is the default");
//! assert!(!one.proven()); // … and says so
//! link.restore();
//! assert!(here.get("one").await?.is_none());
//! # Ok(()) }
//! ```
//!
//! # Waiting
//!
//! A test that waits by sleeping is slow, or wrong on a busy machine. Wait for what you mean:
//! [`Hold::reached`] for a call that has arrived, [`Hold::release`] for a late one that
//! is done, [`Faults::calls`] and [`Cache::stats`](crate::Cache::stats) for what has
//! happened. Give a loader a latch of your own, to have something happen in the
//! middle of a load.

mod manual_clock;
mod memory_store;
mod faulty;
mod faults;
mod hold;
mod own_mark;
pub mod history;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

pub use self::{
    faults::{Call, Calls, Fault, Faults},
    faulty::Faulty,
    hold::Hold,
    manual_clock::ManualClock,
    memory_store::MemoryStore,
};
