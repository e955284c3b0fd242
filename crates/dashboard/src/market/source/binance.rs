//! Binance spot: the first place that is asked for prices and candles. Quoted in USDT.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::Source;
use crate::{
    cache::keys::Interval,
    market::{
        batch::{Batch, Checked},
        candles::{Bar, Candles},
        checked::{change, decimal, instant, positive, volume},
        error::UpstreamError,
        figure::{Figure, Group, Reason, Value},
        symbol::Symbol,
        ticker::Ticker,
        upstream::{Ask, Upstream},
    },
};

/// The most that there is; the weight of the call does not depend on it.
const CANDLES_ASKED: &str = "1000";

/// Fields are checked one by one, so that one broken coin does not take the others with it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Day {
    symbol: String,
    last_price: Option<Json>,
    price_change_percent: Option<Json>,
    open_price: Option<Json>,
    high_price: Option<Json>,
    low_price: Option<Json>,
    volume: Option<Json>,
    quote_volume: Option<Json>,
    close_time: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime {
    server_time: Option<Json>,
}

/// Prices and 24 h changes, in one call.
pub(crate) async fn prices(
    upstream: &Upstream,
    symbols: &[Symbol],
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let pairs: Vec<&str> = symbols.iter().map(|symbol| symbol.binance_pair()).collect();
    let asked = serde_json::to_string(&pairs).map_err(UpstreamError::NotDecodable)?;
    let ask = Ask::new(Group::Prices, "/api/v3/ticker/24hr").query("symbols", &asked);
    let days: Vec<Day> = upstream.read(&ask.weight(2), deadline).await?;
    // The order of the answer is not promised.
    let by_pair: HashMap<&str, &Day> = days.iter().map(|day| (day.symbol.as_str(), day)).collect();
    let now = upstream.now();
    let mut batch = Batch::new();
    for &symbol in symbols {
        let day = by_pair.get(symbol.binance_pair()).copied();
        let day = day.ok_or(Reason::NotInAnswer);
        let of = |read: fn(&Day) -> Result<f64, Reason>| -> Checked {
            let day = day?;
            Ok((Value::Number(read(day)?), day.at()?))
        };
        batch.note(Figure::Price(symbol), Source::Binance, now, of(Day::price));
        let change = of(Day::change);
        batch.note(Figure::Change24h(symbol), Source::Binance, now, change);
    }
    batch.or_rejected()
}

/// One coin's last 24 h.
pub(crate) async fn ticker(
    upstream: &Upstream,
    symbol: Symbol,
    deadline: Instant,
) -> Result<Ticker, UpstreamError> {
    let ask = Ask::new(Group::Prices, "/api/v3/ticker/24hr").query("symbol", symbol.binance_pair());
    let day: Day = upstream.read(&ask.weight(2), deadline).await?;
    if day.symbol != symbol.binance_pair() {
        return Err(UpstreamError::Rejected(Reason::NotInAnswer));
    }
    let price = |json: &Option<Json>| decimal(json.as_ref()).and_then(positive).ok();
    let amount = |json: &Option<Json>| decimal(json.as_ref()).and_then(volume).ok();
    Ok(Ticker {
        symbol,
        source: Source::Binance,
        price: day.price()?,
        change_24h: day.change().ok(),
        open_24h: price(&day.open_price),
        high_24h: price(&day.high_price),
        low_24h: price(&day.low_price),
        volume_24h: amount(&day.volume),
        quote_volume_24h: amount(&day.quote_volume),
        observed_at: day.at()?,
        received_at: upstream.now(),
    })
}

impl Day {
    fn price(&self) -> Result<f64, Reason> {
        decimal(self.last_price.as_ref()).and_then(positive)
    }

    /// The change of a price that cannot be is not to be trusted either.
    fn change(&self) -> Result<f64, Reason> {
        self.price()?;
        decimal(self.price_change_percent.as_ref()).and_then(change)
    }

    fn at(&self) -> Result<jiff::Timestamp, Reason> {
        instant(self.close_time.as_ref(), 1)
    }
}

/// The newest 1,000 bars of a coin, the last of them still open.
pub(crate) async fn candles(
    upstream: &Upstream,
    symbol: Symbol,
    interval: Interval,
    deadline: Instant,
) -> Result<Candles, UpstreamError> {
    // The time first: a bar that ends between the two calls then counts as open, never an open bar
    // as closed.
    let time: ServerTime = upstream
        .read(&Ask::new(Group::Candles, "/api/v3/time"), deadline)
        .await?;
    let source_time = instant(time.server_time.as_ref(), 1)?;
    let ask = Ask::new(Group::Candles, "/api/v3/klines")
        .query("symbol", symbol.binance_pair())
        .query("interval", code(interval))
        .query("limit", CANDLES_ASKED);
    let rows: Vec<Vec<Json>> = upstream.read(&ask.weight(2), deadline).await?;
    let bars: Result<Vec<Bar>, Reason> = rows.iter().map(|row| bar(row)).collect();
    let bars = bars?;
    Candles::of(bars, interval, Source::Binance, source_time, upstream.now())
        .map_err(UpstreamError::from)
}

/// Case-sensitive there: `1m` is a minute, `1M` a month.
pub(crate) const fn code(interval: Interval) -> &'static str {
    match interval {
        Interval::Month1 => "1M",
        other => other.code(),
    }
}

/// Rows of twelve; the prices are decimals in strings.
fn bar(row: &[Json]) -> Result<Bar, Reason> {
    let price = |index: usize| decimal(row.get(index)).and_then(positive);
    let bar = Bar {
        open_ms: instant(row.first(), 1)?.as_millisecond(),
        close_ms: instant(row.get(6), 1)?.as_millisecond(),
        open: price(1)?,
        high: price(2)?,
        low: price(3)?,
        close: price(4)?,
        volume: decimal(row.get(5)).and_then(volume)?,
    };
    bar.checked()
}
