//! Indicators over a series of bars, in the conventions of TA-Lib.
//!
//! Each answers for the last bar, and nothing if there are too few.

use crate::market::Bar;

/// Moving average convergence and divergence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Macd {
    pub(crate) line: f64,
    pub(crate) signal: f64,
}

/// The mean, and a band around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bands {
    pub(crate) upper: f64,
    pub(crate) middle: f64,
    pub(crate) lower: f64,
}

/// Where the close lies between the extremes, and its mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stochastic {
    pub(crate) k: f64,
    pub(crate) d: f64,
}

/// The closes of the bars.
pub(crate) fn closes(bars: &[Bar]) -> Vec<f64> {
    bars.iter().map(|bar| bar.close.as_f64()).collect()
}

/// Wilder's relative strength; 0 for a series that never moves.
pub(crate) fn rsi(closes: &[f64], period: usize) -> Option<f64> {
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let gains: Vec<f64> = changes.iter().map(|change| change.max(0.0)).collect();
    let losses: Vec<f64> = changes.iter().map(|change| (-change).max(0.0)).collect();
    let (gain, loss) = (wilder(&gains, period)?, wilder(&losses, period)?);
    let moved = gain + loss;
    Some(if moved == 0.0 {
        0.0
    } else {
        gain / moved * 100.0
    })
}

/// Wilder's average of the true range.
pub(crate) fn atr(bars: &[Bar], period: usize) -> Option<f64> {
    let range = |pair: &[Bar]| {
        let before = pair[0].close;
        (pair[1].high.max(before) - pair[1].low.min(before)).as_f64()
    };
    let ranges: Vec<f64> = bars.windows(2).map(range).collect();
    wilder(&ranges, period)
}

/// The mean of the last `period`.
pub(crate) fn sma(values: &[f64], period: usize) -> Option<f64> {
    let first = values.len().checked_sub(period)?;
    Some(mean(&values[first..]))
}

/// The exponential mean, begun with the mean of the first `period`.
pub(crate) fn ema(values: &[f64], period: usize) -> Option<f64> {
    ema_series(values, period).last().copied()
}

/// The fast mean is begun anew where the slow one begins, as TA-Lib does it.
pub(crate) fn macd(closes: &[f64], fast: usize, slow: usize, signal: usize) -> Option<Macd> {
    let skipped = slow.checked_sub(fast)?;
    let fast = ema_series(closes.get(skipped..)?, fast);
    let slow = ema_series(closes, slow);
    let line: Vec<f64> = fast
        .iter()
        .zip(&slow)
        .map(|(fast, slow)| fast - slow)
        .collect();
    Some(Macd {
        line: *line.last()?,
        signal: ema(&line, signal)?,
    })
}

/// Bollinger's bands: so many deviations of the whole population from the mean.
pub(crate) fn bands(closes: &[f64], period: usize, deviations: f64) -> Option<Bands> {
    let first = closes.len().checked_sub(period)?;
    let last = &closes[first..];
    let middle = mean(last);
    let squares: f64 = last.iter().map(|close| (close - middle).powi(2)).sum();
    let width = (squares / period as f64).sqrt() * deviations;
    Some(Bands {
        upper: middle + width,
        middle,
        lower: middle - width,
    })
}

/// The slow stochastic: `k` smoothed by a mean, and `d` the mean of that.
pub(crate) fn stochastic(
    bars: &[Bar],
    period: usize,
    smoothing: usize,
    d_period: usize,
) -> Option<Stochastic> {
    let fast: Vec<f64> = bars.windows(period).map(place_of_close).collect();
    let slow: Vec<f64> = fast.windows(smoothing).map(mean).collect();
    Some(Stochastic {
        k: *slow.last()?,
        d: sma(&slow, d_period)?,
    })
}

/// Where the last close lies between the lowest low (0) and the highest high (100).
fn place_of_close(bars: &[Bar]) -> f64 {
    let lows = bars.iter().map(|bar| bar.low.as_f64());
    let highs = bars.iter().map(|bar| bar.high.as_f64());
    let (low, high) = (
        lows.fold(f64::MAX, f64::min),
        highs.fold(f64::MIN, f64::max),
    );
    let close = bars.last().map_or(low, |bar| bar.close.as_f64());
    if high == low {
        0.0
    } else {
        (close - low) / (high - low) * 100.0
    }
}

/// Wilder's mean: begun with the mean of the first `period`, then one part in `period` of each.
fn wilder(values: &[f64], period: usize) -> Option<f64> {
    let (first, rest) = values.split_at_checked(period)?;
    let weight = 1.0 / period as f64;
    let blend = |before: f64, value: &f64| before + (value - before) * weight;
    Some(rest.iter().fold(mean(first), blend))
}

/// The exponential mean at every value from the `period`th on.
fn ema_series(values: &[f64], period: usize) -> Vec<f64> {
    let Some((first, rest)) = values.split_at_checked(period) else {
        return Vec::new();
    };
    let weight = 2.0 / (period as f64 + 1.0);
    let mut series = vec![mean(first)];
    let mut last = series[0];
    for value in rest {
        last += (value - last) * weight;
        series.push(last);
    }
    series
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
