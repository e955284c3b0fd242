//! The simulator, driven over HTTP as its users drive it.

#![allow(
    clippy::unwrap_used,
    reason = "the rig and its checks are test code outside test functions"
)]

mod rig;
mod shape;

mod binance_errors;
mod candles;
mod coingecko;
mod control;
mod faults;
mod klines;
mod market;
mod program;
mod shapes;
mod weight;
