#![doc = include_str!("../docs/crate.md")]

// The face.
mod cache;
mod builder;

// The walks, and what they work on.
mod read;
mod lead;
mod lease;
mod write;
mod listen;
mod core;

// The mechanisms.
mod flight;
mod gate;
mod pending;
mod trail;
mod remote;

// The edges.
mod local;
mod store;

// The vocabulary.
mod entry;
mod options;
mod key;
mod envelope;
mod codec;
mod breaker;
mod stats;
mod clock;
mod error;

#[cfg(feature = "testing")]
pub mod testing;

pub use crate::{
    builder::Builder,
    cache::Cache,
    clock::Clock,
    codec::{Codec, Postcard},
    entry::{Entry, Source},
    envelope::Token,
    error::{BoxError, Error},
    key::{MAX_KEY_BYTES, Slot},
    local::Policy,
    options::{EntryOptions, Loaded, MAX_LIFE},
    stats::{Stats, StoreState},
    store::{Fill, FillOutcome, Lease, LeaseRequest, Store, StoreFuture, Stored},
    write::{Cleared, Written},
};

#[cfg(feature = "json")]
pub use crate::codec::Json;
#[cfg(feature = "redis")]
pub use crate::store::redis::RedisStore;

/// The README's example, so that it compiles and runs.
#[cfg(all(doctest, feature = "redis"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
