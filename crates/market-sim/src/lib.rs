//! Loopback simulator of the market APIs that the dashboard reads.
//!
//! One listener on 127.0.0.1 answers as Binance spot (with its streams), CoinGecko, alternative.me,
//! TAAPI.io, CoinMarketCap, Finnhub, Coinbase Exchange and Kraken, in the documented shapes and from
//! one seeded market, so that every endpoint agrees with the others. Faults are put in per source
//! and every call is counted, by the library or over HTTP; [`keys`] has the keys that are taken.
//!
//! ```
//! use market_sim::{Fault, FaultKind, SimOptions, Simulator, Source};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), market_sim::SimError> {
//! let simulator = Simulator::start(SimOptions::default()).await?;
//! assert!(simulator.binance_url().ends_with("/binance"));
//! assert!(simulator.calls().is_empty());
//!
//! simulator.inject(Source::Binance, Fault::always(FaultKind::Hang));
//! simulator.reset();
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Without sockets, and in a time that goes on only when it is stepped, [`Simulator::offline`] and
//! [`Simulator::router`] answer requests as a plain `tower` service.

mod simulator;

mod error;
mod fault;
pub mod keys;
mod options;
mod source;

mod api;
mod queue;
mod server;
mod wire;
mod world;

mod indicator;
mod scene;
mod totals;

mod amount;
mod clock;
mod coin;
mod listing;
mod market;
mod noise;
mod window;

pub use error::SimError;
pub use fault::{Fault, FaultKind, Poison, RetryAfter};
pub use options::{MarketSource, SimOptions, SimTime};
pub use simulator::Simulator;
pub use source::Source;
