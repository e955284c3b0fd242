//! Behaviour of terrace, through its public face, with real Redis servers.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in its helpers too"
)]

mod chaos;
mod proxy;
mod redis_server;
mod rig;
mod staged;

mod bad_input;
mod counts;
mod degraded;
mod doubles;
mod faults;
mod flights;
mod foreign_code;
mod guards;
mod leases;
mod lives;
mod model;
mod outages;
mod pending;
mod policy;
mod races;
mod recovery;
mod redis_keys;
mod redis_values;
mod refreshes;
mod tidy;
mod transports;
mod two_processes;
mod windows;
