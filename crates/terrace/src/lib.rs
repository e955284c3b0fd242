//! stub docs

mod builder;
mod cache;

mod core;
mod lead;
mod listen;
mod read;
mod write;

mod flight;
mod gate;
mod pending;
mod remote;
mod trail;

mod local;
mod store;

mod breaker;
mod clock;
mod codec;
mod entry;
mod envelope;
mod error;
mod key;
mod options;
mod stats;

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
