//! The simulator, driven over HTTP as its users drive it.

#![allow(
    clippy::unwrap_used,
    reason = "the rig and its checks are test code outside test functions"
)]

mod rig;
mod shape;
mod stream_rig;

mod binance_errors;
mod candles;
mod coingecko;
mod control;
mod faults;
mod figures;
mod klines;
mod market;
mod program;
mod shapes;
mod stream_life;
mod streams;
mod taapi;
mod venues;
mod weight;
