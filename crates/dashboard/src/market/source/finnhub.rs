//! Finnhub: funds that stand for the US stock market. Off without a key.

use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::Instant;

use super::{Source, one_then_all};
use crate::market::{
    batch::Batch,
    checked::{change, instant, number, positive},
    error::UpstreamError,
    figure::{Figure, Group, Reason, Value},
    stock::Fund,
    upstream::{Ask, Upstream},
};

/// Current price, change in percent, and when. An unknown symbol gets zeros and nulls.
#[derive(Deserialize)]
struct Quote {
    c: Option<Json>,
    dp: Option<Json>,
    t: Option<Json>,
}

/// Each fund by itself: one that fails leaves the others alone. Outside of hours the quote stands
/// still, which is not stale.
pub(crate) async fn funds(upstream: &Upstream, deadline: Instant) -> Result<Batch, UpstreamError> {
    let read = |fund| quote(upstream, fund, deadline);
    let mut batch = Batch::new();
    let mut failed = None;
    for (fund, read) in one_then_all(&Fund::ALL, read).await? {
        let (price, percent) = match read {
            Ok(quote) => figures(&quote),
            Err(error) => {
                let reason = error.reason();
                failed.get_or_insert(error);
                (Err(reason), Err(reason))
            }
        };
        let now = upstream.now();
        batch.note(Figure::FundPrice(fund), Source::Finnhub, now, price);
        batch.note(Figure::FundChange(fund), Source::Finnhub, now, percent);
    }
    match failed {
        Some(error) if !batch.has_value() => Err(error),
        _ => batch.or_rejected(),
    }
}

async fn quote(upstream: &Upstream, fund: Fund, deadline: Instant) -> Result<Quote, UpstreamError> {
    let ask = Ask::new(Group::UsStocks, "/api/v1/quote").query("symbol", fund.code());
    upstream.read(&ask, deadline).await
}

type Checked = crate::market::batch::Checked;

fn figures(quote: &Quote) -> (Checked, Checked) {
    let at = instant(quote.t.as_ref(), 1_000);
    let price = number(quote.c.as_ref()).and_then(positive);
    let of = |value: Result<f64, Reason>| -> Checked { Ok((Value::Number(value?), at?)) };
    // The change of a price that cannot be is not to be trusted either.
    let percent = price.and_then(|_| number(quote.dp.as_ref()).and_then(change));
    (of(price), of(percent))
}
