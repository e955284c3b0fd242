//! Behaviour of terrace, through its public face, with real Redis servers.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in its helpers too"
)]

mod chaos;
mod proxy;
mod redis_server;
mod rig;

mod age_check;
mod bad_input;
mod coherence_required;
mod counts;
mod degraded;
mod doubles;
mod evictions;
mod faults;
mod fences;
mod flights;
mod foreign_code;
mod gaps;
mod group_keys;
mod groups;
mod groups_pending;
mod guards;
mod heartbeats;
mod leases;
mod lives;
mod model;
mod news;
mod no_local;
mod outages;
mod pages;
mod pending;
mod policy;
mod races;
mod recovery;
mod redis_keys;
mod redis_values;
mod refreshes;
mod rules;
mod refusals;
mod replies;
mod rights;
mod tidy;
mod transports;
mod two_processes;
mod windows;
