//! CoinGecko: the market as a whole.

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{
    checked::{Batch, change, number, positive, seconds, share},
    error::UpstreamError,
    figure::{Figure, Reason, Value},
    upstream::Upstream,
};
use crate::clock;

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

/// Capitalisation, volume, their change, and the shares of the two largest coins.
pub(crate) async fn global(upstream: &Upstream, deadline: Instant) -> Result<Batch, UpstreamError> {
    let Answer { data } = upstream.read("/api/v3/global", &[], deadline).await?;
    let updated_at = data
        .updated_at
        .as_ref()
        .and_then(Json::as_i64)
        .ok_or(Reason::NotDecodable)
        .and_then(seconds);
    let inside = |map: &Option<Json>, name: &str| -> Result<f64, Reason> {
        number(map.as_ref().and_then(|map| map.get(name)))
    };
    let read = |figure, value: Result<f64, Reason>| {
        (
            figure,
            value.and_then(|value| Ok((Value::Number(value), updated_at?))),
        )
    };
    let cap = inside(&data.total_market_cap, "usd").and_then(positive);
    let cap_change = number(data.market_cap_change_percentage_24h_usd.as_ref()).and_then(change);
    let figures = vec![
        read(Figure::MarketCap, cap),
        read(
            Figure::Volume24h,
            inside(&data.total_volume, "usd").and_then(positive),
        ),
        // The change of a value that cannot be is not to be trusted either.
        read(Figure::MarketCapChange24h, cap.and(cap_change)),
        read(
            Figure::BtcShare,
            inside(&data.market_cap_percentage, "btc").and_then(share),
        ),
        read(
            Figure::EthShare,
            inside(&data.market_cap_percentage, "eth").and_then(share),
        ),
    ];
    Ok(Batch {
        figures,
        lasts: None,
        received_at: clock::now(),
    })
}
