//! The simulated APIs and the paths they have.

use serde::{Deserialize, Serialize};

/// One of the simulated APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Source {
    /// Binance spot, under `/binance`.
    Binance,
    /// Binance's WebSocket streams, under `/binance-ws`.
    ///
    /// Besides the two paths it has two endpoints that are no paths, for faults on connections that
    /// are open already: `frames` (every message that is sent) and `pings`.
    #[serde(rename = "binance-ws")]
    BinanceWs,
    /// CoinGecko, under `/coingecko`.
    CoinGecko,
    /// alternative.me, Fear & Greed, under `/fng`.
    Fng,
    /// TAAPI.io, the classic generation, under `/taapi`.
    Taapi,
    /// CoinMarketCap, under `/cmc`.
    Cmc,
    /// Finnhub, under `/finnhub`.
    Finnhub,
    /// Coinbase Exchange, under `/coinbase`.
    Coinbase,
    /// Kraken, under `/kraken`.
    Kraken,
}

/// The messages on open streams, as an endpoint of faults.
pub(crate) const FRAMES: &str = "frames";
/// The pings on open streams, as an endpoint of faults.
pub(crate) const PINGS: &str = "pings";

impl Source {
    /// Every source there is.
    pub const ALL: [Self; 9] = [
        Self::Binance,
        Self::BinanceWs,
        Self::CoinGecko,
        Self::Fng,
        Self::Taapi,
        Self::Cmc,
        Self::Finnhub,
        Self::Coinbase,
        Self::Kraken,
    ];

    /// The name in paths, counters and control bodies.
    ///
    /// ```
    /// assert_eq!(market_sim::Source::BinanceWs.name(), "binance-ws");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::BinanceWs => "binance-ws",
            Self::CoinGecko => "coingecko",
            Self::Fng => "fng",
            Self::Taapi => "taapi",
            Self::Cmc => "cmc",
            Self::Finnhub => "finnhub",
            Self::Coinbase => "coinbase",
            Self::Kraken => "kraken",
        }
    }

    /// The documented paths that are served; `{id}` stands for one segment.
    pub(crate) fn endpoints(self) -> &'static [&'static str] {
        match self {
            Self::Binance => &[
                "/api/v3/ping",
                "/api/v3/time",
                "/api/v3/exchangeInfo",
                "/api/v3/ticker/price",
                "/api/v3/ticker/24hr",
                "/api/v3/klines",
                "/api/v3/avgPrice",
            ],
            Self::BinanceWs => &["/ws", "/stream", FRAMES, PINGS],
            Self::CoinGecko => &[
                "/api/v3/ping",
                "/api/v3/global",
                "/api/v3/simple/price",
                "/api/v3/coins/markets",
                "/api/v3/coins/{id}/market_chart",
                "/api/v3/coins/{id}/ohlc",
            ],
            Self::Fng => &["/fng/"],
            Self::Taapi => &[
                "/rsi", "/ema", "/sma", "/macd", "/bbands", "/atr", "/stoch", "/bulk",
            ],
            Self::Cmc => &["/v1/global-metrics/quotes/latest"],
            Self::Finnhub => &["/api/v1/quote"],
            Self::Coinbase => &[
                "/products/{id}/ticker",
                "/products/{id}/stats",
                "/products/{id}/candles",
            ],
            Self::Kraken => &["/0/public/Ticker", "/0/public/OHLC"],
        }
    }
}
