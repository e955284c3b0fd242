//! TAAPI.IO, the classic interface: the last place that is asked for an indicator. Off without a secret,
//! which stands in the query, for it can stand nowhere else.

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::Source;
use crate::market::{
    batch::Batch,
    checked::number,
    error::UpstreamError,
    figure::{Figure, Group, Reason, Value},
    upstream::{Ask, Upstream},
};

/// A number, or in the newer interface an array of one.
#[derive(Deserialize)]
struct Answer {
    value: Option<Json>,
}

/// Bitcoin's daily RSI over 14 closed bars.
pub(crate) async fn btc_rsi_14(
    upstream: &Upstream,
    deadline: Instant,
) -> Result<Batch, UpstreamError> {
    let ask = Ask::new(Group::Candles, "/rsi")
        .query("exchange", "binance")
        .query("symbol", "BTC/USDT")
        .query("interval", "1d")
        .query("period", "14")
        // The bar before the open one.
        .query("backtrack", "1");
    let answer: Answer = upstream.read(&ask, deadline).await?;
    let value = match &answer.value {
        Some(Json::Array(values)) => values.first(),
        other => other.as_ref(),
    };
    let now = upstream.now();
    let value = number(value).and_then(|value| {
        let is_rsi = (0.0..=100.0).contains(&value);
        is_rsi.then_some(value).ok_or(Reason::OutOfRange)
    });
    let mut batch = Batch::new();
    let checked = value.map(|value| (Value::Number(value), now));
    batch.note(Figure::BtcRsi14, Source::Taapi, now, checked);
    batch.or_rejected()
}
