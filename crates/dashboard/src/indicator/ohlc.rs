//! What indicators are computed from: the prices of one bar.

/// The prices of one bar.
///
/// Invariant: each is a number of at most [`Ohlc::LARGEST`], and open and close lie between low and
/// high. That is why no indicator has to ask whether its sums and squares are still finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ohlc {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

/// Prices that are not those of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBar {
    /// It is infinite or no number at all.
    #[error("a price of the bar is not a finite number")]
    NotFinite,
    /// Its square, summed up, could be infinite.
    #[error("a price of the bar is beyond 1e100")]
    TooLarge,
    /// One of them, the high or the low, is not what it says.
    #[error("open and close of the bar are not between its low and its high")]
    OutOfOrder,
}

impl Ohlc {
    /// The largest price that is taken, in either direction: the squares of 500 of them have a sum.
    pub const LARGEST: f64 = 1e100;

    /// A bar of these prices, in one currency.
    ///
    /// # Errors
    /// When they are not finite, too large, or not in order.
    ///
    /// ```
    /// # use dashboard::indicator::{BadBar, Ohlc};
    /// assert!(Ohlc::new(2.0, 4.0, 1.0, 3.0).is_ok());
    /// assert_eq!(Ohlc::new(2.0, f64::INFINITY, 1.0, 3.0), Err(BadBar::NotFinite));
    /// assert_eq!(Ohlc::new(2.0, 1e101, 1.0, 3.0), Err(BadBar::TooLarge));
    /// assert_eq!(Ohlc::new(2.0, 2.5, 1.0, 3.0), Err(BadBar::OutOfOrder));
    /// ```
    pub fn new(open: f64, high: f64, low: f64, close: f64) -> Result<Self, BadBar> {
        let prices = [open, high, low, close];
        if !prices.iter().all(|price| price.is_finite()) {
            Err(BadBar::NotFinite)
        } else if prices.iter().any(|price| price.abs() > Self::LARGEST) {
            Err(BadBar::TooLarge)
        } else if low > open.min(close) || high < open.max(close) {
            Err(BadBar::OutOfOrder)
        } else {
            Ok(Self {
                open,
                high,
                low,
                close,
            })
        }
    }

    /// A bar in which the price never moved: for series of which only the closes are known.
    ///
    /// # Errors
    /// When it is not finite or too large.
    ///
    /// ```
    /// # use dashboard::indicator::{BadBar, Ohlc};
    /// assert_eq!(Ohlc::from_price(2.0), Ohlc::new(2.0, 2.0, 2.0, 2.0));
    /// assert_eq!(Ohlc::from_price(f64::NAN), Err(BadBar::NotFinite));
    /// ```
    pub fn from_price(price: f64) -> Result<Self, BadBar> {
        Self::new(price, price, price, price)
    }

    /// The first price.
    pub const fn open(&self) -> f64 {
        self.open
    }

    /// The highest price.
    pub const fn high(&self) -> f64 {
        self.high
    }

    /// The lowest price.
    pub const fn low(&self) -> f64 {
        self.low
    }

    /// The last price.
    pub const fn close(&self) -> f64 {
        self.close
    }
}
