//! Test doubles for users of terrace. Feature `testing`, for dev-dependencies.

mod manual_clock;
mod memory_store;

pub use self::{manual_clock::ManualClock, memory_store::MemoryStore};
