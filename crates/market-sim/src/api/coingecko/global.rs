//! CoinGecko's figures of the whole market.

use serde_json::{Map, Value, json};

use crate::market::DAY_MS;
use crate::scene::Scene;
use crate::totals::{CURRENCIES, TETHER_CAP, Totals, USDC_CAP, dollars_per, growth};

/// The figures are made anew this often.
const ROUND_MS: i64 = 600_000;

pub(super) fn figures(scene: &Scene<'_>) -> Value {
    let round_ms = scene.now_ms().div_euclid(ROUND_MS) * ROUND_MS;
    let scene = scene.at(round_ms);
    let now = Totals::of(&scene);
    let before = Totals::of(&scene.at(round_ms - DAY_MS));
    json!({"data": {
        "active_cryptocurrencies": 17_412,
        "upcoming_icos": 0,
        "ongoing_icos": 49,
        "ended_icos": 3_376,
        "markets": 1_284,
        "total_market_cap": in_currencies(&scene, now.cap),
        "total_volume": in_currencies(&scene, now.volume),
        "market_cap_percentage": shares(&now),
        "market_cap_change_percentage_24h_usd": growth(now.cap, before.cap),
        "volume_change_percentage_24h_usd": growth(now.volume, before.volume),
        "updated_at": round_ms / 1_000,
    }})
}

fn in_currencies(scene: &Scene<'_>, dollars: f64) -> Value {
    let amount = |currency: &str| {
        let rate = dollars_per(scene, currency)?;
        Some((currency.to_owned(), json!(dollars / rate)))
    };
    let amounts: Map<String, Value> = CURRENCIES.into_iter().filter_map(amount).collect();
    Value::Object(amounts)
}

fn shares(totals: &Totals) -> Value {
    let pegged = [("usdt", TETHER_CAP), ("usdc", USDC_CAP)];
    let caps = totals
        .caps
        .iter()
        .map(|(coin, cap)| (coin.traits().asset, *cap));
    let share = |(asset, cap): (&str, f64)| (asset.to_owned(), json!(cap / totals.cap * 100.0));
    Value::Object(caps.chain(pegged).map(share).collect())
}
