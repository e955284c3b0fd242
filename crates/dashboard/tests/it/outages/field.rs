//! One wrong field of an answer that is right otherwise takes what is made of it, and no more.

use dashboard::market::figure::{Figure, Group, Reason, Source as Of};
use market_sim::{FaultKind, Poison};

use super::{
    BUSY, Case, NOBODY, play,
    queue::{Known, Outage},
    stage::Patience,
};

const EXCHANGES: &[Of] = &[Of::Binance, Of::Coinbase, Of::Kraken];
const EXCHANGES_BUT_KRAKEN: &[Of] = &[Of::Binance, Of::Coinbase];

/// A source's field, what it becomes and how that is called; what is made of it; who is gone besides.
type Row = (
    Of,
    (&'static str, Poison, Reason),
    fn(Figure) -> bool,
    &'static [Of],
);

fn rows() -> Vec<Row> {
    let null = |field| (field, Poison::Null, Reason::NotInAnswer);
    let text = |field| (field, Poison::Text, Reason::NotDecodable);
    let below_zero = |field| (field, Poison::Negative, Reason::OutOfRange);
    vec![
        (Of::Binance, below_zero("lastPrice"), is_of_coins, NOBODY),
        (Of::Binance, null("closeTime"), is_of_coins, NOBODY),
        (Of::Binance, null("priceChangePercent"), is_change, NOBODY),
        // Why Binance has none is what is told, for it was asked first.
        (
            Of::Binance,
            text("priceChangePercent"),
            is_change,
            &[Of::Coinbase, Of::CoinGecko, Of::CoinMarketCap],
        ),
        // The close of a kline.
        (Of::Binance, text("4"), is_rsi, NOBODY),
        (Of::Binance, text("serverTime"), is_rsi, NOBODY),
        (Of::Coinbase, text("last"), is_of_coins, &[Of::Binance]),
        (Of::Coinbase, null("open"), is_change, &[Of::Binance]),
        (Of::Kraken, null("c"), is_of_coins, EXCHANGES_BUT_KRAKEN),
        (Of::CoinGecko, text("usd_24h_change"), is_change, EXCHANGES),
        (Of::CoinGecko, null("total_volume"), is_volume, NOBODY),
        (Of::CoinGecko, text("updated_at"), is_of_the_market, NOBODY),
        (
            Of::CoinMarketCap,
            null("total_volume_24h"),
            is_volume,
            &[Of::CoinGecko],
        ),
        (
            Of::AlternativeMe,
            null("value_classification"),
            is_mood,
            NOBODY,
        ),
        (Of::AlternativeMe, text("timestamp"), is_mood, NOBODY),
        (Of::Finnhub, null("dp"), is_change, NOBODY),
        (Of::Finnhub, null("t"), is_of_funds, NOBODY),
        (Of::Taapi, null("value"), is_rsi, EXCHANGES),
    ]
}

#[test]
fn a_wrong_field_takes_the_figures_that_are_made_of_it_and_no_others() {
    let mut cases: Vec<Case> = Vec::new();
    for (of, (field, value, reason), hits, gone) in rows() {
        let field = field.to_owned();
        let outage = Outage {
            failing: vec![of],
            failure: (FaultKind::PoisonField { field, value }, reason),
            hits,
            gone,
        };
        cases.push((outage.clone(), Known::Nothing));
        cases.push((outage, Known::Everything));
    }
    play(cases, Patience::Ample, BUSY);
}

fn is_of_coins(figure: Figure) -> bool {
    figure.group() == Group::Prices
}

fn is_of_the_market(figure: Figure) -> bool {
    figure.group() == Group::Global
}

fn is_of_funds(figure: Figure) -> bool {
    figure.group() == Group::UsStocks
}

fn is_mood(figure: Figure) -> bool {
    figure.group() == Group::FearGreed
}

fn is_rsi(figure: Figure) -> bool {
    figure == Figure::BtcRsi14
}

fn is_volume(figure: Figure) -> bool {
    figure == Figure::Volume24h
}

fn is_change(figure: Figure) -> bool {
    matches!(figure, Figure::Change24h(_) | Figure::FundChange(_))
}
