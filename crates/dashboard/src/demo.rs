//! The demo: the simulator in this process, and settings that lead to it and nowhere else.

use market_sim::{SimError, SimOptions, Simulator};
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    config::Config,
    setting::{BaseUrl, StreamUrl},
};

/// Letters and digits of a token that the demo makes up: some 190 bits.
const TOKEN_LENGTH: usize = 32;

/// A running simulator and the settings of a dashboard that shows it.
#[derive(Debug)]
pub struct Demo {
    /// What to serve with.
    pub config: Config,
    /// Ends with this value.
    pub simulator: Simulator,
}

/// The simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It could not listen.
    #[error("starting the simulated market")]
    Simulator(#[from] SimError),
    /// It named an address that cannot be asked.
    #[error("the simulated market is at an address that cannot be asked: it takes {0}")]
    Address(&'static str),
}

impl Demo {
    /// Starts the simulator, points the settings at it and makes up an admin token if there is none.
    ///
    /// # Errors
    /// When the simulator cannot listen on the loopback address.
    pub async fn start(mut config: Config) -> Result<Self, DemoError> {
        let simulator = Simulator::start(SimOptions::default()).await?;
        lead_to(&mut config, &simulator)?;
        let key = |text: &str| Some(SecretString::from(text));
        config.taapi_secret = key(market_sim::keys::TAAPI_SECRET);
        config.cmc_api_key = key(market_sim::keys::CMC_API_KEY);
        config.coingecko_api_key = key(market_sim::keys::COINGECKO_API_KEY);
        config.finnhub_api_key = key(market_sim::keys::FINNHUB_API_KEY);
        config.admin_token.get_or_insert_with(made_up_token);
        Ok(Self { config, simulator })
    }

    /// What a person at the terminal wants to know.
    pub fn greeting(&self, address: std::net::SocketAddr) -> String {
        let token = self
            .config
            .admin_token
            .as_ref()
            .map_or("", |token| token.expose_secret());
        format!(
            "\
Simulated market data, made up in this process. Nothing here is a real price.

  Dashboard    http://{address}/
  Summary      http://{address}/api/crypto/dashboard-summary
  Admin token  {token}
  Simulator    {control}

Off in the demo, and how to turn it on:
  live prices   run `cargo run --release -- serve` (no key is needed)
  Redis         run `cargo run --release -- serve` with REDIS_URL=redis://127.0.0.1:6379
  your token    set ADMIN_TOKEN, at least 32 characters

Press Ctrl-C to stop.",
            control = self.simulator.control_url(),
        )
    }
}

/// Points every source's address at the simulator.
///
/// # Errors
/// When it is at an address that cannot be asked.
pub fn lead_to(config: &mut Config, simulator: &Simulator) -> Result<(), DemoError> {
    let at = |url: String| BaseUrl::parse(&url).map_err(DemoError::Address);
    config.binance = at(simulator.binance_url())?;
    let stream = StreamUrl::parse(&simulator.binance_ws_url());
    config.binance_ws = stream.map_err(DemoError::Address)?;
    config.coingecko = at(simulator.coingecko_url())?;
    config.fng = at(simulator.fng_url())?;
    config.taapi = at(simulator.taapi_url())?;
    config.cmc = at(simulator.cmc_url())?;
    config.coinbase = at(simulator.coinbase_url())?;
    config.kraken = at(simulator.kraken_url())?;
    config.finnhub = at(simulator.finnhub_url())?;
    Ok(())
}

fn made_up_token() -> SecretString {
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    let token: String = (0..TOKEN_LENGTH)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect();
    token.into()
}
