//! Who is asked for what, one after the other (docs/adr/0014), and what follows from who fails.

use dashboard::market::{
    figure::{Figure, Group, Reason, Source as Of},
    stock::Fund,
    symbol::Symbol,
};
use market_sim::FaultKind;

use super::failure::{Failure, reason};

/// Every figure with every key.
pub(crate) fn figures() -> Vec<Figure> {
    Figure::all(&Symbol::ALL, &Fund::ALL)
}

/// Who is asked for a figure, one after the other until somebody knows.
fn queue(figure: Figure) -> &'static [Of] {
    match figure {
        // On neither of the other exchanges.
        Figure::Price(Symbol::Bnb) | Figure::Change24h(Symbol::Bnb) => {
            &[Of::Binance, Of::CoinGecko]
        }
        Figure::Price(_) => &[Of::Binance, Of::Coinbase, Of::Kraken, Of::CoinGecko],
        // Kraken tells the open of today, and not that of 24 hours ago.
        Figure::Change24h(_) => &[Of::Binance, Of::Coinbase, Of::CoinGecko],
        Figure::BtcRsi14 => &[Of::Binance, Of::Coinbase, Of::Kraken, Of::Taapi],
        Figure::MarketCap
        | Figure::Volume24h
        | Figure::MarketCapChange24h
        | Figure::BtcShare
        | Figure::EthShare => &[Of::CoinGecko, Of::CoinMarketCap],
        Figure::FearGreed | Figure::FearGreedLabel => &[Of::AlternativeMe],
        Figure::FundPrice(_) | Figure::FundChange(_) => &[Of::Finnhub],
    }
}

/// Who is asked for it before all others.
pub(crate) fn first(figure: Figure) -> Of {
    queue(figure)[0]
}

/// Asked each minute all the same: the witness of prices.
pub(crate) const WITNESS: Of = Of::Kraken;

/// What was known when an outage began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    /// A good value of every figure, some minutes old.
    Everything,
}

/// Who fails, and how.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) failing: Vec<Of>,
    pub(crate) failure: Failure,
    /// Which figures it takes.
    pub(crate) hits: fn(Figure) -> bool,
    /// Sources that are gone besides, so that those behind them are asked.
    pub(crate) gone: &'static [Of],
}

/// What there is of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A source says so now.
    Said(Of),
    /// Everybody failed, the first of whom for this reason: the last good value, or none.
    Nothing(Reason),
}

impl Outage {
    /// All is well.
    pub(crate) fn none() -> Self {
        Self {
            failing: Vec::new(),
            failure: (FaultKind::Hang, Reason::TimedOut),
            hits: everything,
            gone: &[],
        }
    }

    /// What a source's answer about a figure fails for, if it fails.
    pub(crate) fn trouble(&self, of: Of, figure: Figure) -> Option<Reason> {
        if self.gone.contains(&of) {
            return Some(Reason::Refused);
        }
        if self.failing.contains(&of) && (self.hits)(figure) {
            return reason(of, figure.group(), &self.failure);
        }
        None
    }

    pub(crate) fn found(&self, figure: Figure) -> Found {
        let mut queue = queue(figure).iter();
        let sound = queue.find(|of| self.trouble(**of, figure).is_none());
        match (sound, self.trouble(first(figure), figure)) {
            (Some(of), _) => Found::Said(*of),
            (None, Some(reason)) => Found::Nothing(reason),
            (None, None) => unreachable!("the first is sound, or in trouble"),
        }
    }

    /// Whether the source is asked for anything.
    pub(crate) fn is_asked(&self, of: Of) -> bool {
        !self.asked_for(of).is_empty()
    }

    /// The troubles that it may be in: one for each question whose answer is of no use at all.
    pub(crate) fn troubles(&self, of: Of) -> Vec<Reason> {
        let asked = self.asked_for(of);
        let is_useful = |group: Group| {
            let mut about = asked.iter().filter(|figure| figure.group() == group);
            about.any(|figure| self.trouble(of, *figure).is_none())
        };
        let useless = asked.iter().filter(|figure| !is_useful(figure.group()));
        let troubles = useless.filter_map(|figure| self.trouble(of, *figure));
        troubles.collect()
    }

    /// What it is asked for: where all before it fail, and as the witness.
    fn asked_for(&self, of: Of) -> Vec<Figure> {
        let is_asked = |figure: &Figure| {
            let queue = queue(*figure);
            let Some(place) = queue.iter().position(|one| *one == of) else {
                return false;
            };
            let fails = |of: &Of| self.trouble(*of, *figure).is_some();
            let is_witness = of == WITNESS && figure.group() == Group::Prices;
            is_witness || queue[..place].iter().all(fails)
        };
        figures().into_iter().filter(is_asked).collect()
    }
}

/// A failure of the whole source.
pub(crate) fn everything(_: Figure) -> bool {
    true
}
