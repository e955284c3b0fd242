//! Market figures: where they come from, what was made of them, and the summary that is served.

pub mod service;

mod round;

mod binance;
mod coingecko;
mod fear_greed;

mod upstream;

mod health;
mod ledger;
mod retry;

pub mod answer;
pub mod candles;
mod checked;
mod error;
pub mod figure;
pub mod rsi;
pub mod summary;
pub mod symbol;

pub(crate) use ledger::LONGEST_HARD_TIME;
pub(crate) use round::{Outcome, ROUND_LIMIT};
