//! Day candles that follow from a seed.

use super::bar::Bar;
use crate::amount::Amount;
use crate::coin::Coin;
use crate::noise::{Octave, mix, octaves, unit};

/// Keys below the seed that belong to no coin.
const MARKET: u64 = 100;
const MOOD: u64 = 101;

/// Waves of the logarithm of a price, in days: a day's change is a few percent, and in the long
/// run the price stays within sight of its level.
const WAVES: [Octave; 7] = [
    Octave {
        period: 1.0,
        swing: 0.012,
    },
    Octave {
        period: 2.7,
        swing: 0.03,
    },
    Octave {
        period: 9.1,
        swing: 0.05,
    },
    Octave {
        period: 31.0,
        swing: 0.06,
    },
    Octave {
        period: 97.0,
        swing: 0.08,
    },
    Octave {
        period: 331.0,
        swing: 0.1,
    },
    Octave {
        period: 1_009.0,
        swing: 0.1,
    },
];

/// Waves of the market's mood: slower than prices, and wide enough to meet every label.
const MOOD_WAVES: [Octave; 3] = [
    Octave {
        period: 2.0,
        swing: 6.0,
    },
    Octave {
        period: 13.0,
        swing: 18.0,
    },
    Octave {
        period: 71.0,
        swing: 24.0,
    },
];

/// Size of an average trade in USDT; only the number of trades follows from it.
const USDT_PER_TRADE: f64 = 640.0;

pub(super) fn coin_key(seed: u64, coin: Coin) -> u64 {
    mix(seed, coin.number())
}

/// The candle of a day, counted from 1970.
pub(super) fn day(seed: u64, coin: Coin, day: i64) -> Bar {
    let key = mix(coin_key(seed, coin), day as u64);
    let traits = coin.traits();
    let (open, close) = (level(seed, coin, day), level(seed, coin, day + 1));
    let wick = |salt: u64| (traits.beta * (0.002 + 0.016 * unit(mix(key, salt)))).exp();
    let high = Amount::rounded_to(open.max(close).as_f64() * wick(20), coin.tick());
    let low = Amount::rounded_to(open.min(close).as_f64() / wick(21), coin.tick());

    let middle = (open + high + low + close).as_f64() / 4.0;
    // Wide days are busy days.
    let range = (high - low).as_f64() / middle;
    let turnover = traits.turnover * (0.6 + 8.0 * range + 0.4 * unit(mix(key, 22)));
    let taken = 0.45 + 0.1 * unit(mix(key, 23));
    Bar {
        open,
        high,
        low,
        close,
        volume: Amount::from_f64(turnover / middle),
        turnover: Amount::from_f64(turnover),
        trades: (turnover / USDT_PER_TRADE) as i128,
        taker_volume: Amount::from_f64(turnover / middle * taken),
        taker_turnover: Amount::from_f64(turnover * taken),
    }
}

/// The Fear & Greed value of a day, counted from 1970.
pub(crate) fn mood(seed: u64, day: i64) -> u8 {
    let value = 50.0 + octaves(mix(seed, MOOD), day as f64, &MOOD_WAVES);
    value.round().clamp(3.0, 97.0) as u8
}

/// The price at the first moment of a day: what the market does and what the coin does of itself.
fn level(seed: u64, coin: Coin, day: i64) -> Amount {
    let shared = octaves(mix(seed, MARKET), day as f64, &WAVES);
    let own = octaves(mix(coin_key(seed, coin), MARKET), day as f64, &WAVES);
    let price = coin.traits().level * (coin.traits().beta * (0.8 * shared + 0.5 * own)).exp();
    Amount::rounded_to(price, coin.tick())
}
