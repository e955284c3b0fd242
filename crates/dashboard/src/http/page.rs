//! `/`: the page, rendered with the numbers in it, so that it says something without a script.

use askama::Template;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::clock;
use crate::market::figure::{self, Figure, Group, Sample, Source, Value};
use crate::market::summary::{Origin, Summary};
use crate::market::symbol::Symbol;

use super::Site;
use super::assets;
use super::numbers;
use super::problem::Told;
use super::shown::{Mark, Shown, words};

/// Modules that the page's script imports; named so that they load in one go.
const MODULES: [&str; 7] = [
    "cards.js",
    "format.js",
    "freshness.js",
    "gauge.js",
    "link.js",
    "sources.js",
    "trail.js",
];

/// Stands under a gauge without a value.
const NO_READING: &str = "No reading";

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    edition: &'static str,
    modules: [&'static str; 7],
    reasons: String,
    titles: String,
    quotes: String,
    is_simulated: bool,
    updated: String,
    updated_age: String,
    market_cap: Shown,
    market_cap_change: Shown,
    market_cap_mark: Mark,
    volume: Shown,
    btc_share: Shown,
    eth_share: Shown,
    shares_mark: Mark,
    btc_width: f64,
    eth_width: f64,
    market_why: Why,
    coins: Vec<Coin>,
    coins_why: Why,
    fng: Shown,
    fng_word: String,
    fng_words: String,
    fng_marker: String,
    rsi: Shown,
    rsi_word: &'static str,
    rsi_words: String,
    rsi_marker: String,
    sources: Vec<SourceLine>,
}

struct Coin {
    code: &'static str,
    name: &'static str,
    ticker: String,
    initial: char,
    price: Shown,
    change: Shown,
    mark: Mark,
}

/// Why some of the figures that a card shows are stale or missing.
struct Why {
    /// Their names in the JSON, with spaces between them.
    names: String,
    /// The first reason; empty if there is none.
    text: String,
}

impl Why {
    fn of<'a>(marks: impl IntoIterator<Item = &'a Mark> + Clone) -> Self {
        let names: Vec<&str> = marks
            .clone()
            .into_iter()
            .map(|mark| mark.names.as_str())
            .collect();
        let mut reasons = marks.into_iter().map(|mark| mark.why.as_str());
        Self {
            names: names.join(" "),
            text: reasons.find(|why| !why.is_empty()).unwrap_or("").to_owned(),
        }
    }
}

struct SourceLine {
    name: String,
    what: &'static str,
    figures: String,
    status: &'static str,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    edition: &'static str,
    status: u16,
    title: &'a str,
    detail: &'a str,
    incident: Option<&'a str>,
}

/// `GET /`.
pub(crate) async fn index(State(site): State<Site>) -> Response {
    let answer = site.service.fetch_dashboard_summary().await;
    let html = render(&answer.value, &site.config.symbols, clock::now());
    as_html(StatusCode::OK, html)
}

/// What a problem says, as a page for people.
pub(crate) fn error(status: StatusCode, told: &Told) -> Response {
    let page = ErrorPage {
        edition: assets::edition(),
        status: status.as_u16(),
        title: told.title,
        detail: &told.detail,
        incident: told.incident.as_deref(),
    };
    as_html(status, page.render().unwrap_or_default())
}

fn as_html(status: StatusCode, html: String) -> Response {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (status, headers, html).into_response()
}

