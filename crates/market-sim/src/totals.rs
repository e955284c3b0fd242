//! The whole market's sums, derived from the coins we simulate.

use crate::coin::Coin;
use crate::scene::Scene;

/// What the coins we do not simulate are worth: those pegged to the dollar, in dollars, and the
/// rest as a share of those we do.
pub(crate) const TETHER_CAP: f64 = 1.4e11;
pub(crate) const USDC_CAP: f64 = 6.0e10;
const OTHERS_SHARE: f64 = 0.14;
/// Turnover of all markets, as a multiple of that on the one we simulate.
pub(crate) const MARKETS: f64 = 21.0;
/// Dollars per euro.
const EURO: f64 = 1.08;

/// The sums over all coins at one moment, in dollars.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Market capitalisations, in the order of [`Coin::ALL`].
    pub(crate) caps: Vec<(Coin, f64)>,
    pub(crate) cap: f64,
    pub(crate) volume: f64,
}

impl Totals {
    pub(crate) fn of(scene: &Scene<'_>) -> Self {
        let caps: Vec<_> = Coin::ALL
            .into_iter()
            .map(|coin| (coin, scene.price(coin).as_f64() * coin.traits().supply))
            .collect();
        let ours: f64 = caps.iter().map(|(_, cap)| cap).sum();
        let turnover = |coin: Coin| scene.day(coin).turnover.as_f64();
        Self {
            caps,
            cap: ours * (1.0 + OTHERS_SHARE) + TETHER_CAP + USDC_CAP,
            volume: Coin::ALL.into_iter().map(turnover).sum::<f64>() * MARKETS,
        }
    }

    /// What part of all a coin is, in percent.
    pub(crate) fn dominance(&self, coin: Coin) -> f64 {
        let of_coin = self.caps.iter().filter(|(of, _)| *of == coin);
        of_coin.map(|(_, cap)| cap).sum::<f64>() / self.cap * 100.0
    }
}

/// Dollars per unit of a currency, if the sources know it: `usd`, `eur` and some coins.
pub(crate) fn dollars_per(scene: &Scene<'_>, currency: &str) -> Option<f64> {
    match currency {
        "usd" => Some(1.0),
        "eur" => Some(EURO),
        _ => {
            let quoting = [Coin::Btc, Coin::Eth, Coin::Bnb, Coin::Xrp, Coin::Link];
            let coin = quoting
                .into_iter()
                .find(|coin| coin.traits().asset == currency)?;
            Some(scene.price(coin).as_f64())
        }
    }
}

/// The currencies that [`dollars_per`] knows.
pub(crate) const CURRENCIES: [&str; 7] = ["usd", "eur", "btc", "eth", "bnb", "xrp", "link"];

/// By how much something has grown, in percent.
pub(crate) fn growth(now: f64, before: f64) -> f64 {
    (now / before - 1.0) * 100.0
}
