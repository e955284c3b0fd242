#![doc = include_str!("../docs/crate.md")]

// The face.
mod cache;
mod builder;

// The walks, and what they work on.
mod read;
mod lead;
mod lease;
mod vouch;
mod write;
mod group;
mod listen;
mod recover;
mod core;

// The mechanisms.
mod flight;
mod gate;
mod proof;
mod tags;
mod pending;
mod trail;
mod remote;
mod hit_rate;
mod seal;

// The edges.
mod local;
mod store;

// The vocabulary.
mod entry;
mod options;
mod key;
mod tag;
mod pattern;
mod envelope;
mod codec;
mod breaker;
mod stats;
mod clock;
mod error;

#[cfg(feature = "testing")]
pub mod testing;

pub mod guide;

pub use crate::{
    builder::Builder,
    cache::Cache,
    clock::Clock,
    codec::{Codec, Postcard},
    entry::{Entry, Source},
    envelope::Token,
    error::{BoxError, Error},
    group::Removed,
    key::{MAX_KEY_BYTES, Slot},
    local::Policy,
    options::{Coherence, EntryOptions, Loaded, MAX_LIFE},
    pattern::{MAX_GLOB_BYTES, Pattern},
    stats::{Stats, StoreState},
    store::{
        Changed, Fill, FillOutcome, Gap, Health, Hearing, Heartbeat, Lease, LeaseRequest, Listener,
        Store, StoreFuture, Stored, Writing,
    },
    tag::{Epoch, MAX_TAG_BYTES, MAX_TAGS, Mark},
    write::Written,
};

#[cfg(feature = "json")]
pub use crate::codec::Json;
#[cfg(feature = "redis")]
pub use crate::store::redis::RedisStore;

/// The README's example, so that it compiles and runs.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
