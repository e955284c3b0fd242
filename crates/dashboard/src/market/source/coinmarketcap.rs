//! CoinMarketCap: the second place that is asked for the market as a whole. Off without a key.

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::Source;
use crate::market::{
    batch::Batch,
    checked::{change, iso, number, positive, share},
    error::UpstreamError,
    figure::{Figure, Group, Reason, Value},
    upstream::{Ask, Upstream},
};

#[derive(Deserialize)]
struct Answer {
    status: Option<Status>,
    data: Option<Global>,
}

/// It can name an error although the answer's status is 200.
#[derive(Deserialize)]
struct Status {
    error_code: Option<i64>,
}

/// The shares stand beside `quote`, not in it.
#[derive(Deserialize)]
struct Global {
    btc_dominance: Option<Json>,
    eth_dominance: Option<Json>,
    last_updated: Option<Json>,
    quote: Option<Quote>,
}

#[derive(Deserialize)]
struct Quote {
    #[serde(rename = "USD")]
    usd: Option<Usd>,
}

#[derive(Deserialize)]
struct Usd {
    total_market_cap: Option<Json>,
    total_volume_24h: Option<Json>,
    /// This is what the change over 24 h is called here.
    total_market_cap_yesterday_percentage_change: Option<Json>,
}

/// Capitalisation, volume, their change, and the shares of the two largest coins.
pub(crate) async fn global(upstream: &Upstream, deadline: Instant) -> Result<Batch, UpstreamError> {
    let ask = Ask::new(Group::Global, "/v1/global-metrics/quotes/latest").query("convert", "USD");
    let data = upstream.read_with(&ask, deadline, opened).await?;
    let now = upstream.now();
    let updated_at = iso(data.last_updated.as_ref());
    let usd = data.quote.as_ref().and_then(|quote| quote.usd.as_ref());
    let inside = |field: fn(&Usd) -> &Option<Json>| number(usd.and_then(|usd| field(usd).as_ref()));
    let cap = inside(|usd| &usd.total_market_cap).and_then(positive);
    let cap_change =
        inside(|usd| &usd.total_market_cap_yesterday_percentage_change).and_then(change);
    let mut batch = Batch::new();
    let mut note = |figure, value: Result<f64, Reason>| {
        let checked = value.and_then(|value| Ok((Value::Number(value), updated_at?)));
        batch.note(figure, Source::CoinMarketCap, now, checked);
    };
    note(Figure::MarketCap, cap);
    note(
        Figure::Volume24h,
        inside(|usd| &usd.total_volume_24h).and_then(positive),
    );
    note(Figure::MarketCapChange24h, cap.and(cap_change));
    note(
        Figure::BtcShare,
        number(data.btc_dominance.as_ref()).and_then(share),
    );
    note(
        Figure::EthShare,
        number(data.eth_dominance.as_ref()).and_then(share),
    );
    batch.or_rejected()
}

fn opened(body: &[u8]) -> Result<Global, UpstreamError> {
    let answer: Answer = serde_json::from_slice(body).map_err(UpstreamError::NotDecodable)?;
    let code = answer.status.and_then(|status| status.error_code);
    match (code.unwrap_or(0), answer.data) {
        (0, Some(data)) => Ok(data),
        (0, None) => Err(UpstreamError::Rejected(Reason::NotInAnswer)),
        (code, _) => Err(UpstreamError::Status {
            status: status_of(code),
            retry_after: None,
        }),
    }
}

/// What the number of an error means in the words of HTTP.
fn status_of(code: i64) -> u16 {
    match code {
        1001 | 1002 => 401,
        1003 | 1004 => 402,
        1005..=1007 => 403,
        1008..=1011 => 429,
        500.. => 500,
        _ => 400,
    }
}
