//! Behaviour of terrace, through its public face, with real Redis servers.

mod chaos;
mod proxy;
mod redis_server;
mod rig;
mod staged;

mod bad_input;
mod faults;
mod flights;
mod lives;
mod model;
mod pending;
mod policy;
mod races;
mod redis_values;
mod transports;
mod two_processes;
