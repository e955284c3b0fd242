//! The service's caches: the one room that makes keys and owns terrace caches.

pub mod manager;
pub(crate) mod plan;

pub mod keys;
mod tally;
