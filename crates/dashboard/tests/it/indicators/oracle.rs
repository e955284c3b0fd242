//! Random walks against TA-Lib's own port to Rust, on every bar.

use dashboard::indicator::{Indicator, Ohlc};
use proptest::prelude::*;
use ta_lib::{Core, MAType, OutRange, RetCode};

use super::{
    config,
    walk::{Walk, indicators},
};

/// Of the price: indicators in its currency, such as the MACD, may themselves be next to nothing.
/// The RSI and the stochastic are held to 1e-8 of a full scale of 100.
const TOLERANCE: f64 = 1e-8;

/// What TA-Lib says: the index of the first value, and the lines from there on.
fn theirs(indicator: Indicator, bars: &[Ohlc]) -> Result<(usize, Vec<Vec<f64>>), RetCode> {
    let column = |price: fn(&Ohlc) -> f64| -> Vec<f64> { bars.iter().map(price).collect() };
    let high = column(Ohlc::high);
    let low = column(Ohlc::low);
    let close = column(Ohlc::close);
    let core = Core::new();
    let end = bars.len() - 1;
    let n = |bars: usize| i32::try_from(bars).expect("periods are short");
    let line = || vec![0.0; bars.len()];
    let (mut one, mut two, mut three) = (line(), line(), line());
    let (range, count): (OutRange, usize) = match indicator {
        Indicator::Rsi(period) => (core.rsi(0, end, &close, n(period.bars()), &mut one)?, 1),
        Indicator::Ema(period) => (core.ema(0, end, &close, n(period.bars()), &mut one)?, 1),
        Indicator::Sma(period) => (core.sma(0, end, &close, n(period.bars()), &mut one)?, 1),
        Indicator::Atr(period) => {
            let period = n(period.bars());
            (core.atr(0, end, &high, &low, &close, period, &mut one)?, 1)
        }
        Indicator::Macd(periods) => {
            let (fast, slow) = (n(periods.fast().bars()), n(periods.slow().bars()));
            let signal = n(periods.signal().bars());
            let (macd, line, gap) = (&mut one, &mut two, &mut three);
            let range = core.macd(0, end, &close, fast, slow, signal, macd, line, gap)?;
            (range, 3)
        }
        Indicator::Bbands { period, deviations } => {
            let (period, width) = (n(period.bars()), deviations.factor());
            let (up, mid, low) = (&mut one, &mut two, &mut three);
            let sma = MAType::SMA;
            let range = core.bbands(0, end, &close, period, width, width, sma, up, mid, low)?;
            (range, 3)
        }
        Indicator::Stoch {
            fast_k,
            slow_k,
            slow_d,
        } => {
            let (fast_k, slow_k) = (n(fast_k.bars()), n(slow_k.bars()));
            let (slow_d, sma) = (n(slow_d.bars()), MAType::SMA);
            let (k, d) = (&mut one, &mut two);
            let range = core.stoch(
                0, end, &high, &low, &close, fast_k, slow_k, sma, slow_d, sma, k, d,
            )?;
            (range, 2)
        }
    };
    let mut lines = vec![one, two, three];
    lines.truncate(count);
    for line in &mut lines {
        line.truncate(range.count);
    }
    Ok((range.beg_idx, lines))
}

proptest! {
    #![proptest_config(config(200, 0x1978_0001))]

    #[test]
    fn on_every_bar_of_a_random_walk_an_indicator_is_ta_libs(
        indicator in prop_oneof![indicators(30), indicators(500)],
        bars in 1..1_200_usize,
        seed: u64,
    ) {
        let bars: Vec<Ohlc> = Walk::from_seed(seed).take(bars).collect();
        let (first, lines) = theirs(indicator, &bars).expect("TA-Lib takes what we take");
        let ours: Vec<_> = indicator.series(bars.iter().copied()).collect();
        let count = ours.iter().filter(|value| value.is_ok()).count();
        prop_assert_eq!(count, lines[0].len());
        prop_assert_eq!(count, bars.len().saturating_sub(indicator.lookback()));
        for (at, value) in ours.iter().enumerate().skip(indicator.lookback()) {
            let value = value.expect("counted above");
            let scale = match indicator {
                Indicator::Rsi(_) | Indicator::Stoch { .. } => 100.0,
                _ => bars[at].close(),
            };
            for (line, (name, ours)) in lines.iter().zip(value.named()) {
                let theirs = line[at - first];
                prop_assert!(
                    (ours - theirs).abs() <= TOLERANCE * scale,
                    "{} of {} on bar {}: {} and not {}", name, indicator, at, ours, theirs
                );
            }
        }
    }
}
