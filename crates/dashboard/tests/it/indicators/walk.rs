//! Random walks and random indicators.

use dashboard::indicator::{Indicator, Ohlc};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};

/// Bars of a price that walks at random, as a market's day does: some trades a bar, each a small
/// step from the last.
pub(crate) struct Walk {
    random: StdRng,
    price: f64,
}

/// A day's, in logarithms: what prices of coins are like.
const SIGMA: f64 = 0.02;
const TRADES: u32 = 8;

impl Walk {
    /// From a price of 100.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            price: 100.0,
        }
    }

    fn trade(&mut self) -> f64 {
        // Even steps, whose variance is a third; eight of them are as good as a normal one.
        let step = (SIGMA * SIGMA * 3.0 / f64::from(TRADES)).sqrt();
        self.price *= self.random.random_range(-step..step).exp();
        self.price
    }
}

impl Iterator for Walk {
    type Item = Ohlc;

    fn next(&mut self) -> Option<Ohlc> {
        let open = self.price;
        let (mut high, mut low) = (open, open);
        for _ in 0..TRADES {
            let price = self.trade();
            high = high.max(price);
            low = low.min(price);
        }
        Ohlc::new(open, high, low, self.price).ok()
    }
}

/// Any indicator, with periods up to this one.
pub(crate) fn indicators(longest: u16) -> impl Strategy<Value = Indicator> {
    let from_1 = move || 1..=longest;
    let from_2 = move || 2..=longest;
    let text = prop_oneof![
        from_2().prop_map(|n| format!("rsi:{n}")),
        from_1().prop_map(|n| format!("ema:{n}")),
        from_1().prop_map(|n| format!("sma:{n}")),
        (from_2(), 1..longest, from_1())
            .prop_filter("a slow one within the limit", move |(fast, more, _)| {
                fast + more <= longest
            })
            .prop_map(|(fast, more, signal)| format!("macd:{fast}-{}-{signal}", fast + more)),
        (from_2(), 1..=40_u16)
            .prop_map(|(n, quarters)| { format!("bbands:{n}-{}", f64::from(quarters) / 4.0) }),
        from_1().prop_map(|n| format!("atr:{n}")),
        (from_1(), 1..=9_u16, 1..=9_u16).prop_map(|(k, slow, d)| format!("stoch:{k}-{slow}-{d}")),
    ];
    text.prop_map(|text| text.parse().expect("each of these is an indicator"))
}
