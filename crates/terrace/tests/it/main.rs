//! Behaviour of terrace, through its public face, with real Redis servers.

mod chaos;
mod redis_server;
mod rig;
mod staged;

mod faults;
mod flights;
mod pending;
mod races;
mod redis_values;
