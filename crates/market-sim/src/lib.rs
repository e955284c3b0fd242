//! Loopback simulator of the market APIs that the dashboard reads.
//!
//! One listener on 127.0.0.1 answers as Binance spot, CoinGecko and alternative.me, in the
//! documented shapes and from one seeded market, so that every endpoint agrees with the others.
//! Faults are put in per source and every call is counted, by the library or over HTTP.
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

mod simulator;

mod error;
mod fault;
mod options;

mod api;
mod server;
mod wire;
mod world;

mod amount;
mod clock;
mod coin;
mod market;
mod noise;

pub use error::SimError;
pub use fault::{Fault, FaultKind, Poison, RetryAfter, Source};
pub use options::{MarketSource, SimOptions, SimTime};
pub use simulator::Simulator;
