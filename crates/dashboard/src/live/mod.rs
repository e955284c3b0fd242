//! Live updates: who makes them, and where clients wait for them.

pub mod refresher;

pub mod hub;
