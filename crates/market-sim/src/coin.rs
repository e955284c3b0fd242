//! The seven coins and what is peculiar to each.

use crate::amount::Amount;

/// One of the seven coins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Coin {
    Btc,
    Eth,
    Sol,
    Xrp,
    Ada,
    Link,
    Bnb,
}

/// What is peculiar to a coin.
#[derive(Debug)]
pub(crate) struct Traits {
    /// Lower-case asset name, CoinGecko's key in `market_cap_percentage`.
    pub(crate) asset: &'static str,
    pub(crate) symbol: &'static str,
    /// The price the seeded history swings around, in USDT.
    pub(crate) level: f64,
    /// Smallest price step, in units of the eighth decimal.
    pub(crate) tick_units: i128,
    /// How wildly it moves, against Bitcoin.
    pub(crate) beta: f64,
    /// Usual turnover of a day, in USDT.
    pub(crate) turnover: f64,
    /// Coins in circulation.
    pub(crate) supply: f64,
    /// Coins there can ever be, where that is fixed.
    pub(crate) max_supply: Option<f64>,
}

impl Coin {
    pub(crate) const ALL: [Self; 7] = [
        Self::Btc,
        Self::Eth,
        Self::Sol,
        Self::Xrp,
        Self::Ada,
        Self::Link,
        Self::Bnb,
    ];

    pub(crate) fn from_symbol(symbol: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|coin| coin.traits().symbol == symbol)
    }

    pub(crate) fn symbol(self) -> &'static str {
        self.traits().symbol
    }

    /// The smallest price step.
    pub(crate) fn tick(self) -> Amount {
        Amount::from_units(self.traits().tick_units)
    }

    /// A number that tells the coins apart in keys.
    pub(crate) fn number(self) -> u64 {
        self as u64
    }

    pub(crate) fn traits(self) -> &'static Traits {
        &TRAITS[self as usize]
    }
}

/// In the order of [`Coin::ALL`]. The steps are fine enough for the price to move every second.
static TRAITS: [Traits; 7] = [
    Traits {
        asset: "btc",
        symbol: "BTCUSDT",
        level: 100_000.0,
        tick_units: 1_000_000,
        beta: 1.0,
        turnover: 1.9e9,
        supply: 19_950_000.0,
        max_supply: Some(21_000_000.0),
    },
    Traits {
        asset: "eth",
        symbol: "ETHUSDT",
        level: 3_500.0,
        tick_units: 1_000_000,
        beta: 1.3,
        turnover: 1.4e9,
        supply: 120_700_000.0,
        max_supply: None,
    },
    Traits {
        asset: "sol",
        symbol: "SOLUSDT",
        level: 180.0,
        tick_units: 100_000,
        beta: 1.6,
        turnover: 5.2e8,
        supply: 555_000_000.0,
        max_supply: None,
    },
    Traits {
        asset: "xrp",
        symbol: "XRPUSDT",
        level: 2.2,
        tick_units: 1_000,
        beta: 1.4,
        turnover: 4.1e8,
        supply: 60_300_000_000.0,
        max_supply: Some(100_000_000_000.0),
    },
    Traits {
        asset: "ada",
        symbol: "ADAUSDT",
        level: 0.8,
        tick_units: 1_000,
        beta: 1.5,
        turnover: 9.0e7,
        supply: 36_500_000_000.0,
        max_supply: Some(45_000_000_000.0),
    },
    Traits {
        asset: "link",
        symbol: "LINKUSDT",
        level: 18.0,
        tick_units: 10_000,
        beta: 1.5,
        turnover: 8.0e7,
        supply: 697_000_000.0,
        max_supply: Some(1_000_000_000.0),
    },
    Traits {
        asset: "bnb",
        symbol: "BNBUSDT",
        level: 650.0,
        tick_units: 100_000,
        beta: 1.1,
        turnover: 2.2e8,
        supply: 137_700_000.0,
        max_supply: Some(200_000_000.0),
    },
];
