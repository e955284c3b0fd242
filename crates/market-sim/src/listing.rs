//! What the other venues call the coins; Binance's names are in [`Traits`](crate::coin::Traits).

use crate::coin::Coin;

/// What the other venues call a coin.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) coin: Coin,
    /// In plain words.
    pub(crate) name: &'static str,
    /// CoinGecko's id.
    pub(crate) gecko: &'static str,
    /// Coinbase's product, if it has one.
    pub(crate) coinbase: Option<&'static str>,
    /// Kraken's pair, if it has one.
    pub(crate) kraken: Option<Pair>,
}

/// A pair of Kraken's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// What it is asked for by.
    pub(crate) asked: &'static str,
    /// What the answer calls it, which may be asked for as well.
    pub(crate) key: &'static str,
}

/// In the order of [`Coin::ALL`].
pub(crate) static LISTINGS: [Listing; 7] = [
    Listing {
        coin: Coin::Btc,
        name: "Bitcoin",
        gecko: "bitcoin",
        coinbase: Some("BTC-USD"),
        kraken: pair("XBTUSD", "XXBTZUSD"),
    },
    Listing {
        coin: Coin::Eth,
        name: "Ethereum",
        gecko: "ethereum",
        coinbase: Some("ETH-USD"),
        kraken: pair("ETHUSD", "XETHZUSD"),
    },
    Listing {
        coin: Coin::Sol,
        name: "Solana",
        gecko: "solana",
        coinbase: Some("SOL-USD"),
        kraken: pair("SOLUSD", "SOLUSD"),
    },
    Listing {
        coin: Coin::Xrp,
        name: "XRP",
        gecko: "ripple",
        coinbase: Some("XRP-USD"),
        kraken: pair("XRPUSD", "XXRPZUSD"),
    },
    Listing {
        coin: Coin::Ada,
        name: "Cardano",
        gecko: "cardano",
        coinbase: Some("ADA-USD"),
        kraken: pair("ADAUSD", "ADAUSD"),
    },
    Listing {
        coin: Coin::Link,
        name: "Chainlink",
        gecko: "chainlink",
        coinbase: Some("LINK-USD"),
        kraken: pair("LINKUSD", "LINKUSD"),
    },
    // Whether the fallbacks have BNB is not documented; a client must manage without.
    Listing {
        coin: Coin::Bnb,
        name: "BNB",
        gecko: "binancecoin",
        coinbase: None,
        kraken: None,
    },
];

const fn pair(asked: &'static str, key: &'static str) -> Option<Pair> {
    Some(Pair { asked, key })
}

impl Listing {
    /// The coin with this id of CoinGecko's.
    pub(crate) fn of_gecko(id: &str) -> Option<&'static Self> {
        LISTINGS.iter().find(|listing| listing.gecko == id)
    }

    /// The coin with this product of Coinbase's.
    pub(crate) fn of_coinbase(product: &str) -> Option<&'static Self> {
        LISTINGS
            .iter()
            .find(|listing| listing.coinbase == Some(product))
    }

    /// The coin with this pair of Kraken's, by either name.
    pub(crate) fn of_kraken(name: &str) -> Option<(Coin, Pair)> {
        LISTINGS.iter().find_map(|listing| {
            let pair = listing.kraken?;
            (pair.asked == name || pair.key == name).then_some((listing.coin, pair))
        })
    }
}
