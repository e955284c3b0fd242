//! The coins that the dashboard knows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A coin. Parsing takes its short name in either case; anything else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Symbol {
    Btc,
    Eth,
    Sol,
    Xrp,
    Ada,
    Link,
    Bnb,
}

/// A word that names none of our coins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown symbol")]
pub struct UnknownSymbol;

impl Symbol {
    /// Every coin, in the order of the default setting.
    pub const ALL: [Self; 7] = [
        Self::Btc,
        Self::Eth,
        Self::Sol,
        Self::Xrp,
        Self::Ada,
        Self::Link,
        Self::Bnb,
    ];

    /// The short name in lower case: what stands in keys, settings and JSON names.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Btc => "btc",
            Self::Eth => "eth",
            Self::Sol => "sol",
            Self::Xrp => "xrp",
            Self::Ada => "ada",
            Self::Link => "link",
            Self::Bnb => "bnb",
        }
    }

    /// The name that people read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Btc => "Bitcoin",
            Self::Eth => "Ethereum",
            Self::Sol => "Solana",
            Self::Xrp => "XRP",
            Self::Ada => "Cardano",
            Self::Link => "Chainlink",
            Self::Bnb => "BNB",
        }
    }

    /// The market at Binance that quotes it in USDT.
    pub const fn binance_pair(self) -> &'static str {
        match self {
            Self::Btc => "BTCUSDT",
            Self::Eth => "ETHUSDT",
            Self::Sol => "SOLUSDT",
            Self::Xrp => "XRPUSDT",
            Self::Ada => "ADAUSDT",
            Self::Link => "LINKUSDT",
            Self::Bnb => "BNBUSDT",
        }
    }

    /// What CoinGecko calls it.
    pub const fn coingecko_id(self) -> &'static str {
        match self {
            Self::Btc => "bitcoin",
            Self::Eth => "ethereum",
            Self::Sol => "solana",
            Self::Xrp => "ripple",
            Self::Ada => "cardano",
            Self::Link => "chainlink",
            Self::Bnb => "binancecoin",
        }
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Symbol {
    type Err = UnknownSymbol;

    fn from_str(text: &str) -> Result<Self, UnknownSymbol> {
        Self::ALL
            .into_iter()
            .find(|symbol| text.eq_ignore_ascii_case(symbol.code()))
            .ok_or(UnknownSymbol)
    }
}
