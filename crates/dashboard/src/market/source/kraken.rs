//! Kraken: the third place that is asked for prices and candles, and the witness of prices.
//! Quoted in USD. Its failures come with status 200.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value as Json;
use tokio::time::Instant;

use super::Source;
use crate::{
    cache::keys::Interval,
    market::{
        batch::Batch,
        candles::{Bar, Candles},
        checked::{decimal, instant, positive, volume},
        error::UpstreamError,
        figure::{Figure, Group, Reason, Value},
        symbol::Symbol,
        ticker::Ticker,
        upstream::{Ask, Upstream},
    },
};

#[derive(Deserialize)]
struct Envelope<T> {
    error: Vec<String>,
    result: Option<T>,
}

/// `[today, last 24 hours]` where a field has two values; `c` is the last trade, price and lot.
/// `o` is the open of today, not of 24 hours ago: no change can be had from it.
#[derive(Deserialize)]
struct Pair {
    c: Option<Vec<Json>>,
    v: Option<Vec<Json>>,
    h: Option<Vec<Json>>,
    l: Option<Vec<Json>>,
}

/// What a pair is asked for as, and the name under which it is answered.
const fn pair(symbol: Symbol) -> Option<(&'static str, &'static str)> {
    match symbol {
        Symbol::Btc => Some(("XBTUSD", "XXBTZUSD")),
        Symbol::Eth => Some(("ETHUSD", "XETHZUSD")),
        Symbol::Sol => Some(("SOLUSD", "SOLUSD")),
        Symbol::Xrp => Some(("XRPUSD", "XXRPZUSD")),
        Symbol::Ada => Some(("ADAUSD", "ADAUSD")),
        Symbol::Link => Some(("LINKUSD", "LINKUSD")),
        Symbol::Bnb => None,
    }
}

/// The last prices, in one call: to show them, or to hold others against them. One unknown pair would
/// fail the whole list.
pub(crate) async fn prices(
    upstream: &Upstream,
    group: Group,
    symbols: &[Symbol],
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let offered = symbols
        .iter()
        .filter_map(|&symbol| Some((symbol, pair(symbol)?)));
    let offered: Vec<(Symbol, (&str, &str))> = offered.collect();
    if offered.is_empty() {
        return Err(UpstreamError::NotOffered);
    }
    let asked: Vec<&str> = offered.iter().map(|(_, (asked, _))| *asked).collect();
    let pairs: HashMap<String, Pair> =
        ticker_of(upstream, group, &asked.join(","), deadline).await?;
    let now = upstream.now();
    let mut batch = Batch::new();
    for (symbol, (_, name)) in offered {
        let price = pairs
            .get(name)
            .ok_or(Reason::NotInAnswer)
            .and_then(|pair| at(&pair.c, 0))
            .map(|price| (Value::Number(price), now));
        batch.note(Figure::Price(symbol), Source::Kraken, now, price);
    }
    batch.or_rejected()
}

/// One coin's last price, and what it did in 24 h but for the change.
pub(crate) async fn ticker(
    upstream: &Upstream,
    symbol: Symbol,
    deadline: Instant,
) -> Result<Ticker, UpstreamError> {
    let (asked, name) = pair(symbol).ok_or(UpstreamError::NotOffered)?;
    let pairs = ticker_of(upstream, Group::Prices, asked, deadline).await?;
    let pair = pairs
        .get(name)
        .ok_or(UpstreamError::Rejected(Reason::NotInAnswer))?;
    Ok(Ticker {
        symbol,
        source: Source::Kraken,
        price: at(&pair.c, 0)?,
        change_24h: None,
        open_24h: None,
        high_24h: at(&pair.h, 1).ok(),
        low_24h: at(&pair.l, 1).ok(),
        volume_24h: at(&pair.v, 1).ok(),
        quote_volume_24h: None,
        observed_at: upstream.now(),
        received_at: upstream.now(),
    })
}

/// Lengths in minutes.
const fn minutes(interval: Interval) -> Option<&'static str> {
    match interval {
        Interval::Minute1 => Some("1"),
        Interval::Minute5 => Some("5"),
        Interval::Minute15 => Some("15"),
        Interval::Minute30 => Some("30"),
        Interval::Hour1 => Some("60"),
        Interval::Hour4 => Some("240"),
        Interval::Day1 => Some("1440"),
        _ => None,
    }
}

