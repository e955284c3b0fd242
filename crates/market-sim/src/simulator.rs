//! The running simulator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::SimError;
use crate::fault::{Fault, Source};
use crate::market::{Market, Replay};
use crate::options::{MarketSource, SimOptions, SimTime};
use crate::world::World;
use crate::{api, server};

/// A running simulator; dropping it ends its server and every connection to it.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts a simulator on the current Tokio runtime; it is listening when this returns.
    ///
    /// Reads the candle file, if there is one, before it returns.
    ///
    /// Errors: the address cannot be bound, or the candles cannot be read.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), market_sim::SimError> {
    /// use market_sim::{SimOptions, Simulator};
    ///
    /// let simulator = Simulator::start(SimOptions::default()).await?;
    /// assert_ne!(simulator.address().port(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(options: SimOptions) -> Result<Self, SimError> {
        let replay = match &options.market {
            MarketSource::Seeded => None,
            MarketSource::Candles(path) => Some(Replay::read(path)?),
        };
        let refused = |source| SimError::Listen {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;

        let market = Market::new(options.seed, replay);
        let world = Arc::new(World::new(market, options.time, address));
        let server = tokio::spawn(server::run(listener, api::routes(Arc::clone(&world))));
        Ok(Self { world, server })
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.world.address()
    }

    /// What belongs into `BINANCE_BASE_URL`.
    pub fn binance_url(&self) -> String {
        self.world.url(Source::Binance.name())
    }

    /// What belongs into `COINGECKO_BASE_URL`.
    pub fn coingecko_url(&self) -> String {
        self.world.url(Source::CoinGecko.name())
    }

    /// What belongs into `FNG_BASE_URL`.
    pub fn fng_url(&self) -> String {
        self.world.url(Source::Fng.name())
    }

    /// The address of the control routes; a GET of it describes them.
    pub fn control_url(&self) -> String {
        self.world.url("control")
    }

    /// Calls so far per endpoint, such as `binance /api/v3/klines`; failed ones count too.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.world.calls()
    }

    /// Puts a fault at the end of the source's queue.
    ///
    /// # Panics
    ///
    /// If the fault asks for what cannot be done: a test that orders nothing by mistake would pass
    /// for the wrong reason. [`Fault::check`] says so beforehand, for faults that are not written
    /// by hand.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), market_sim::SimError> {
    /// use market_sim::{Fault, FaultKind, RetryAfter, SimOptions, Simulator, Source};
    ///
    /// let simulator = Simulator::start(SimOptions::default()).await?;
    /// let refused = FaultKind::Status { status: 429, retry_after: Some(RetryAfter::Seconds(5)) };
    /// simulator.inject(Source::CoinGecko, Fault { times: Some(3), ..Fault::always(refused) });
    /// # Ok(())
    /// # }
    /// ```
    pub fn inject(&self, source: Source, fault: Fault) {
        if let Err(error) = self.world.inject(source, fault) {
            panic!("{error}");
        }
    }

    /// Forgets faults, calls and used weight; the clock stays.
    pub fn reset(&self) {
        self.world.reset();
    }

    /// Sets the simulator's present.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use market_sim::{SimOptions, SimTime, Simulator};
    ///
    /// let simulator = Simulator::start(SimOptions::default()).await?;
    /// simulator.set_time(SimTime::FrozenAt("2021-05-19T12:00:00Z".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_time(&self, time: SimTime) {
        self.world.set_time(time);
    }

    /// Ends the server; when this returns the port is free and every connection is closed.
    pub async fn stop(mut self) {
        self.server.abort();
        // The error says that the task was aborted, as ordered.
        let _ = (&mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
