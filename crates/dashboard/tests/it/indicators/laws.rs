//! What holds of every indicator, whatever the prices; without an oracle.

use dashboard::indicator::{Indicator, Ohlc};
use proptest::prelude::*;

use super::{
    closes, config, indicator, numbers,
    walk::{Walk, indicators},
};

proptest! {
    #![proptest_config(config(100, 0x1978_0002))]

    #[test]
    fn all_at_once_bar_after_bar_and_a_look_before_each_are_the_same(
        indicator in indicators(60),
        bars in 1..300_usize,
        seed: u64,
    ) {
        let bars: Vec<Ohlc> = Walk::from_seed(seed).take(bars).collect();
        let at_once: Vec<_> = indicator.series(bars.iter().copied()).collect();
        let mut state = indicator.start();
        for (at, &bar) in bars.iter().enumerate() {
            // An open bar changes until it closes; none of the looks may leave a trace.
            let before = state.latest();
            let _ = state.peek(bars[bars.len() - 1 - at]);
            prop_assert_eq!(state.peek(bar), at_once[at]);
            prop_assert_eq!(state.latest(), before);
            prop_assert_eq!(state.bars(), at);
            prop_assert_eq!(state.push(bar), at_once[at]);
            prop_assert_eq!(state.latest(), at_once[at]);
        }
        prop_assert_eq!(state.is_settled(), bars.len() >= indicator.bars_needed());
    }

    #[test]
    fn what_was_before_the_bars_that_are_needed_cannot_be_seen(
        indicator in prop_oneof![9 => indicators(100), 1 => Just(indicator("ema:200"))],
        seed: u64,
    ) {
        let need = indicator.bars_needed();
        // So far back the beginning weighs nothing even in 17 digits.
        let bars: Vec<Ohlc> = Walk::from_seed(seed).take(need * 4).collect();
        let all = numbers(indicator.value(bars.iter().copied()));
        let needed = numbers(indicator.value(bars[need * 3..].iter().copied()));
        // The MACD crosses zero: it is held against its usual size, a hundredth of the price.
        let usual = match indicator {
            Indicator::Macd(_) => 0.01 * bars[need * 4 - 1].close(),
            _ => 0.0,
        };
        prop_assert_eq!(all.len(), needed.len());
        for (all, needed) in all.into_iter().zip(needed) {
            let off = (needed - all).abs();
            prop_assert!(off <= 1e-4 * all.abs().max(usual), "{indicator}: {needed} and not {all}");
        }
    }

    #[test]
    fn prices_at_the_limit_give_finite_values_in_range(
        indicator in indicators(500),
        exponents in prop::collection::vec((any::<bool>(), -320..=100_i32), 1..600),
    ) {
        let prices: Vec<f64> = exponents
            .into_iter()
            .map(|(is_negative, exponent)| {
                let price: f64 = format!("1e{exponent}").parse().expect("it is a number");
                if is_negative { -price } else { price }
            })
            .collect();
        for value in indicator.series(closes(&prices)) {
            for number in numbers(value) {
                let range = match indicator {
                    Indicator::Rsi(_) | Indicator::Stoch { .. } => 0.0..=100.0,
                    Indicator::Atr(_) => 0.0..=f64::MAX,
                    _ => f64::MIN..=f64::MAX,
                };
                prop_assert!(range.contains(&number), "{indicator}: {number}");
            }
        }
    }
}

/// Mean and standard deviation of a window, computed from nothing else.
fn from_scratch(window: &[Ohlc]) -> (f64, f64) {
    let count = window.len() as f64;
    let mean = window.iter().map(Ohlc::close).sum::<f64>() / count;
    let square = |bar: &Ohlc| (bar.close() - mean).powi(2);
    (
        mean,
        (window.iter().map(square).sum::<f64>() / count).sqrt(),
    )
}

#[test]
fn after_100_000_bars_windows_have_not_drifted() {
    for (seed, period) in [(1, 20_usize), (2, 50), (3, 200), (4, 500)] {
        let mut bars: Vec<Ohlc> = Walk::from_seed(seed).take(100_000).collect();
        // A sum that is added to and taken from is off for ever after a bar like this.
        bars[50_000] = closes(&[1e30])[0];
        let series = |text: String| {
            let indicator: Indicator = text.parse().expect("the period is in range");
            indicator
                .series(bars.iter().copied())
                .map(numbers)
                .collect::<Vec<_>>()
        };
        let means = series(format!("sma:{period}"));
        let bands = series(format!("bbands:{period}-1"));
        for at in (period - 1..bars.len()).step_by(97) {
            let (mean, deviation) = from_scratch(&bars[at + 1 - period..=at]);
            let is_near = |ours: f64, theirs: f64| (ours - theirs).abs() <= 1e-8 * theirs.abs();
            let reach = (bands[at][0] - bands[at][2]) / 2.0;
            assert!(
                is_near(means[at][0], mean),
                "seed {seed}, sma:{period}, bar {at}"
            );
            assert!(
                is_near(bands[at][1], mean),
                "seed {seed}, bbands:{period}, bar {at}"
            );
            assert!(
                is_near(reach, deviation),
                "seed {seed}, bbands:{period}, bar {at}"
            );
        }
    }
}
