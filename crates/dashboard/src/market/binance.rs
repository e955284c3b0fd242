//! Binance spot: prices of all coins in one call, and daily candles.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{
    candles::{self, Candles},
    checked::{Batch, change, decimal, millis, positive},
    error::UpstreamError,
    figure::{Figure, Reason, Value},
    rsi::rsi,
    symbol::Symbol,
    upstream::Upstream,
};
use crate::clock;

/// Twice what the RSI needs; the weight of the call does not depend on it.
const CANDLES_ASKED: &str = "500";
const DAY_MS: i64 = 86_400_000;
const RSI_PERIOD: usize = 14;

/// Fields are checked one by one, so that one broken coin does not take the others with it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticker {
    symbol: String,
    last_price: Option<Json>,
    price_change_percent: Option<Json>,
    close_time: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime {
    server_time: i64,
}

/// Prices and 24 h changes of these coins.
pub(crate) async fn prices(
    upstream: &Upstream,
    symbols: &[Symbol],
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let pairs: Vec<&str> = symbols.iter().map(|symbol| symbol.binance_pair()).collect();
    let asked = serde_json::to_string(&pairs).map_err(UpstreamError::NotDecodable)?;
    let tickers: Vec<Ticker> = upstream
        .read("/api/v3/ticker/24hr", &[("symbols", &asked)], deadline)
        .await?;
    // The order of the answer is not promised.
    let by_pair: HashMap<&str, &Ticker> = tickers
        .iter()
        .map(|ticker| (ticker.symbol.as_str(), ticker))
        .collect();
    let mut figures = Vec::with_capacity(symbols.len() * 2);
    for &symbol in symbols {
        let ticker = by_pair.get(symbol.binance_pair()).copied();
        let read = |figure, check: fn(&Ticker) -> Result<f64, Reason>| {
            let value = ticker
                .ok_or(Reason::NotInAnswer)
                .and_then(|ticker| Ok((Value::Number(check(ticker)?), closed_at(ticker)?)));
            (figure, value)
        };
        figures.push(read(Figure::Price(symbol), |ticker| {
            decimal(ticker.last_price.as_ref()).and_then(positive)
        }));
        figures.push(read(Figure::Change24h(symbol), |ticker| {
            // The change of a price that cannot be is not to be trusted either.
            decimal(ticker.last_price.as_ref()).and_then(positive)?;
            decimal(ticker.price_change_percent.as_ref()).and_then(change)
        }));
    }
    Ok(Batch {
        figures,
        lasts: None,
        received_at: clock::now(),
    })
}

fn closed_at(ticker: &Ticker) -> Result<jiff::Timestamp, Reason> {
    let ms = ticker
        .close_time
        .as_ref()
        .and_then(Json::as_i64)
        .ok_or(Reason::NotDecodable)?;
    millis(ms)
}

/// Daily candles of a coin, the closed ones.
pub(crate) async fn daily_candles(
    upstream: &Upstream,
    symbol: Symbol,
    deadline: Instant,
) -> Result<Candles, UpstreamError> {
    // The time first: a bar that ends between the two calls then counts as open, never an open bar
    // as closed.
    let time: ServerTime = upstream.read("/api/v3/time", &[], deadline).await?;
    let query = [
        ("symbol", symbol.binance_pair()),
        ("interval", "1d"),
        ("limit", CANDLES_ASKED),
    ];
    let rows: Vec<Vec<Json>> = upstream.read("/api/v3/klines", &query, deadline).await?;
    let bars: Result<Vec<_>, Reason> = rows.iter().map(|row| candles::bar(row)).collect();
    let source_time = millis(time.server_time).map_err(UpstreamError::Rejected)?;
    bars.and_then(|bars| Candles::from_bars(bars, DAY_MS, source_time, clock::now()))
        .map_err(UpstreamError::Rejected)
}

/// The figure that is computed from candles.
pub(crate) fn indicators(candles: &Candles) -> Batch {
    let value = rsi(&candles.closes(), RSI_PERIOD).and_then(|value| {
        let bar_time = candles.bar_time().ok_or(Reason::TooFewBars)?;
        Ok((Value::Number(value), bar_time))
    });
    Batch {
        figures: vec![(Figure::BtcRsi14, value)],
        lasts: None,
        received_at: candles.received_at,
    }
}
