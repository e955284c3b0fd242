//! The simulator as a program.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use market_sim::{MarketSource, SimError, SimOptions, SimTime, Simulator, keys};

/// Exit code of a program that was called wrongly.
const USAGE: u8 = 2;

/// Loopback simulator of the market APIs.
#[derive(Debug, Parser)]
#[command(name = "market-sim")]
struct Arguments {
    /// Listen address; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:9900")]
    address: SocketAddr,
    /// Decides every simulated price
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// CSV of Binance day candles for BTCUSDT; time then stands at noon of the last one
    #[arg(long, value_name = "FILE")]
    candles: Option<PathBuf>,
    /// The present, as 2021-05-01T12:00:00Z; runs on from there
    #[arg(long, value_name = "TIMESTAMP")]
    at: Option<Timestamp>,
    /// Let the present stand still
    #[arg(long)]
    frozen: bool,
}

impl Arguments {
    fn into_options(self) -> Result<SimOptions, SimError> {
        let market = self
            .candles
            .map_or(MarketSource::Seeded, MarketSource::Candles);
        let time = match (self.at, self.frozen) {
            (Some(moment), true) => SimTime::FrozenAt(moment),
            (Some(moment), false) => SimTime::RunningFrom(moment),
            (None, is_frozen) => match market.last_noon()? {
                Some(noon) => SimTime::FrozenAt(noon),
                None if is_frozen => SimTime::FrozenAt(Timestamp::now()),
                None => SimTime::RealTime,
            },
        };
        Ok(SimOptions {
            seed: self.seed,
            address: self.address,
            market,
            time,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(refusal) if !refusal.use_stderr() => {
            // Help goes out whole; if standard output is closed nobody wanted it.
            let _ = refusal.print();
            return ExitCode::SUCCESS;
        }
        Err(refusal) => {
            let text = refusal.to_string();
            return complain(text.lines().next().unwrap_or("error: bad arguments"), USAGE);
        }
    };
    let started = match arguments.into_options() {
        Ok(options) => Simulator::start(options).await,
        Err(error) => Err(error),
    };
    let simulator = match started {
        Ok(simulator) => simulator,
        Err(error) => {
            let code = if matches!(error, SimError::Listen { .. }) {
                1
            } else {
                USAGE
            };
            return complain(&format!("error: {error}"), code);
        }
    };
    // Whoever closed standard output does not want the addresses.
    let _ = announce(&simulator);
    // An error means that signals cannot be had; the simulator then ends at once, not never.
    let _ = tokio::signal::ctrl_c().await;
    simulator.stop().await;
    ExitCode::SUCCESS
}

fn announce(simulator: &Simulator) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "BINANCE_BASE_URL={}", simulator.binance_url())?;
    writeln!(out, "COINGECKO_BASE_URL={}", simulator.coingecko_url())?;
    writeln!(out, "FNG_BASE_URL={}", simulator.fng_url())?;
    writeln!(out, "BINANCE_WS_URL={}", simulator.binance_ws_url())?;
    writeln!(out, "TAAPI_BASE_URL={}", simulator.taapi_url())?;
    writeln!(out, "CMC_BASE_URL={}", simulator.cmc_url())?;
    writeln!(out, "COINBASE_BASE_URL={}", simulator.coinbase_url())?;
    writeln!(out, "KRAKEN_BASE_URL={}", simulator.kraken_url())?;
    writeln!(out, "FINNHUB_BASE_URL={}", simulator.finnhub_url())?;
    writeln!(out, "TAAPI_SECRET={}", keys::TAAPI_SECRET)?;
    writeln!(out, "CMC_API_KEY={}", keys::CMC_API_KEY)?;
    writeln!(out, "FINNHUB_API_KEY={}", keys::FINNHUB_API_KEY)?;
    writeln!(out, "# control: {}", simulator.control_url())?;
    out.flush()
}

fn complain(line: &str, code: u8) -> ExitCode {
    // With standard error closed the exit code has to say it all.
    let _ = writeln!(io::stderr(), "{line}");
    ExitCode::from(code)
}
