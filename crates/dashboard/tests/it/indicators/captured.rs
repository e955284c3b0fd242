//! Real candles against the C library; golden/generate_indicators.py wrote both files.

use std::collections::BTreeMap;

use dashboard::indicator::{Indicator, NoValue, Ohlc};
use serde::Deserialize;

use super::numbers;

#[derive(Deserialize)]
struct Window {
    indicator: String,
    from: usize,
    to: usize,
    first: usize,
    at: Vec<usize>,
    values: Vec<Vec<f64>>,
}

/// Of the number itself, and in dollars or points whatever the number: prices are up to 69,000.
const RELATIVE: f64 = 1e-8;
const ABSOLUTE: f64 = 1e-8;

fn candles() -> Vec<Ohlc> {
    let rows = include_str!("../../golden/btcusdt-1d.csv").lines().skip(1);
    rows.map(|row| {
        let prices: Vec<f64> = row
            .split(',')
            .skip(1)
            .map(|price| price.parse().expect("the candles are decimals"))
            .collect();
        Ohlc::new(prices[0], prices[1], prices[2], prices[3]).expect("the candles are sound")
    })
    .collect()
}

fn windows() -> Vec<Window> {
    serde_json::from_str(include_str!("../../golden/indicators.json")).expect("the file is sound")
}

#[test]
fn on_ten_windows_of_real_candles_each_indicator_is_ta_libs() {
    let candles = candles();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for window in windows() {
        let name = &window.indicator;
        let indicator: Indicator = name.parse().expect("the file names indicators");
        let bars = candles[window.from..window.to].iter().copied();
        let ours: Vec<_> = indicator.series(bars).collect();
        assert_eq!(indicator.lookback(), window.first, "{name}");
        assert!(ours[..window.first].iter().all(Result::is_err), "{name}");
        for (&at, theirs) in window.at.iter().zip(&window.values) {
            let ours = numbers(ours[at]);
            assert_eq!(ours.len(), theirs.len(), "{name}");
            for (ours, theirs) in ours.iter().zip(theirs) {
                let off = (ours - theirs).abs();
                let (from, to) = (window.from, window.to);
                assert!(
                    off <= ABSOLUTE && off <= RELATIVE * theirs.abs(),
                    "{name} on bar {at} of {from}..{to}: {ours} and not {theirs}"
                );
            }
        }
        *seen.entry(window.indicator).or_default() += 1;
    }
    assert_eq!(seen.len(), 16);
    assert!(seen.values().all(|&windows| windows == 10), "{seen:?}");
}

#[test]
fn real_candles_are_never_flat() {
    for indicator in Indicator::DEFAULTS {
        let flat = indicator
            .series(candles())
            .filter(|value| *value == Err(NoValue::Flat));
        assert_eq!(flat.count(), 0, "{indicator}");
    }
}