/// The newest 720 bars: `[time in s, open, high, low, close, vwap, volume, count]`, the last of them
/// not finished; `last` stands beside them.
pub(crate) async fn candles(
    upstream: &Upstream,
    symbol: Symbol,
    interval: Interval,
    deadline: Instant,
) -> Result<Candles, UpstreamError> {
    let offered = pair(symbol).zip(minutes(interval));
    let ((asked, name), minutes) = offered.ok_or(UpstreamError::NotOffered)?;
    let asked_at = upstream.now();
    let ask = Ask::new(Group::Candles, "/0/public/OHLC")
        .query("pair", asked)
        .query("interval", minutes);
    let answer: HashMap<String, Json> = upstream.read_with(&ask, deadline, opened).await?;
    let rows = answer.get(name).and_then(Json::as_array);
    let rows = rows.ok_or(UpstreamError::Rejected(Reason::NotInAnswer))?;
    let bars: Result<Vec<Bar>, Reason> = rows.iter().map(|row| bar(row, interval)).collect();
    let bars = bars?;
    Candles::of(bars, interval, Source::Kraken, asked_at, upstream.now())
        .map_err(UpstreamError::from)
}

fn bar(row: &Json, interval: Interval) -> Result<Bar, Reason> {
    let price = |index: usize| decimal(row.get(index)).and_then(positive);
    let open_ms = instant(row.get(0), 1_000)?.as_millisecond();
    let bar = Bar {
        open_ms,
        close_ms: interval.end_ms(open_ms).ok_or(Reason::OutOfRange)?,
        open: price(1)?,
        high: price(2)?,
        low: price(3)?,
        close: price(4)?,
        volume: decimal(row.get(6)).and_then(volume)?,
    };
    bar.checked()
}

async fn ticker_of(
    upstream: &Upstream,
    group: Group,
    pairs: &str,
    deadline: Instant,
) -> Result<HashMap<String, Pair>, UpstreamError> {
    let ask = Ask::new(group, "/0/public/Ticker").query("pair", pairs);
    upstream.read_with(&ask, deadline, opened).await
}

fn at(values: &Option<Vec<Json>>, index: usize) -> Result<f64, Reason> {
    let value = values.as_ref().and_then(|values| values.get(index));
    decimal(value).and_then(positive)
}

/// The result, or what the errors beside it say. A warning (`W…`) is none.
fn opened<T: DeserializeOwned>(body: &[u8]) -> Result<T, UpstreamError> {
    let envelope: Envelope<T> =
        serde_json::from_slice(body).map_err(UpstreamError::NotDecodable)?;
    let is_error = |text: &&String| !text.starts_with('W');
    match (envelope.error.iter().find(is_error), envelope.result) {
        (Some(error), _) => Err(refusal(error)),
        (None, Some(result)) => Ok(result),
        (None, None) => Err(UpstreamError::Rejected(Reason::NotInAnswer)),
    }
}

fn refusal(error: &str) -> UpstreamError {
    let status = match error {
        "EAPI:Rate limit exceeded" | "EGeneral:Too many requests" => 429,
        _ if error.starts_with("EService:") => 503,
        _ => 400,
    };
    UpstreamError::Status {
        status,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_with_status_200_is_a_failure() {
        let statuses = [
            ("EQuery:Unknown asset pair", 400),
            ("EService:Unavailable", 503),
            ("EAPI:Rate limit exceeded", 429),
        ];
        for (text, expected) in statuses {
            let body = format!(r#"{{"error":["{text}"],"result":{{}}}}"#);
            let opened = opened::<HashMap<String, Pair>>(body.as_bytes());
            assert!(
                matches!(opened, Err(UpstreamError::Status { status, .. }) if status == expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_warning_beside_a_result_is_no_failure() {
        let opened = opened::<Json>(br#"{"error":["WGeneral:Careful"],"result":{"a":1}}"#);
        assert_eq!(opened.unwrap()["a"], 1);
    }
}
