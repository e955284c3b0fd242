//! What a simulator is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::SimError;
use crate::market::Replay;

/// What a simulator is started with; the default is a seeded market in real time on a free port.
///
/// ```
/// use market_sim::{MarketSource, SimOptions, SimTime};
///
/// let options = SimOptions::default();
/// assert_eq!(options.seed, 7);
/// assert_eq!(options.address.to_string(), "127.0.0.1:0");
/// assert_eq!(options.market, MarketSource::Seeded);
/// assert_eq!(options.time, SimTime::RealTime);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// Decides every simulated price; the same seed gives the same history.
    pub seed: u64,
    /// Listen address; port 0 picks a free one.
    pub address: SocketAddr,
    /// Where the prices come from.
    pub market: MarketSource,
    /// What the simulator takes for the present.
    pub time: SimTime,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            seed: 7,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            market: MarketSource::Seeded,
            time: SimTime::RealTime,
        }
    }
}

/// Where the prices come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketSource {
    /// All seven coins follow the seed.
    Seeded,
    /// BTCUSDT follows a CSV of Binance day candles, the other coins the seed.
    ///
    /// Outside the candles Bitcoin stands still: there are no bars, and the ticker shows the
    /// nearest one.
    Candles(PathBuf),
}

impl MarketSource {
    /// Noon (UTC) of the last candle's day, `None` for a seeded market; reads the file.
    ///
    /// At that moment every candle but the last is closed.
    ///
    /// Errors: the file cannot be read, or a line of it is not a candle.
    ///
    /// ```
    /// use market_sim::MarketSource;
    ///
    /// assert_eq!(MarketSource::Seeded.last_noon().unwrap(), None);
    /// ```
    pub fn last_noon(&self) -> Result<Option<Timestamp>, SimError> {
        match self {
            Self::Seeded => Ok(None),
            Self::Candles(path) => Replay::read(path).map(|replay| Some(replay.last_noon())),
        }
    }
}

/// What the simulator takes for the present.
///
/// In JSON: `"real_time"`, `{"frozen_at": "2021-05-01T12:00:00Z"}`,
/// `{"running_from": "2021-05-01T12:00:00Z"}`, `{"stepped_from": "2021-05-01T12:00:00Z"}`,
/// `{"fast_from": {"moment": "2021-05-01T12:00:00Z", "speed": 60}}`.
///
/// Limits, bans, pings and the life of a connection have a time of their own that cannot be set. It
/// goes on at normal speed, but for the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SimTime {
    /// The machine's own time.
    RealTime,
    /// One moment, until it is set again.
    FrozenAt(Timestamp),
    /// Runs at normal speed, from this moment on when it is set.
    RunningFrom(Timestamp),
    /// One moment, until it is stepped or set again. Nothing else moves by itself either: limits
    /// and latencies wait for steps too, so what happens depends on the calls alone.
    SteppedFrom(Timestamp),
    /// Runs faster, from this moment on when it is set; limits are over sooner, latencies are not.
    FastFrom {
        /// The moment.
        moment: Timestamp,
        /// How many times normal speed.
        speed: u32,
    },
}
