//! Which words are not believed, though they can be true (docs/adr/0014).

use dashboard::market::{
    figure::{Figure, Source as Of},
    symbol::Symbol,
};
use market_sim::{FaultKind, Poison};
use serde_json::{Value, json};

use super::{
    queue::{Found, Known, Outage, WITNESS, first},
    truth::Truths,
};

/// One of two that are further apart is wrong.
const MOST_APART: f64 = 1.2;

/// What the source says; where it lies, that.
pub(crate) fn said(truths: &Truths, of: Of, figure: Figure, outage: &Outage) -> Value {
    let truth = truths.now.said(of, figure);
    match outage.failure.0 {
        _ if !outage.failing.contains(&of) => truth.clone(),
        FaultKind::Skew { percent } => truths.seen_at(percent).said(of, figure).clone(),
        FaultKind::Poison {
            value: Poison::Zero,
        } if truth.is_number() => json!(0),
        _ => truth.clone(),
    }
}

/// Whether a figure that was said is not good, because somebody contradicts it.
pub(crate) fn is_doubted(figure: Figure, outage: &Outage, known: Known, truths: &Truths) -> bool {
    let level = level(figure);
    let Found::Said(of) = outage.found(level) else {
        return false;
    };
    let says = |of: Of, level: Figure| said(truths, of, level, outage);
    // Who is asked first is held against the witness alone.
    let is_odd = known == Known::Everything && of != first(level) && {
        let last_good = truths.before.said(first(level), level);
        are_apart(&says(of, level), last_good)
    };
    let is_denied = witnessed(level, of, outage)
        .is_some_and(|level| are_apart(&says(of, level), &says(WITNESS, level)));
    is_odd || is_denied
}

/// A change in percent stands and falls with what has changed.
fn level(figure: Figure) -> Figure {
    match figure {
        Figure::Change24h(symbol) => Figure::Price(symbol),
        Figure::MarketCapChange24h => Figure::MarketCap,
        Figure::FundChange(fund) => Figure::FundPrice(fund),
        level => level,
    }
}

/// The price that tells whether the witness agrees: that of a coin which it does not have falls with
/// the others that the same source gave.
fn witnessed(level: Figure, of: Of, outage: &Outage) -> Option<Figure> {
    let Figure::Price(symbol) = level else {
        return None;
    };
    let price = match symbol {
        Symbol::Bnb => Figure::Price(Symbol::Btc),
        _ => level,
    };
    let is_heard = outage.trouble(WITNESS, level).is_none();
    let is_comparable = of != WITNESS && outage.found(price) == Found::Said(of);
    (is_heard && is_comparable).then_some(price)
}

fn are_apart(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) else {
        return false;
    };
    one.max(other) > one.min(other) * MOST_APART
}
