//! One figure of the summary: which it is, what was read for it, and what that is worth now.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::source::Source;
use super::{stock::Fund, symbol::Symbol};

/// Figures that are read together, at one interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Group {
    Prices,
    Candles,
    Global,
    FearGreed,
    UsStocks,
    /// Prices of a second source, to hold the first one's against; never shown.
    CrossCheck,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 6] = [
        Self::Prices,
        Self::Candles,
        Self::Global,
        Self::FearGreed,
        Self::UsStocks,
        Self::CrossCheck,
    ];

    /// The name in JSON and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prices => "prices",
            Self::Candles => "indicators",
            Self::Global => "market",
            Self::FearGreed => "fear_greed",
            Self::UsStocks => "us_stock_indices",
            Self::CrossCheck => "cross_check",
        }
    }

    /// Who is asked for it, one after the other until somebody knows.
    pub const fn sources(self) -> &'static [Source] {
        match self {
            Self::Prices => &[
                Source::Binance,
                Source::Coinbase,
                Source::Kraken,
                Source::CoinGecko,
            ],
            Self::Candles => &[
                Source::Binance,
                Source::Coinbase,
                Source::Kraken,
                Source::Taapi,
            ],
            Self::Global => &[Source::CoinGecko, Source::CoinMarketCap],
            Self::FearGreed => &[Source::AlternativeMe],
            Self::UsStocks => &[Source::Finnhub],
            Self::CrossCheck => &[Source::Kraken],
        }
    }

    /// How long a good value counts; upstreams.md 2.8.
    pub(crate) const fn hard(self) -> Duration {
        Duration::from_secs(match self {
            Self::Prices => 15 * 60,
            Self::Candles => 3_600,
            Self::Global => 6 * 3_600,
            Self::FearGreed => 48 * 3_600,
            Self::UsStocks => 24 * 3_600,
            Self::CrossCheck => 2 * 60,
        })
    }

    /// How far its figures are behind by their source's own time while all is well: caches of the
    /// source, a bar that goes on, an index of the day. None: a market that may be closed for days.
    pub(crate) const fn lag(self) -> Option<Duration> {
        match self {
            Self::Prices | Self::CrossCheck => Some(Duration::from_secs(2 * 60)),
            Self::Global => Some(Duration::from_secs(10 * 60)),
            Self::Candles | Self::FearGreed => Some(Duration::from_secs(24 * 3_600)),
            Self::UsStocks => None,
        }
    }

    /// How old a value counts as: since it reached us, or longer where the source itself was behind by
    /// more than it is while all is well.
    pub(crate) fn age(
        self,
        observed_at: Timestamp,
        received_at: Timestamp,
        now: Timestamp,
    ) -> Duration {
        // A wall clock that was set back makes nothing younger than new.
        let since = |then| Duration::try_from(now.duration_since(then)).unwrap_or_default();
        let behind = |lag| since(observed_at).saturating_sub(lag);
        since(received_at).max(self.lag().map(behind).unwrap_or_default())
    }

    /// Who is asked first.
    pub const fn first_source(self) -> Source {
        self.sources()[0]
    }
}

/// A figure of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Figure {
    Price(Symbol),
    Change24h(Symbol),
    MarketCap,
    Volume24h,
    MarketCapChange24h,
    BtcShare,
    EthShare,
    FearGreed,
    FearGreedLabel,
    BtcRsi14,
    FundPrice(Fund),
    FundChange(Fund),
}

impl Figure {
    /// The figures of a summary over these coins and funds, in the order of the JSON.
    pub fn all(symbols: &[Symbol], funds: &[Fund]) -> Vec<Self> {
        let mut figures = Vec::with_capacity((symbols.len() + funds.len()) * 2 + 8);
        for &symbol in symbols {
            figures.extend([Self::Price(symbol), Self::Change24h(symbol)]);
        }
        figures.extend([
            Self::MarketCap,
            Self::Volume24h,
            Self::MarketCapChange24h,
            Self::BtcShare,
            Self::EthShare,
            Self::FearGreed,
            Self::FearGreedLabel,
            Self::BtcRsi14,
        ]);
        for &fund in funds {
            figures.extend([Self::FundPrice(fund), Self::FundChange(fund)]);
        }
        figures
    }

    /// Its name in the JSON.
    pub fn name(self) -> String {
        match self {
            Self::Price(symbol) => format!("{symbol}_price_usd"),
            Self::Change24h(symbol) => format!("{symbol}_change_24h"),
            Self::MarketCap => "market_cap_usd".to_owned(),
            Self::Volume24h => "volume_24h_usd".to_owned(),
            Self::MarketCapChange24h => "market_cap_change_percentage_24h_usd".to_owned(),
            Self::BtcShare => "btc_market_cap_percentage".to_owned(),
            Self::EthShare => "eth_market_cap_percentage".to_owned(),
            Self::FearGreed => "fng_value".to_owned(),
            Self::FearGreedLabel => "fng_classification".to_owned(),
            Self::BtcRsi14 => "btc_rsi_14".to_owned(),
            Self::FundPrice(fund) => format!("us_stock_indices.{}.price", fund.code()),
            Self::FundChange(fund) => format!("us_stock_indices.{}.change_percent", fund.code()),
        }
    }

