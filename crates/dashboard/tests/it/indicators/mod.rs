//! Indicators against TA-Lib, and what must hold of them whatever the prices.

mod captured;
mod laws;
mod oracle;
mod texts;
mod walk;

use dashboard::indicator::{BadBar, Indicator, NoValue, Ohlc, Value};
use proptest::{prelude::ProptestConfig, test_runner::RngSeed};

fn indicator(text: &str) -> Indicator {
    text.parse().expect("the test names an indicator")
}

fn closes(prices: &[f64]) -> Vec<Ohlc> {
    prices
        .iter()
        .map(|&price| Ohlc::from_price(price).expect("the test's prices are finite"))
        .collect()
}

fn bar(high: f64, low: f64, close: f64) -> Ohlc {
    Ohlc::new(close, high, low, close).expect("the test's prices are in order")
}

/// The numbers of a value; none where there is none.
fn numbers(value: Result<Value, NoValue>) -> Vec<f64> {
    let named = value.into_iter().flat_map(Value::named);
    named.map(|(_, number)| number).collect()
}

/// The same cases each time. A failure tells its input, the seed of the walk included.
fn config(cases: u32, seed: u64) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

/// The indicator on the last bar, however few there are.
fn last(text: &str, bars: &[Ohlc]) -> Result<Value, NoValue> {
    let series = indicator(text).series(bars.iter().copied());
    series.last().expect("the test has bars")
}

#[test]
fn a_rising_series_has_an_rsi_of_100_and_a_falling_one_of_0() {
    let rising: Vec<f64> = (0..300).map(f64::from).collect();
    let falling: Vec<f64> = rising.iter().rev().copied().collect();
    let rsi = |prices: &[f64]| Indicator::RSI_14.value(closes(prices));
    assert_eq!(rsi(&rising), Ok(Value::Number(100.0)));
    assert_eq!(rsi(&falling), Ok(Value::Number(0.0)));
}

#[test]
fn where_nothing_moved_rsi_and_stochastic_have_no_value_and_the_others_say_so() {
    for price in [0.1, 0.0, -3.0, Ohlc::LARGEST] {
        let still = closes(&[price; 400]);
        let value = |text: &str| indicator(text).value(still.iter().copied());
        assert_eq!(value("rsi"), Err(NoValue::Flat), "{price}");
        assert_eq!(value("stoch"), Err(NoValue::Flat), "{price}");
        assert_eq!(value("atr"), Ok(Value::Number(0.0)), "{price}");
        let Ok(Value::Bands { upper, lower, .. }) = value("bbands") else {
            panic!("bands of a series that stands still are a line");
        };
        assert!(upper <= lower, "{price}: {lower} to {upper}");
    }
}

#[test]
fn a_window_that_spans_no_more_than_rounding_is_flat() {
    let higher = 0.3 + f64::EPSILON;
    let bars = [bar(higher, 0.3, 0.3); 18];
    assert_eq!(last("stoch", &bars), Err(NoValue::Flat));
}

#[test]
fn prices_that_are_not_a_bar_are_refused() {
    let sound = [2.0, 4.0, 1.0, 3.0];
    let made = |[open, high, low, close]: [f64; 4]| Ohlc::new(open, high, low, close);
    assert!(made(sound).is_ok());
    assert!(
        made(sound.map(|price| price - 5.0)).is_ok(),
        "spreads may be negative"
    );
    for (wrong, refusal) in [
        (f64::NAN, BadBar::NotFinite),
        (f64::INFINITY, BadBar::NotFinite),
        (f64::NEG_INFINITY, BadBar::NotFinite),
        (f64::MAX, BadBar::TooLarge),
        (-1.1 * Ohlc::LARGEST, BadBar::TooLarge),
    ] {
        for at in 0..sound.len() {
            let mut prices = sound;
            prices[at] = wrong;
            assert_eq!(made(prices), Err(refusal), "{prices:?}");
        }
    }
    for prices in [
        [0.9, 4.0, 1.0, 3.0],
        [4.1, 4.0, 1.0, 3.0],
        [2.0, 4.0, 1.0, 0.9],
        [2.0, 4.0, 1.0, 4.1],
    ] {
        assert_eq!(made(prices), Err(BadBar::OutOfOrder), "{prices:?}");
    }
}

#[test]
fn a_stochastic_has_a_value_again_once_what_stood_still_has_left_its_windows() {
    let still = [bar(5.0, 5.0, 5.0); 4];
    let moving = [bar(6.0, 4.0, 5.5); 6];
    let bars = [still.as_slice(), moving.as_slice()].concat();
    let values: Vec<_> = indicator("stoch:2-2-3").series(bars).collect();
    // Bar 3 is the last whose window of two spans nothing. %K averages two of those, %D three %Ks.
    let (first, last_flat) = (4, 3 + (2 - 1) + (3 - 1));
    assert!(values[..first].iter().all(Result::is_err));
    assert_eq!(values[first..=last_flat], [Err(NoValue::Flat); 3]);
    let k_and_d = Ok(Value::Stochastic { k: 75.0, d: 75.0 });
    assert!(
        values[last_flat + 1..]
            .iter()
            .all(|value| *value == k_and_d)
    );
}

#[test]
fn too_few_bars_are_counted_and_never_give_a_value() {
    for indicator in Indicator::DEFAULTS {
        let need = indicator.bars_needed();
        let bars: Vec<Ohlc> = walk::Walk::from_seed(1).take(need).collect();
        let published = |count: usize| indicator.value(bars[..count].iter().copied());
        for have in [0, 1, need - 1] {
            let too_few = NoValue::TooFewBars { have, need };
            assert_eq!(published(have), Err(too_few), "{indicator}");
            let live = indicator.live_value(bars[..have].iter().copied(), bars[0]);
            assert_eq!(
                live,
                Err(too_few),
                "{indicator}: an open bar is none that is needed"
            );
        }
        assert!(published(need).is_ok(), "{indicator}");
    }
}

#[test]
fn the_open_bar_gives_a_live_value_and_does_not_count_as_closed() {
    for indicator in Indicator::DEFAULTS {
        let need = indicator.bars_needed();
        let bars: Vec<Ohlc> = walk::Walk::from_seed(2).take(need + 1).collect();
        let (open, closed) = bars.split_last().expect("there are bars");
        let live = indicator.live_value(closed.iter().copied(), *open);
        let closed_later = indicator.series(bars.iter().copied()).last();
        assert_eq!(Some(live), closed_later, "{indicator}");
        assert_ne!(live, indicator.value(closed.iter().copied()), "{indicator}");
    }
}

#[test]
fn a_true_range_counts_the_gap_from_the_close_before() {
    let up = [bar(10.0, 8.0, 9.0), bar(16.0, 14.0, 15.0)];
    let down = [bar(10.0, 8.0, 9.0), bar(5.0, 3.0, 4.0)];
    assert_eq!(last("atr:1", &up), Ok(Value::Number(7.0)));
    assert_eq!(last("atr:1", &down), Ok(Value::Number(6.0)));
}

#[test]
fn the_deviation_of_the_bands_is_that_of_the_population() {
    // The classic example: mean 5, squared distances 32, over 8 and not over 7.
    let prices = closes(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    let (upper, middle, lower) = (9.0, 5.0, 1.0);
    let bands = Value::Bands {
        upper,
        middle,
        lower,
    };
    assert_eq!(last("bbands:8-2", &prices), Ok(bands));
}
