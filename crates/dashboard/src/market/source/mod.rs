//! Who publishes figures: each source in a file of its own, in its own words.

pub(crate) mod alternative_me;
pub(crate) mod binance;
pub(crate) mod coinbase;
pub(crate) mod coingecko;
pub(crate) mod coinmarketcap;
pub(crate) mod finnhub;
pub(crate) mod kraken;
pub(crate) mod taapi;

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::error::{UpstreamError, Verdict};

/// Asks one host several questions: one by itself, and the rest at once when it was answered. A host
/// that fails or wants to be left alone is asked once.
///
/// # Errors
/// The first question's, where it says something of the host.
async fn one_then_all<Q: Copy, T, F>(
    questions: &[Q],
    ask: impl Fn(Q) -> F,
) -> Result<Vec<(Q, Result<T, UpstreamError>)>, UpstreamError>
where
    F: Future<Output = Result<T, UpstreamError>>,
{
    let Some((&first, rest)) = questions.split_first() else {
        return Ok(Vec::new());
    };
    let mut answers = match ask(first).await {
        Err(error) if error.verdict() != Verdict::Unrelated => return Err(error),
        answer => vec![(first, answer)],
    };
    let asked = rest.iter().map(|&question| {
        let answer = ask(question);
        async move { (question, answer.await) }
    });
    answers.extend(join_all(asked).await);
    Ok(answers)
}

/// Who publishes figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Source {
    Binance,
    CoinGecko,
    AlternativeMe,
    Coinbase,
    Kraken,
    CoinMarketCap,
    Taapi,
    Finnhub,
}

/// How often a source may be asked: what it grants, less what others behind the same address need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// Calls (at Binance: weight) that may be made at once.
    pub(crate) burst: u32,
    /// How long it takes until one more may be made.
    pub(crate) one_every: Duration,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 8] = [
        Self::Binance,
        Self::CoinGecko,
        Self::AlternativeMe,
        Self::Coinbase,
        Self::Kraken,
        Self::CoinMarketCap,
        Self::Taapi,
        Self::Finnhub,
    ];

    /// The name in JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::CoinGecko => "coingecko",
            Self::AlternativeMe => "alternative.me",
            Self::Coinbase => "coinbase",
            Self::Kraken => "kraken",
            Self::CoinMarketCap => "coinmarketcap",
            Self::Taapi => "taapi",
            Self::Finnhub => "finnhub",
        }
    }

    /// The name that people read.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Binance => "Binance",
            Self::CoinGecko => "CoinGecko",
            Self::AlternativeMe => "alternative.me",
            Self::Coinbase => "Coinbase Exchange",
            Self::Kraken => "Kraken",
            Self::CoinMarketCap => "CoinMarketCap",
            Self::Taapi => "TAAPI.IO",
            Self::Finnhub => "Finnhub",
        }
    }

    /// The setting without which it is not asked.
    pub const fn needs(self) -> Option<&'static str> {
        match self {
            Self::CoinMarketCap => Some("CMC_API_KEY"),
            Self::Taapi => Some("TAAPI_SECRET"),
            Self::Finnhub => Some("FINNHUB_API_KEY"),
            _ => None,
        }
    }

    /// The currency that its prices are quoted in. USDT is not USD, and the JSON says so.
    pub const fn quote(self) -> &'static str {
        match self {
            Self::Binance => "USDT",
            _ => "USD",
        }
    }

    /// upstreams.md 2.1 to 2.7. Those with a monthly limit get an even share of it.
    pub(crate) const fn allowance(self) -> Allowance {
        let (burst, one_every) = match self {
            // 6,000 of weight a minute; a tenth, for a host may have other tenants.
            Self::Binance => (600, Duration::from_millis(100)),
            // 10,000 a month.
            Self::CoinGecko => (30, Duration::from_secs(270)),
            // Some 60 a minute are reported; the figure changes once a day.
            Self::AlternativeMe => (30, Duration::from_secs(10)),
            // 10 a second, 15 at once.
            Self::Coinbase => (14, Duration::from_millis(200)),
            // One a second, and what was asked at once is part of its minute.
            Self::Kraken => (3, Duration::from_millis(1_100)),
            // 15,000 a month, 30 a minute.
            Self::CoinMarketCap => (10, Duration::from_secs(180)),
            // The free plan.
            Self::Taapi => (1, Duration::from_secs(15)),
            // 60 a minute.
            Self::Finnhub => (10, Duration::from_secs(2)),
        };
        Allowance { burst, one_every }
    }
}
