//! Market figures: where they come from, what was made of them, and the summary that is served.

pub mod service;

pub(crate) mod board;
mod round;
mod desk;

pub(crate) mod source;

mod upstream;
pub mod transport;

pub mod stream;

mod bucket;
mod health;
mod ledger;
mod retry;

pub mod answer;
pub mod bulletin;
mod batch;
pub mod candles;
mod checked;
mod error;
pub mod figure;
pub mod stock;
pub mod summary;
pub mod symbol;
pub mod technical;
pub mod ticker;

pub(crate) use ledger::LONGEST_HARD_TIME;
pub(crate) use round::{Outcome, ROUND_LIMIT};
pub(crate) use upstream::Credential;
