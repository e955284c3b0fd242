//! Indicators as text, in queries and keys.

use dashboard::{
    cache::keys::{CacheKeys, Interval, Key},
    indicator::{BadIndicator, Indicator},
    market::symbol::Symbol,
};
use proptest::prelude::*;

use super::{config, walk::indicators};

fn read(text: &str) -> Result<String, BadIndicator> {
    text.parse()
        .map(|indicator: Indicator| indicator.to_string())
}

#[test]
fn parameters_that_are_left_out_have_their_defaults() {
    for (text, whole) in [
        ("rsi", "rsi:14"),
        ("RSI:14", "rsi:14"),
        ("ema", "ema:20"),
        ("sma:50", "sma:50"),
        ("macd", "macd:12-26-9"),
        ("macd:5-35", "macd:5-35-9"),
        ("bbands", "bbands:20-2"),
        ("bbands:50", "bbands:50-2"),
        ("bbands:20-2.0", "bbands:20-2"),
        ("bbands:20-2.50", "bbands:20-2.5"),
        ("bbands:20-0.25", "bbands:20-0.25"),
        ("atr", "atr:14"),
        ("stoch", "stoch:14-3-3"),
        ("stoch:5-1", "stoch:5-1-3"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(whole), "{text}");
    }
}

#[test]
fn what_is_no_indicator_is_refused_with_what_would_be() {
    let period = |least| BadIndicator::BadPeriod { least, most: 500 };
    for (text, refusal) in [
        ("", BadIndicator::UnknownName),
        ("vwap", BadIndicator::UnknownName),
        (" rsi", BadIndicator::UnknownName),
        ("rsi:", period(2)),
        ("rsi:1", period(2)),
        ("rsi:501", period(2)),
        ("rsi:70000", period(2)),
        ("rsi:+14", period(2)),
        ("rsi:14.0", period(2)),
        ("rsi:٣", period(2)),
        ("ema:0", period(1)),
        ("ema:-5", period(1)),
        ("macd:1-26-9", period(2)),
        ("macd:26-26-9", BadIndicator::FastNotFaster),
        ("macd:30", BadIndicator::FastNotFaster),
        ("bbands:20-0", BadIndicator::BadDeviations),
        ("bbands:20-10.01", BadIndicator::BadDeviations),
        ("bbands:20-2.505", BadIndicator::BadDeviations),
        ("bbands:20-.5", BadIndicator::BadDeviations),
        ("bbands:20-2.", BadIndicator::BadDeviations),
        ("bbands:20-NaN", BadIndicator::BadDeviations),
        ("bbands:20-655.36", BadIndicator::BadDeviations),
        ("rsi:14-3", BadIndicator::TooMany { most: 1 }),
        ("rsi:14:3", period(2)),
        ("macd:12-26-9-", BadIndicator::TooMany { most: 3 }),
        ("stoch:14-3-3-3", BadIndicator::TooMany { most: 3 }),
    ] {
        assert_eq!(read(text), Err(refusal), "{text}");
    }
    let told = period(2).to_string();
    assert_eq!(
        told,
        "a period here is a whole number of bars from 2 to 500"
    );
}

proptest! {
    #![proptest_config(config(500, 0x1978_0003))]

    #[test]
    fn an_indicator_reads_back_from_its_text_and_fits_into_a_key(indicator in indicators(500)) {
        prop_assert_eq!(indicator.to_string().parse(), Ok(indicator));
        let key = CacheKeys::indicator(Symbol::Btc, indicator, Interval::Day1);
        prop_assert_eq!(key.as_str(), format!("indicator:btc:{indicator}"));
        prop_assert_eq!(Key::parse(key.as_str()), Ok(key));
    }
}
