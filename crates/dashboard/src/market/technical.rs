//! An indicator of one coin, computed here from candles.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    candles::{Bar, Candles},
    figure::Reason,
    source::Source,
};
use crate::indicator::{BadBar, Indicator, NoValue, Ohlc, Value};

/// What an indicator says on the newest bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Technical {
    /// What it says. Invariant: finite.
    pub value: Value,
    /// The last moment of the bar that it is about.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub bar_time: Timestamp,
    /// Whether that bar was closed by the source's own time.
    pub bar_closed: bool,
    /// How many bars it was computed from, that one included.
    pub bars_used: usize,
    /// Who published the candles.
    pub source: Source,
    /// When they reached us.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub received_at: Timestamp,
}

/// Which bar an indicator is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastBar {
    /// The newest closed one: the value stays until the next one closes.
    #[default]
    Closed,
    /// The open one, where the source sends it: the value changes with each trade.
    Live,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTechnical {
    /// The indicator has none on these bars.
    #[error(transparent)]
    NoValue(#[from] NoValue),
    /// A bar's prices cannot belong together: what was stored is damaged.
    #[error(transparent)]
    BadBar(#[from] BadBar),
    /// The source sent no open bar.
    #[error("the source sends no open bar")]
    NoOpenBar,
}

impl Technical {
    /// Computes it.
    ///
    /// # Errors
    /// [`NoTechnical`]: nothing is made up.
    pub fn of(indicator: Indicator, candles: &Candles, last: LastBar) -> Result<Self, NoTechnical> {
        let closed = candles.closed.iter().map(Bar::ohlc);
        let closed: Vec<Ohlc> = closed.collect::<Result<_, _>>()?;
        let (value, bar, extra) = match last {
            LastBar::Closed => {
                let value = indicator.value(closed)?;
                (value, candles.closed.last(), 0)
            }
            LastBar::Live => {
                let open = candles.open.as_ref().ok_or(NoTechnical::NoOpenBar)?;
                (indicator.live_value(closed, open.ohlc()?)?, Some(open), 1)
            }
        };
        let too_few = NoValue::TooFewBars { have: 0, need: 1 };
        let bar = bar.ok_or(too_few)?;
        Ok(Self {
            value,
            bar_time: Timestamp::from_millisecond(bar.close_ms).map_err(|_| too_few)?,
            bar_closed: last == LastBar::Closed,
            bars_used: candles.closed.len() + extra,
            source: candles.source,
            received_at: candles.received_at,
        })
    }
}

impl Bar {
    fn ohlc(&self) -> Result<Ohlc, BadBar> {
        Ohlc::new(self.open, self.high, self.low, self.close)
    }
}

impl From<NoTechnical> for Reason {
    fn from(no_value: NoTechnical) -> Self {
        match no_value {
            NoTechnical::NoValue(NoValue::TooFewBars { .. }) => Self::TooFewBars,
            NoTechnical::NoValue(NoValue::Flat) => Self::FlatWindow,
            NoTechnical::BadBar(_) => Self::OutOfRange,
            NoTechnical::NoOpenBar => Self::NotInAnswer,
        }
    }
}
