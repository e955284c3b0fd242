//! The running simulator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::SimError;
use crate::fault::Fault;
use crate::market::{Market, Replay};
use crate::options::{MarketSource, SimOptions, SimTime};
use crate::source::Source;
use crate::world::World;
use crate::{api, server};

/// A running simulator; dropping it ends its server and every connection to it.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    /// `None` for one that listens nowhere.
    server: Option<JoinHandle<()>>,
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
        let market = market(options.seed, options.market)?;
        let refused = |source| SimError::Listen {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let world = Arc::new(World::new(market, options.time, address));
        let server = tokio::spawn(server::run(listener, api::routes(Arc::clone(&world))));
        Ok(Self {
            world,
            server: Some(server),
        })
    }

    /// A simulator that listens nowhere: [`router`](Self::router) is the way to it. Needs no runtime.
    ///
    /// Errors: the candles cannot be read.
    ///
    /// ```
    /// use market_sim::{SimOptions, Simulator};
    ///
    /// let simulator = Simulator::offline(SimOptions::default())?;
    /// assert_eq!(simulator.address().port(), 0);
    /// # Ok::<(), market_sim::SimError>(())
    /// ```
    pub fn offline(options: SimOptions) -> Result<Self, SimError> {
        let market = market(options.seed, options.market)?;
        let world = Arc::new(World::new(market, options.time, options.address));
        Ok(Self {
            world,
            server: None,
        })
    }

    /// Everything that is served, as a service to be called in this process.
    ///
    /// A request's path is what a client would ask the listener for, such as
    /// `/binance/api/v3/time`. Faults, counters and limits are as over a socket, but for two things:
    /// streams are refused with 426, and a reset is an error of the body. Under
    /// [`SimTime::SteppedFrom`] a late answer comes when [`step`](Self::step) was called often enough.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use market_sim::{SimOptions, SimTime, Simulator};
    /// use tower_service::Service;
    ///
    /// let simulator = Simulator::offline(SimOptions {
    ///     time: SimTime::SteppedFrom("2025-03-14T00:00:00Z".parse()?),
    ///     ..SimOptions::default()
    /// })?;
    /// let request = hyper::Request::get("/fng/fng/").body(axum::body::Body::empty())?;
    /// assert_eq!(simulator.router().call(request).await?.status(), 200);
    /// simulator.step(Duration::from_secs(86_400));
    /// # Ok(())
    /// # }
    /// ```
    pub fn router(&self) -> Router {
        api::routes(Arc::clone(&self.world))
    }

    /// The address it listens on, or would.
    pub fn address(&self) -> SocketAddr {
        self.world.address()
    }

    /// What belongs into `BINANCE_BASE_URL`.
    pub fn binance_url(&self) -> String {
        self.world.source_url(Source::Binance)
    }

    /// What belongs into `COINGECKO_BASE_URL`.
    pub fn coingecko_url(&self) -> String {
        self.world.source_url(Source::CoinGecko)
    }

    /// What belongs into `FNG_BASE_URL`.
    pub fn fng_url(&self) -> String {
        self.world.source_url(Source::Fng)
    }

    /// What belongs into `BINANCE_WS_URL`, beginning with `ws://`.
    pub fn binance_ws_url(&self) -> String {
        self.world.source_url(Source::BinanceWs)
    }

    /// What belongs into `TAAPI_BASE_URL`.
    pub fn taapi_url(&self) -> String {
        self.world.source_url(Source::Taapi)
    }

    /// What belongs into `CMC_BASE_URL`.
    pub fn cmc_url(&self) -> String {
        self.world.source_url(Source::Cmc)
    }

    /// What belongs into `COINBASE_BASE_URL`.
    pub fn coinbase_url(&self) -> String {
        self.world.source_url(Source::Coinbase)
    }

    /// What belongs into `KRAKEN_BASE_URL`.
    pub fn kraken_url(&self) -> String {
        self.world.source_url(Source::Kraken)
    }

    /// What belongs into `FINNHUB_BASE_URL`.
    pub fn finnhub_url(&self) -> String {
        self.world.source_url(Source::Finnhub)
    }

    /// The address of the control routes; a GET of it describes them.
    pub fn control_url(&self) -> String {
        self.world.url("control")
    }

    /// Calls so far per endpoint, such as `binance /api/v3/klines`; failed ones count too.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.world.calls()
    }

    /// Calls so far of a source, over all its endpoints; failed ones count too.
    ///
    /// ```
    /// use market_sim::{SimOptions, Simulator, Source};
    ///
    /// let simulator = Simulator::offline(SimOptions::default())?;
    /// assert_eq!(simulator.calls_of(Source::Kraken), 0);
    /// # Ok::<(), market_sim::SimError>(())
    /// ```
    pub fn calls_of(&self, source: Source) -> u64 {
        self.world.calls_of(source)
    }

    /// Streams that are open now; those that [`drop_streams`](Self::drop_streams) ends are gone a
    /// moment later.
    ///
    /// ```
    /// use market_sim::{SimOptions, Simulator};
    ///
    /// let simulator = Simulator::offline(SimOptions::default())?;
    /// simulator.announce_shutdown();
    /// simulator.drop_streams();
    /// assert_eq!(simulator.open_streams(), 0);
    /// # Ok::<(), market_sim::SimError>(())
    /// ```
    pub fn open_streams(&self) -> usize {
        self.world.open_streams()
    }

    /// Ends every open stream without a word.
    pub fn drop_streams(&self) {
        self.world.drop_streams();
    }

    /// Has every open stream announce its end (`serverShutdown`); it stays open all the same.
    pub fn announce_shutdown(&self) {
        self.world.announce_shutdown();
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

    /// Forgets faults, calls, used weight and attempts to open streams; the clock stays.
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

    /// Lets this much time pass at once: for the present, and for limits, bans and streams.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), market_sim::SimError> {
    /// use std::time::Duration;
    /// use market_sim::{SimOptions, Simulator};
    ///
    /// let simulator = Simulator::start(SimOptions::default()).await?;
    /// simulator.step(Duration::from_secs(3_600));
    /// # Ok(())
    /// # }
    /// ```
    pub fn step(&self, time: Duration) {
        // What no signed duration can hold is beyond the last moment there is, too.
        let step = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        self.world.step_time(step);
    }

    /// Ends the server; when this returns the port is free and every connection is closed.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // The error says that the task was aborted, as ordered.
            let _ = server.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

fn market(seed: u64, source: MarketSource) -> Result<Market, SimError> {
    let replay = match source {
        MarketSource::Seeded => None,
        MarketSource::Candles(path) => Some(Replay::read(&path)?),
    };
    Ok(Market::new(seed, replay))
}
