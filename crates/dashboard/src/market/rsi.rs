//! The relative strength index after Wilder, by TA-Lib's conventions.

use super::figure::Reason;

/// Bars that a value needs before its warm-up error is below what anybody can see: on a random walk
/// with 2 % steps, 100 bars are wrong in the third decimal and 250 in the seventh.
pub const BARS_NEEDED: usize = 250;

/// RSI over closing prices, oldest first; the value belongs to the last of them.
///
/// The first averages are plain means of the first `period` gains and losses, each later one is
/// `(previous * (period - 1) + x) / period`.
///
/// # Errors
/// `TooFewBars` below [`BARS_NEEDED`], and `FlatWindow` where nothing ever moved: TA-Lib says 0
/// there and others say 50, so there is no value to publish.
pub fn rsi(closes: &[f64], period: usize) -> Result<f64, Reason> {
    if closes.len() < BARS_NEEDED.max(period + 1) || period == 0 {
        return Err(Reason::TooFewBars);
    }
    let length = period as f64;
    let mut gain = 0.0;
    let mut loss = 0.0;
    for (index, pair) in closes.windows(2).enumerate() {
        let change = pair[1] - pair[0];
        let (up, down) = (change.max(0.0), (-change).max(0.0));
        if index < period {
            gain += up / length;
            loss += down / length;
        } else {
            gain = (gain * (length - 1.0) + up) / length;
            loss = (loss * (length - 1.0) + down) / length;
        }
    }
    let moved = gain + loss;
    if moved <= 0.0 {
        Err(Reason::FlatWindow)
    } else {
        Ok(100.0 * gain / moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_series_is_100_and_a_falling_one_is_0() {
        let rising: Vec<f64> = (0..300).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert_eq!(rsi(&rising, 14), Ok(100.0));
        assert_eq!(rsi(&falling, 14), Ok(0.0));
    }

    #[test]
    fn a_series_that_never_moved_has_no_value() {
        assert_eq!(rsi(&[7.0; 300], 14), Err(Reason::FlatWindow));
    }

    #[test]
    fn too_few_bars_give_a_reason_and_never_a_value() {
        let closes: Vec<f64> = (0..249).map(|n| f64::from(n % 7)).collect();
        assert_eq!(rsi(&closes, 14), Err(Reason::TooFewBars));
    }
}
