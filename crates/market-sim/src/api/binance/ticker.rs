//! Binance's tickers: the last price, an average, and the rolling day.

use serde_json::{Value, json};

use super::day::Day;
use super::query::{Params, Refusal};
use crate::coin::Coin;
use crate::scene::Scene;

/// What the average price is the average of.
const AVERAGE_MINUTES: i64 = 5;

pub(super) fn prices(scene: &Scene<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    check_status(params)?;
    let one = |coin: Coin| {
        json!({
            "symbol": coin.symbol(),
            "price": scene.price(coin).to_string(),
        })
    };
    Ok(params.selection()?.each(one))
}

pub(super) fn days(scene: &Scene<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    check_status(params)?;
    let written = match params.text("type") {
        None | Some("FULL") => Day::full,
        Some("MINI") => Day::mini,
        Some(_) => return Err(Refusal::bad_value("type")),
    };
    let one = |coin| written(&Day::of(scene, coin));
    Ok(params.selection()?.each(one))
}

pub(super) fn average(scene: &Scene<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    let coin = params.coin()?;
    let last_ms = scene.last_ms(coin);
    let minutes = scene.span(coin, last_ms - AVERAGE_MINUTES * 60_000, last_ms);
    Ok(json!({
        "mins": AVERAGE_MINUTES,
        "price": minutes.average().to_string(),
        "closeTime": last_ms,
    }))
}

/// All seven symbols are trading, so every other status is one that they are not in.
pub(super) fn check_status(params: &Params<'_>) -> Result<(), Refusal> {
    match params.text("symbolStatus") {
        None | Some("TRADING") => Ok(()),
        Some("HALT" | "BREAK") => Err(Refusal::other_status()),
        Some(_) => Err(Refusal::bad_status()),
    }
}
