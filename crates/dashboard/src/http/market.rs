//! Market data, candles, indicators, and how the sources are doing.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cache::keys::{Interval, Key};
use crate::clock;
use crate::indicator::Indicator;
use crate::market::answer::{Answer, SourceReport, StreamReport};
use crate::market::candles::{Bar, Candles};
use crate::market::figure::Reason;
use crate::market::service::{TechnicalError, Unavailable};
use crate::market::symbol::Symbol;
use crate::market::technical::{LastBar, Technical};
use crate::market::ticker::Ticker;

use super::Site;
use super::cacheable::Cacheable;
use super::problem::Problem;

/// What is computed if the query does not say.
const DEFAULT_SET: &str = "rsi:14,ema:20,macd,bbands";
/// As many as one answer has.
const MOST_INDICATORS: usize = 16;
const DEFAULT_CANDLES: usize = 500;
/// As many as a source gives.
const MOST_CANDLES: usize = 1_000;

/// `GET /api/v1/markets`: every coin; one that no source has is there with its reason.
pub(crate) async fn list(State(site): State<Site>) -> Response {
    let read = |&symbol: &Symbol| {
        let service = &site.service;
        async move { (symbol, service.fetch_market_data(symbol).await) }
    };
    let markets = join_all(site.config.symbols.iter().map(read)).await;
    let now = clock::now();
    let markets: Vec<Value> = markets
        .into_iter()
        .map(|(symbol, answer)| match answer {
            Ok(answer) => ticker(&answer, now),
            Err(Unavailable(reason)) => missing(symbol, reason),
        })
        .collect();
    ([BRIEFLY], Json(json!({ "markets": markets }))).into_response()
}

/// `GET /api/v1/markets/{symbol}`.
pub(crate) async fn one(
    State(site): State<Site>,
    Path(symbol): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let symbol = known(&site, &symbol)?;
    let answer = site.service.fetch_market_data(symbol).await;
    let answer = answer.map_err(unavailable)?;
    let body = ticker(&answer, clock::now()).to_string();
    let reply = Cacheable::new(&answer, answer.value.received_at, body.into());
    Ok(reply.answer(request.headers()))
}

