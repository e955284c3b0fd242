//! What shows that terrace keeps its contract: the protocol as a model that is
//! searched exhaustively, harnesses that run real processes against a real Redis,
//! and mutants that each of them must catch.

// The model, searched by machine.
pub mod model;

// The commands, each ending in tables.
pub mod prove;
pub mod converge;
pub mod history_run;
pub mod chaos;
pub mod mutants;
pub mod scenario;

// What they stand on: worker processes, a source, a Redis, a bad network.
mod field;
mod nemesis;
pub mod worker;

// Pure parts.
pub mod history;
pub mod table;
mod clock;

#[path = "../../terrace/tests/it/proxy/mod.rs"]
mod proxy;
#[path = "../../terrace/tests/it/redis_server.rs"]
#[allow(dead_code)] // its users each need a part of it
mod redis_server;
#[cfg(test)]
mod proxy_modes;
