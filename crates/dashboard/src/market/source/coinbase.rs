//! Coinbase Exchange: the second place that is asked for prices and candles. Quoted in USD.

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{Source, one_then_all};
use crate::{
    cache::keys::Interval,
    market::{
        batch::Batch,
        candles::{Bar, Candles},
        checked::{change, decimal, instant, number, positive, volume},
        error::UpstreamError,
        figure::{Figure, Group, Reason, Value},
        symbol::Symbol,
        ticker::Ticker,
        upstream::{Ask, Upstream},
    },
};

/// The day so far, 24 h of it. Fields are checked one by one.
#[derive(Deserialize)]
struct Stats {
    open: Option<Json>,
    high: Option<Json>,
    low: Option<Json>,
    last: Option<Json>,
    volume: Option<Json>,
}

/// The product that quotes a coin in USD.
const fn product(symbol: Symbol) -> Option<&'static str> {
    match symbol {
        Symbol::Btc => Some("BTC-USD"),
        Symbol::Eth => Some("ETH-USD"),
        Symbol::Sol => Some("SOL-USD"),
        Symbol::Xrp => Some("XRP-USD"),
        Symbol::Ada => Some("ADA-USD"),
        Symbol::Link => Some("LINK-USD"),
        Symbol::Bnb => None,
    }
}

/// Prices and 24 h changes. One call for each coin.
pub(crate) async fn prices(
    upstream: &Upstream,
    symbols: &[Symbol],
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let offered = symbols.iter().copied();
    let offered: Vec<Symbol> = offered
        .filter(|&symbol| product(symbol).is_some())
        .collect();
    if offered.is_empty() {
        return Err(UpstreamError::NotOffered);
    }
    let read = |symbol| ticker(upstream, symbol, deadline);
    let mut batch = Batch::new();
    let mut failed = None;
    for (symbol, read) in one_then_all(&offered, read).await? {
        let now = upstream.now();
        let (price, change) = match read {
            Ok(ticker) => (
                Ok((Value::Number(ticker.price), ticker.observed_at)),
                ticker
                    .change_24h
                    .map(|change| (Value::Number(change), ticker.observed_at))
                    .ok_or(Reason::OutOfRange),
            ),
            Err(error) => {
                let reason = error.reason();
                failed.get_or_insert(error);
                (Err(reason), Err(reason))
            }
        };
        batch.note(Figure::Price(symbol), Source::Coinbase, now, price);
        batch.note(Figure::Change24h(symbol), Source::Coinbase, now, change);
    }
    match failed {
        Some(error) if !batch.has_value() => Err(error),
        _ => batch.or_rejected(),
    }
}

/// One coin's last 24 h.
pub(crate) async fn ticker(
    upstream: &Upstream,
    symbol: Symbol,
    deadline: Instant,
) -> Result<Ticker, UpstreamError> {
    let product = product(symbol).ok_or(UpstreamError::NotOffered)?;
    let path = format!("/products/{product}/stats");
    let stats: Stats = upstream
        .read(&Ask::new(Group::Prices, &path), deadline)
        .await?;
    let price = |json: &Option<Json>| decimal(json.as_ref()).and_then(positive);
    let last = price(&stats.last)?;
    let open = price(&stats.open).ok();
    Ok(Ticker {
        symbol,
        source: Source::Coinbase,
        price: last,
        change_24h: open.and_then(|open| change((last - open) / open * 100.0).ok()),
        open_24h: open,
        high_24h: price(&stats.high).ok(),
        low_24h: price(&stats.low).ok(),
        volume_24h: decimal(stats.volume.as_ref()).and_then(volume).ok(),
        quote_volume_24h: None,
        // The answer names no time: it is of the moment it was given.
        observed_at: upstream.now(),
        received_at: upstream.now(),
    })
}

/// Whether it has candles of this length: some lengths that Binance has are missing here.
const fn granularity(interval: Interval) -> Option<&'static str> {
    match interval {
        Interval::Minute1 => Some("60"),
        Interval::Minute5 => Some("300"),
        Interval::Minute15 => Some("900"),
        Interval::Hour1 => Some("3600"),
        Interval::Hour6 => Some("21600"),
        Interval::Day1 => Some("86400"),
        _ => None,
    }
}

/// The newest 300 bars: `[time in s, low, high, open, close, volume]`, in no promised order.
/// Where nothing was traded a bar is missing, and the candles are refused.
pub(crate) async fn candles(
    upstream: &Upstream,
    symbol: Symbol,
    interval: Interval,
    deadline: Instant,
) -> Result<Candles, UpstreamError> {
    let offered = product(symbol).zip(granularity(interval));
    let (product, granularity) = offered.ok_or(UpstreamError::NotOffered)?;
    let asked_at = upstream.now();
    let path = format!("/products/{product}/candles");
    let ask = Ask::new(Group::Candles, &path).query("granularity", granularity);
    let rows: Vec<Vec<Json>> = upstream.read(&ask, deadline).await?;
    let row = |row: &Vec<Json>| {
        let price = |index: usize| number(row.get(index)).and_then(positive);
        let open_ms = instant(row.first(), 1_000)?.as_millisecond();
        let bar = Bar {
            open_ms,
            close_ms: interval.end_ms(open_ms).ok_or(Reason::OutOfRange)?,
            open: price(3)?,
            high: price(2)?,
            low: price(1)?,
            close: price(4)?,
            volume: number(row.get(5)).and_then(volume)?,
        };
        bar.checked()
    };
    let bars: Result<Vec<Bar>, Reason> = rows.iter().map(row).collect();
    let mut bars = bars?;
    bars.sort_by_key(|bar| bar.open_ms);
    // Our own clock, from before the question: a bar that ends meanwhile counts as open.
    Candles::of(bars, interval, Source::Coinbase, asked_at, upstream.now())
        .map_err(UpstreamError::from)
}