/// What may be asked of candles.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CandleQuery {
    interval: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/v1/markets/{symbol}/candles?interval=&limit=`: the newest bars, oldest first; the last
/// one may be open, and says so.
pub(crate) async fn candles(
    State(site): State<Site>,
    Path(symbol): Path<String>,
    query: Result<Query<CandleQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let symbol = known(&site, &symbol)?;
    let Query(query) = query.map_err(|_| {
        Problem::bad_request("The query may hold interval and limit, once each, and no more.")
    })?;
    let interval = span(query.interval.as_deref())?;
    let limit = query.limit.unwrap_or(DEFAULT_CANDLES);
    if !(1..=MOST_CANDLES).contains(&limit) {
        let detail = format!("limit is a whole number from 1 to {MOST_CANDLES}.");
        return Err(Problem::bad_request(detail));
    }
    let answer = site.service.fetch_candles(symbol, interval).await;
    let answer = answer.map_err(unavailable)?;
    let body = bars(symbol, interval, limit, &answer.value).to_string();
    let reply = Cacheable::new(&answer, answer.value.received_at, body.into());
    Ok(reply.answer(request.headers()))
}

/// What may be asked of indicators.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndicatorQuery {
    set: Option<String>,
    interval: Option<String>,
    live: Option<bool>,
}

/// `GET /api/v1/indicators/{symbol}?set=rsi:14,macd&interval=1d&live=true`.
pub(crate) async fn indicators(
    State(site): State<Site>,
    Path(symbol): Path<String>,
    query: Result<Query<IndicatorQuery>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let symbol = known(&site, &symbol)?;
    let Query(query) = query.map_err(|_| {
        Problem::bad_request(
            "The query may hold set, interval and live (true or false), once each.",
        )
    })?;
    let interval = span(query.interval.as_deref())?;
    let set = wanted(query.set.as_deref().unwrap_or(DEFAULT_SET))?;
    let last = match query.live {
        Some(true) => LastBar::Live,
        Some(false) | None => LastBar::Closed,
    };
    let service = &site.service;
    let read = |indicator: &Indicator| {
        let indicator = *indicator;
        async move {
            let answer = match last {
                LastBar::Closed => {
                    let cached = service.fetch_technical_indicator(symbol, indicator, interval);
                    cached.await
                }
                LastBar::Live => {
                    let live =
                        service.fetch_technical_indicator_direct(symbol, indicator, interval, last);
                    live.await
                }
            };
            answer.map_err(|error| no_indicator(indicator, error))
        }
    };
    let answers = try_join_all(set.iter().map(read)).await?;
    let values = set.iter().zip(&answers);
    let values: Map<String, Value> = values
        .map(|(indicator, answer)| (indicator.to_string(), technical(answer)))
        .collect();
    let oldest = answers
        .iter()
        .max_by_key(|answer| (answer.is_stale, answer.age));
    let oldest = oldest.ok_or_else(|| Problem::bad_request("set names no indicator."))?;
    let body = json!({
        "symbol": symbol.code(),
        "interval": interval.code(),
        "source": oldest.value.source.name(),
        "quote": oldest.value.source.quote(),
        "indicators": values,
    });
    let reply = Cacheable::new(oldest, oldest.value.received_at, body.to_string().into());
    Ok(reply.answer(request.headers()))
}

/// `GET /api/v1/sources`: nobody is asked to find out.
pub(crate) async fn sources(State(site): State<Site>) -> Response {
    let sources: Vec<Value> = site.service.sources().iter().map(source).collect();
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (no_store, Json(json!({ "sources": sources }))).into_response()
}

/// How a source is doing, as JSON.
pub(crate) fn source(report: &SourceReport) -> Value {
    json!({
        "source": report.source.name(),
        "state": if report.is_on { "on" } else { "off" },
        "needs": report.source.needs().filter(|_| !report.is_on),
        "breaker": report.breaker.word(),
        "last_success": report.last_success,
        "last_error": report.last_error.map(Reason::code),
        "cooling_until": report.cooling_until,
        "reads": report.reads,
        "failed_reads": report.failed_reads,
        "calls": report.calls,
        "allowance_left": report.allowance_left.floor(),
        "stream": report.stream.as_ref().map(stream),
    })
}

fn stream(report: &StreamReport) -> Value {
    json!({
        "state": report.connection.word(),
        "since": report.since,
        "reconnects": report.reconnects,
        "messages": report.messages,
        "rejected": report.rejected,
    })
}

const BRIEFLY: (header::HeaderName, HeaderValue) = (
    header::CACHE_CONTROL,
    HeaderValue::from_static("public, max-age=5"),
);

/// A word that could be a coin but is none of ours is not there; any other is a mistake.
fn known(site: &Site, text: &str) -> Result<Symbol, Problem> {
    let is_part = !text.contains(':') && Key::parse(&text.to_ascii_lowercase()).is_ok();
    if !is_part {
        return Err(Problem::bad_request(
            "A symbol is 1 to 64 of a-z 0-9 . _ -, such as btc.",
        ));
    }
    let symbol = text.parse::<Symbol>().ok();
    let symbol = symbol.filter(|symbol| site.config.symbols.contains(symbol));
    symbol.ok_or_else(Problem::unknown_symbol)
}

fn span(text: Option<&str>) -> Result<Interval, Problem> {
    let Some(text) = text else {
        return Ok(Interval::Day1);
    };
    text.parse().map_err(|_| {
        let codes = Interval::ALL.map(Interval::code).join(", ");
        Problem::bad_request(format!("interval is one of {codes}."))
    })
}

fn wanted(set: &str) -> Result<Vec<Indicator>, Problem> {
    let mut wanted = Vec::new();
    for text in set.split(',') {
        let indicator: Indicator = text
            .trim()
            .parse()
            .map_err(|error| Problem::bad_request(format!("set: {error}.")))?;
        if !wanted.contains(&indicator) {
            wanted.push(indicator);
        }
    }
    if wanted.len() > MOST_INDICATORS {
        let detail = format!("set names at most {MOST_INDICATORS} indicators.");
        return Err(Problem::bad_request(detail));
    }
    Ok(wanted)
}

fn unavailable(Unavailable(reason): Unavailable) -> Problem {
    let words = super::shown::words(reason);
    let detail = format!("No source has it just now: {words}.");
    match reason {
        Reason::TimedOut => Problem::gateway_timeout(detail),
        Reason::Redirected
        | Reason::TooLarge
        | Reason::NotDecodable
        | Reason::OutOfRange
        | Reason::NotInAnswer
        | Reason::TooFewBars
        | Reason::BarsBroken
        | Reason::FlatWindow
        | Reason::SourcesDisagree => Problem::bad_gateway(detail),
        Reason::NotAskedYet
        | Reason::NotReachable
        | Reason::RateLimited
        | Reason::CoolingDown
        | Reason::BreakerOpen
        | Reason::OverBudget
        | Reason::NotReady
        | Reason::Refused
        | Reason::ServerFailed
        | Reason::TooOld
        | Reason::Failed => Problem::unavailable(detail),
    }
}

fn no_indicator(indicator: Indicator, error: TechnicalError) -> Problem {
    match error {
        TechnicalError::Unavailable(unavailable_now) => unavailable(unavailable_now),
        TechnicalError::NoTechnical(why) => Problem::no_value(format!("{indicator}: {why}.")),
    }
}

fn ticker(answer: &Answer<Ticker>, now: Timestamp) -> Value {
    let ticker = &answer.value;
    let age = now.duration_since(ticker.observed_at);
    json!({
        "symbol": ticker.symbol.code(),
        "name": ticker.symbol.name(),
        "status": if answer.is_stale { "stale" } else { "fresh" },
        "source": ticker.source.name(),
        "quote": ticker.source.quote(),
        "price": ticker.price,
        "change_24h": ticker.change_24h,
        "open_24h": ticker.open_24h,
        "high_24h": ticker.high_24h,
        "low_24h": ticker.low_24h,
        "volume_24h": ticker.volume_24h,
        "quote_volume_24h": ticker.quote_volume_24h,
        "observed_at": ticker.observed_at,
        "age_ms": u64::try_from(age.as_millis()).unwrap_or(0),
        "error": null,
    })
}

fn missing(symbol: Symbol, reason: Reason) -> Value {
    json!({
        "symbol": symbol.code(),
        "name": symbol.name(),
        "status": "missing",
        "source": null,
        "quote": null,
        "price": null,
        "change_24h": null,
        "open_24h": null,
        "high_24h": null,
        "low_24h": null,
        "volume_24h": null,
        "quote_volume_24h": null,
        "observed_at": null,
        "age_ms": null,
        "error": reason.code(),
    })
}

fn bars(symbol: Symbol, interval: Interval, limit: usize, candles: &Candles) -> Value {
    let closed = candles.closed.iter().map(|bar| (bar, true));
    let all: Vec<(&Bar, bool)> = closed
        .chain(candles.open.iter().map(|bar| (bar, false)))
        .collect();
    let newest = all.len().saturating_sub(limit);
    let bars: Vec<Value> = all[newest..]
        .iter()
        .map(|(bar, closed)| bar_json(bar, *closed))
        .collect();
    json!({
        "symbol": symbol.code(),
        "interval": interval.code(),
        "source": candles.source.name(),
        "quote": candles.source.quote(),
        "received_at": candles.received_at,
        "candles": bars,
    })
}

fn bar_json(bar: &Bar, closed: bool) -> Value {
    json!({
        "open_time": bar.open_ms,
        "close_time": bar.close_ms,
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "closed": closed,
    })
}

fn technical(answer: &Answer<Technical>) -> Value {
    let technical = &answer.value;
    let numbers = technical.value.named();
    let mut value: Map<String, Value> = numbers
        .map(|(name, number)| (name.to_owned(), json!(number)))
        .collect();
    let status = if answer.is_stale { "stale" } else { "fresh" };
    value.insert("status".to_owned(), json!(status));
    value.insert("bar_time".to_owned(), json!(technical.bar_time));
    value.insert("bar_closed".to_owned(), json!(technical.bar_closed));
    value.insert("bars_used".to_owned(), json!(technical.bars_used));
    Value::Object(value)
}
