//! CoinGecko: the market as a whole, and the last place that is asked for prices. Quoted in USD.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::Source;
use crate::market::{
    batch::{Batch, Checked},
    checked::{change, instant, number, positive, share, volume},
    error::UpstreamError,
    figure::{Figure, Group, Reason, Value},
    symbol::Symbol,
    ticker::Ticker,
    upstream::{Ask, Upstream},
};

/// Calls that are left for the market as a whole, which nobody else has without a key.
const RESERVE: u32 = 3;

#[derive(Deserialize)]
struct Answer {
    data: Global,
}

/// Integers and floats mix freely in the same field, so fields are checked one by one.
#[derive(Deserialize)]
struct Global {
    total_market_cap: Option<Json>,
    total_volume: Option<Json>,
    market_cap_percentage: Option<Json>,
    market_cap_change_percentage_24h_usd: Option<Json>,
    updated_at: Option<Json>,
}

/// An unknown coin is simply missing from the answer.
#[derive(Deserialize)]
struct Price {
    usd: Option<Json>,
    usd_24h_change: Option<Json>,
    usd_24h_vol: Option<Json>,
    last_updated_at: Option<Json>,
}

/// Capitalisation, volume, their change, and the shares of the two largest coins.
pub(crate) async fn global(upstream: &Upstream, deadline: Instant) -> Result<Batch, UpstreamError> {
    let Answer { data } = upstream
        .read(&Ask::new(Group::Global, "/api/v3/global"), deadline)
        .await?;
    let now = upstream.now();
    let updated_at = instant(data.updated_at.as_ref(), 1_000);
    let inside = |map: &Option<Json>, name: &str| -> Result<f64, Reason> {
        number(map.as_ref().and_then(|map| map.get(name)))
    };
    let cap = inside(&data.total_market_cap, "usd").and_then(positive);
    let cap_change = number(data.market_cap_change_percentage_24h_usd.as_ref()).and_then(change);
    let mut batch = Batch::new();
    let mut note = |figure, value: Result<f64, Reason>| {
        let checked = value.and_then(|value| Ok((Value::Number(value), updated_at?)));
        batch.note(figure, Source::CoinGecko, now, checked);
    };
    note(Figure::MarketCap, cap);
    let total_volume = inside(&data.total_volume, "usd").and_then(positive);
    note(Figure::Volume24h, total_volume);
    // The change of a value that cannot be is not to be trusted either.
    note(Figure::MarketCapChange24h, cap.and(cap_change));
    for (figure, coin) in [(Figure::BtcShare, "btc"), (Figure::EthShare, "eth")] {
        note(
            figure,
            inside(&data.market_cap_percentage, coin).and_then(share),
        );
    }
    batch.or_rejected()
}

/// Prices and 24 h changes, in one call that stands in for others.
pub(crate) async fn prices(
    upstream: &Upstream,
    symbols: &[Symbol],
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let found = simple_prices(upstream, symbols, deadline).await?;
    let now = upstream.now();
    let mut batch = Batch::new();
    for &symbol in symbols {
        let price = found.get(symbol.coingecko_id()).ok_or(Reason::NotInAnswer);
        let of = |read: fn(&Price) -> Result<f64, Reason>| -> Checked {
            let price = price?;
            Ok((Value::Number(read(price)?), price.at()?))
        };
        batch.note(
            Figure::Price(symbol),
            Source::CoinGecko,
            now,
            of(Price::usd),
        );
        let change = of(Price::change);
        batch.note(Figure::Change24h(symbol), Source::CoinGecko, now, change);
    }
    batch.or_rejected()
}

/// One coin's price, and what it did in 24 h.
pub(crate) async fn ticker(
    upstream: &Upstream,
    symbol: Symbol,
    deadline: Instant,
) -> Result<Ticker, UpstreamError> {
    let found = simple_prices(upstream, &[symbol], deadline).await?;
    let price = found
        .get(symbol.coingecko_id())
        .ok_or(UpstreamError::Rejected(Reason::NotInAnswer))?;
    Ok(Ticker {
        symbol,
        source: Source::CoinGecko,
        price: price.usd()?,
        change_24h: price.change().ok(),
        open_24h: None,
        high_24h: None,
        low_24h: None,
        volume_24h: None,
        quote_volume_24h: number(price.usd_24h_vol.as_ref()).and_then(volume).ok(),
        observed_at: price.at()?,
        received_at: upstream.now(),
    })
}

async fn simple_prices(
    upstream: &Upstream,
    symbols: &[Symbol],
    deadline: Instant,
) -> Result<HashMap<String, Price>, UpstreamError> {
    let ids: Vec<&str> = symbols.iter().map(|symbol| symbol.coingecko_id()).collect();
    let ids = ids.join(",");
    let ask = Ask::new(Group::Prices, "/api/v3/simple/price")
        .query("ids", &ids)
        .query("vs_currencies", "usd")
        .query("include_24hr_change", "true")
        .query("include_24hr_vol", "true")
        .query("include_last_updated_at", "true");
    upstream.read(&ask.leave(RESERVE), deadline).await
}

impl Price {
    fn usd(&self) -> Result<f64, Reason> {
        number(self.usd.as_ref()).and_then(positive)
    }

    fn change(&self) -> Result<f64, Reason> {
        self.usd()?;
        number(self.usd_24h_change.as_ref()).and_then(change)
    }

    fn at(&self) -> Result<jiff::Timestamp, Reason> {
        instant(self.last_updated_at.as_ref(), 1_000)
    }
}
