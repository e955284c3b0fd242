//! The simulator, driven over HTTP as its users drive it.

#![allow(
    clippy::unwrap_used,
    reason = "the rig and its checks are test code outside test functions"
)]

mod calls;
mod rig;
mod shape;
mod stream_rig;

mod candles;
mod klines;
mod market;
mod time;

mod binance_errors;
mod coingecko;
mod figures;
mod shapes;
mod taapi;
mod venues;
mod weight;

mod stream_life;
mod stream_requests;
mod streams;

mod control;
mod every_source;
mod faults;
mod poison;

mod program;
