//! Funds that stand for the US stock market.

use serde::{Deserialize, Serialize};

/// A fund that follows an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Fund {
    Spy,
    Qqq,
    Dia,
}

impl Fund {
    /// Every fund, in the order of the JSON.
    pub const ALL: [Self; 3] = [Self::Spy, Self::Qqq, Self::Dia];

    /// What it is traded as.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Spy => "SPY",
            Self::Qqq => "QQQ",
            Self::Dia => "DIA",
        }
    }

    /// The index that it follows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spy => "S&P 500",
            Self::Qqq => "Nasdaq-100",
            Self::Dia => "Dow Jones",
        }
    }
}