    /// The older name that the JSON carries beside it.
    pub const fn alias(self) -> Option<&'static str> {
        match self {
            Self::MarketCap => Some("market_cap"),
            Self::Volume24h => Some("volume_24h"),
            Self::BtcRsi14 => Some("rsi_14"),
            _ => None,
        }
    }

    /// What it is read together with.
    pub const fn group(self) -> Group {
        match self {
            Self::Price(_) | Self::Change24h(_) => Group::Prices,
            Self::MarketCap
            | Self::Volume24h
            | Self::MarketCapChange24h
            | Self::BtcShare
            | Self::EthShare => Group::Global,
            Self::FearGreed | Self::FearGreedLabel => Group::FearGreed,
            Self::BtcRsi14 => Group::Candles,
            Self::FundPrice(_) | Self::FundChange(_) => Group::UsStocks,
        }
    }

    /// For a change in percent, the figure that changed.
    pub(crate) const fn changed(self) -> Option<Self> {
        match self {
            Self::Change24h(symbol) => Some(Self::Price(symbol)),
            Self::MarketCapChange24h => Some(Self::MarketCap),
            Self::FundChange(fund) => Some(Self::FundPrice(fund)),
            _ => None,
        }
    }

    /// Whether two sources can be held against one another: for a change of some percent, a fifth
    /// more or less says nothing.
    pub(crate) const fn is_level(self) -> bool {
        self.changed().is_none()
    }

    /// The currency that a price from this source is quoted in.
    pub const fn quote(self, source: Source) -> Option<&'static str> {
        match self {
            Self::Price(_) => Some(source.quote()),
            Self::FundPrice(_) => Some("USD"),
            _ => None,
        }
    }
}

/// What a figure says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Value {
    /// Invariant: finite; the sources' checks see to it.
    Number(f64),
    Whole(u32),
    Text(String),
}

/// A value as a source once gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What it said.
    pub value: Value,
    /// Who said it.
    pub source: Source,
    /// When the source says that it was so.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub observed_at: Timestamp,
    /// When it reached us.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub received_at: Timestamp,
}

impl Sample {
    /// How old it counts as.
    pub(crate) fn age(&self, group: Group, now: Timestamp) -> Duration {
        group.age(self.observed_at, self.received_at, now)
    }
}

/// Why a figure is stale or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Reason {
    NotAskedYet,
    TimedOut,
    NotReachable,
    RateLimited,
    CoolingDown,
    BreakerOpen,
    OverBudget,
    NotReady,
    Refused,
    ServerFailed,
    Redirected,
    TooLarge,
    NotDecodable,
    OutOfRange,
    NotInAnswer,
    TooFewBars,
    BarsBroken,
    FlatWindow,
    SourcesDisagree,
    TooOld,
    Failed,
}

impl Reason {
    /// The code in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAskedYet => "not_asked_yet",
            Self::TimedOut => "timeout",
            Self::NotReachable => "not_reachable",
            Self::RateLimited => "rate_limited",
            Self::CoolingDown => "cooling_down",
            Self::BreakerOpen => "breaker_open",
            Self::OverBudget => "over_budget",
            Self::NotReady => "not_ready",
            Self::Refused => "refused",
            Self::ServerFailed => "server_error",
            Self::Redirected => "redirected",
            Self::TooLarge => "too_large",
            Self::NotDecodable => "not_decodable",
            Self::OutOfRange => "out_of_range",
            Self::NotInAnswer => "not_in_answer",
            Self::TooFewBars => "too_few_bars",
            Self::BarsBroken => "bars_broken",
            Self::FlatWindow => "flat_window",
            Self::SourcesDisagree => "sources_disagree",
            Self::TooOld => "too_old",
            Self::Failed => "failed",
        }
    }
}

/// A figure's state at the moment a summary was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    /// Read when it was due, and young enough.
    Fresh(Sample),
    /// The last good value: the latest attempt failed, or it is older than its soft time.
    Stale(Sample, Reason),
    /// Nothing within the hard time.
    Missing(Reason),
}

impl State {
    /// The value, if there is one.
    pub const fn sample(&self) -> Option<&Sample> {
        match self {
            Self::Fresh(sample) | Self::Stale(sample, _) => Some(sample),
            Self::Missing(_) => None,
        }
    }

    /// Why it is not fresh.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Fresh(_) => None,
            Self::Stale(_, reason) | Self::Missing(reason) => Some(*reason),
        }
    }

    /// `fresh`, `stale` or `missing`.
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Fresh(_) => "fresh",
            Self::Stale(..) => "stale",
            Self::Missing(_) => "missing",
        }
    }
}

/// A figure and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which figure.
    pub figure: Figure,
    /// Its state.
    pub state: State,
}
