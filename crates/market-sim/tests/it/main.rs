//! The simulator, driven over HTTP as its users drive it.

mod rig;

mod binance_errors;
mod candles;
mod control;
mod faults;
mod klines;
mod market;
mod program;
mod shapes;
mod weight;
