//! Market data of one coin: its last price, and what it did in 24 hours.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    figure::{Group, Reason},
    source::Source,
    symbol::Symbol,
};

/// What one source says of one coin. Sources that have less leave the rest out.
///
/// Invariant: prices are finite and more than zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticker {
    /// Which coin.
    pub symbol: Symbol,
    /// Who said it; the currency of its prices follows from that.
    pub source: Source,
    /// The last price.
    pub price: f64,
    /// Its change over 24 hours in percent.
    pub change_24h: Option<f64>,
    /// The price 24 hours ago.
    pub open_24h: Option<f64>,
    /// The highest price of 24 hours.
    pub high_24h: Option<f64>,
    /// The lowest price of 24 hours.
    pub low_24h: Option<f64>,
    /// What was traded in 24 hours, in the coin.
    pub volume_24h: Option<f64>,
    /// The same in the quote's currency.
    pub quote_volume_24h: Option<f64>,
    /// When the source says that it was so.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub observed_at: Timestamp,
    /// When it reached us.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub received_at: Timestamp,
}

impl Ticker {
    /// How old it counts as.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        Group::Prices.age(self.observed_at, self.received_at, now)
    }

    /// Itself, unless it was past its hard time when it came.
    pub(crate) fn timely(self) -> Result<Self, Reason> {
        if self.age(self.received_at) <= Group::Prices.hard() {
            Ok(self)
        } else {
            Err(Reason::TooOld)
        }
    }
}
