//! Binance's tickers: the last price, and the rolling day.

use serde_json::{Value, json};

use super::binance::each;
use super::query::{Params, Refusal};
use crate::amount::Amount;
use crate::coin::Coin;
use crate::market::{DAY_MS, Market};
use crate::noise::{mix, unit};
use crate::world::World;

pub(super) fn prices(world: &World, params: &Params) -> Result<Value, Refusal> {
    check_status(params)?;
    let now_ms = world.now_ms();
    let one = |coin: Coin| {
        json!({
            "symbol": coin.symbol(),
            "price": world.market.price(coin, now_ms).to_string(),
        })
    };
    Ok(each(params.selection()?, one))
}

pub(super) fn days(world: &World, params: &Params) -> Result<Value, Refusal> {
    check_status(params)?;
    let now_ms = world.now_ms();
    let kind = params.text("type").unwrap_or("FULL");
    if !matches!(kind, "FULL" | "MINI") {
        return Err(Refusal::bad_value("type"));
    }
    let one = |coin| {
        let mut day = day(&world.market, coin, now_ms);
        if kind == "MINI"
            && let Value::Object(fields) = &mut day
        {
            fields.retain(|name, _| !FULL_ONLY.contains(&name.as_str()));
        }
        day
    };
    Ok(each(params.selection()?, one))
}

/// All seven symbols are trading, so every other status is one that they are not in.
pub(super) fn check_status(params: &Params) -> Result<(), Refusal> {
    match params.text("symbolStatus") {
        None | Some("TRADING") => Ok(()),
        Some("HALT" | "BREAK") => Err(Refusal::other_status()),
        Some(_) => Err(Refusal::bad_status()),
    }
}

/// What MINI leaves out.
const FULL_ONLY: [&str; 9] = [
    "priceChange",
    "priceChangePercent",
    "weightedAvgPrice",
    "prevClosePrice",
    "lastQty",
    "bidPrice",
    "bidQty",
    "askPrice",
    "askQty",
];

/// The rolling day up to now.
fn day(market: &Market, coin: Coin, now_ms: i64) -> Value {
    let last_ms = market.traded_at(coin, now_ms);
    let first_ms = last_ms - DAY_MS;
    let bar = market.span(coin, first_ms, last_ms);
    let change = bar.close - bar.open;
    let percent = change.as_f64() / bar.open.as_f64() * 100.0;
    let quantity = |salt: u64| {
        let part = unit(mix(
            mix(market.seed(), last_ms as u64),
            coin.number() + salt,
        ));
        // A quote is worth some thousand USDT, whatever the coin.
        Amount::from_f64((200.0 + 9_000.0 * part) / bar.close.as_f64()).to_string()
    };
    let last_id = last_trade(market, coin, last_ms);
    json!({
        "symbol": coin.symbol(),
        "priceChange": change.to_string(),
        "priceChangePercent": format!("{percent:.3}"),
        "weightedAvgPrice": bar.average().to_string(),
        "prevClosePrice": market.price(coin, first_ms - 1).to_string(),
        "lastPrice": bar.close.to_string(),
        "lastQty": quantity(10),
        "bidPrice": bar.close.to_string(),
        "bidQty": quantity(20),
        "askPrice": (bar.close + coin.tick()).to_string(),
        "askQty": quantity(30),
        "openPrice": bar.open.to_string(),
        "highPrice": bar.high.to_string(),
        "lowPrice": bar.low.to_string(),
        "volume": bar.volume.to_string(),
        "quoteVolume": bar.turnover.to_string(),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": last_id + 1 - bar.trades as i64,
        "lastId": last_id,
        "count": bar.trades as i64,
    })
}

/// The number of the latest trade. Ten million are set aside for each day, so that it grows with
/// time and nobody has to add up years to know it.
fn last_trade(market: &Market, coin: Coin, last_ms: i64) -> i64 {
    let midnight = last_ms.div_euclid(DAY_MS) * DAY_MS;
    let today = market.span(coin, midnight, last_ms).trades as i64;
    midnight / DAY_MS * 10_000_000 + today
}