fn render(summary: &Summary, symbols: &[Symbol], now: Timestamp) -> String {
    let show = |figure, form: fn(f64) -> String| Shown::of(summary, figure, form, now);
    let coins: Vec<Coin> = symbols
        .iter()
        .map(|symbol| coin(summary, *symbol, now))
        .collect();
    let market_cap = show(Figure::MarketCap, numbers::compact);
    let market_cap_change = show(Figure::MarketCapChange24h, numbers::percent);
    let market_cap_mark = Mark::of_pair(&market_cap, &market_cap_change);
    let volume = show(Figure::Volume24h, numbers::compact);
    let btc_share = show(Figure::BtcShare, numbers::share);
    let eth_share = show(Figure::EthShare, numbers::share);
    let shares_mark = Mark::of_pair(&btc_share, &eth_share);
    let fng = show(Figure::FearGreed, |value| format!("{value:.0}"));
    let fng_word = label(summary);
    let rsi = show(Figure::BtcRsi14, numbers::decimal);
    let rsi_word = rsi.number.map_or(NO_READING, numbers::rsi_word);
    let page = Page {
        edition: assets::edition(),
        modules: MODULES,
        reasons: reasons(),
        titles: titles(),
        quotes: quotes(summary),
        is_simulated: summary.origin() == Origin::Simulated,
        updated: summary.last_updated().to_string(),
        updated_age: format!("{} ago", super::shown::age_at(summary.last_updated(), now)),
        btc_width: btc_share.number.unwrap_or(0.0),
        eth_width: eth_share.number.unwrap_or(0.0),
        market_why: Why::of([&market_cap_mark, &volume.mark, &shares_mark]),
        coins_why: Why::of(coins.iter().map(|coin| &coin.mark)),
        fng_words: format!("Fear and Greed Index: {}, {}", fng.text, fng_word),
        fng_marker: marker(fng.number),
        rsi_words: format!("Bitcoin RSI 14: {}, {rsi_word}", rsi.text),
        rsi_marker: marker(rsi.number),
        sources: Group::ALL
            .into_iter()
            .filter(|group| {
                summary
                    .readings()
                    .iter()
                    .any(|r| r.figure.group() == *group)
            })
            .map(|group| source_line(summary, group))
            .collect(),
        market_cap,
        market_cap_change,
        market_cap_mark,
        volume,
        btc_share,
        eth_share,
        shares_mark,
        coins,
        fng,
        fng_word,
        rsi,
        rsi_word,
    };
    page.render()
        .expect("writing to a String does not fail, and the template calls nothing that does")
}

/// The label as it was received: its borders are the publisher's affair.
fn label(summary: &Summary) -> String {
    match summary
        .state(Figure::FearGreedLabel)
        .and_then(figure::State::sample)
    {
        Some(Sample {
            value: Value::Text(label),
            ..
        }) => label.clone(),
        Some(_) | None => NO_READING.to_owned(),
    }
}

fn coin(summary: &Summary, symbol: Symbol, now: Timestamp) -> Coin {
    let ticker = symbol.code().to_ascii_uppercase();
    let price = Shown::of(summary, Figure::Price(symbol), numbers::price, now);
    let change = Shown::of(summary, Figure::Change24h(symbol), numbers::percent, now);
    Coin {
        code: symbol.code(),
        name: symbol.name(),
        initial: ticker.chars().next().unwrap_or('?'),
        ticker,
        mark: Mark::of_pair(&price, &change),
        price,
        change,
    }
}

/// A source is as good as the worst of its figures.
fn source_line(summary: &Summary, group: Group) -> SourceLine {
    let of_group = || {
        summary
            .readings()
            .iter()
            .filter(|reading| reading.figure.group() == group)
    };
    let figures: Vec<String> = of_group().map(|reading| reading.figure.name()).collect();
    let has = |status| of_group().any(|reading| reading.state.status() == status);
    let status = ["missing", "stale"]
        .into_iter()
        .find(|bad| has(*bad))
        .unwrap_or("fresh");
    let what = match group {
        Group::Prices => "prices, 24 h",
        Group::Candles => "daily candles",
        Group::Global => "market, dominance",
        Group::FearGreed => "mood",
        Group::UsStocks => "US stocks",
        Group::CrossCheck => "second opinion",
    };
    let names = summary.sources_of(group).into_iter().map(Source::title);
    let name = names.collect::<Vec<_>>().join(", ");
    SourceLine {
        name,
        what,
        figures: figures.join(" "),
        status,
    }
}

/// Where the marker of a gauge from 0 to 100 stands. The text is numbers of ours
/// only, which is why the template may take it as it is.
fn marker(value: Option<f64>) -> String {
    match value {
        Some(value) => format!("transform=\"rotate({:.1} 100 100)\"", value * 1.8),
        None => "visibility=\"hidden\"".to_owned(),
    }
}

/// The currencies that the prices are in: one, unless another source stands in for some.
fn quotes(summary: &Summary) -> String {
    let of_price = |source: Source| Figure::Price(Symbol::Btc).quote(source);
    let sources = summary.sources_of(Group::Prices);
    let mut quotes: Vec<&str> = sources.into_iter().filter_map(of_price).collect();
    quotes.dedup();
    quotes.join(" and ")
}

/// The names of sources that people read, for the page's script.
fn titles() -> String {
    let titled = |source: Source| (source.name().to_owned(), source.title().into());
    let titles = Source::ALL.into_iter().map(titled);
    serde_json::Value::Object(titles.collect()).to_string()
}

/// The words for reason codes, for the page's script: one list for both sides.
fn reasons() -> String {
    let said: serde_json::Map<String, serde_json::Value> = super::shown::REASONS
        .into_iter()
        .map(|reason| (reason.code().to_owned(), words(reason).into()))
        .collect();
    serde_json::Value::Object(said).to_string()
}
