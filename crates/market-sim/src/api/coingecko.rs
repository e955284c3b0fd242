//! CoinGecko: the global figures, derived from the same prices.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::gate::Call;
use crate::coin::Coin;
use crate::market::{DAY_MS, Market};
use crate::world::World;

/// The figures are made anew this often.
const ROUND_MS: i64 = 600_000;

/// What the coins we do not simulate are worth: those pegged to the dollar, in dollars, and the
/// rest as a share of those we do.
const TETHER_CAP: f64 = 1.4e11;
const USDC_CAP: f64 = 6.0e10;
const OTHERS_SHARE: f64 = 0.14;
/// Turnover of all markets, as a multiple of that on the one we simulate.
const MARKETS: f64 = 21.0;
/// Dollars per euro.
const EURO: f64 = 1.08;

pub(super) fn answer(world: &World, call: &Call) -> Response {
    match call.endpoint {
        "/api/v3/ping" => Json(json!({"gecko_says": "(V3) To the Moon!"})).into_response(),
        "/api/v3/global" => Json(global(&world.market, world.now_ms())).into_response(),
        _ => (
            StatusCode::NOT_FOUND,
            Json(json!({"error": "no such path"})),
        )
            .into_response(),
    }
}

/// The error body that goes with a status.
pub(super) fn error_body(status: StatusCode) -> Value {
    let message = match status {
        StatusCode::TOO_MANY_REQUESTS => "You have exceeded the rate limit.",
        _ => "The request was not served.",
    };
    json!({"status": {"error_code": status.as_u16(), "error_message": message}})
}

fn global(market: &Market, now_ms: i64) -> Value {
    let round_ms = now_ms.div_euclid(ROUND_MS) * ROUND_MS;
    let now = Totals::at(market, round_ms);
    let before = Totals::at(market, round_ms - DAY_MS);
    let percent = |now: f64, before: f64| (now / before - 1.0) * 100.0;
    json!({"data": {
        "active_cryptocurrencies": 17_412,
        "upcoming_icos": 0,
        "ongoing_icos": 49,
        "ended_icos": 3_376,
        "markets": 1_284,
        "total_market_cap": now.in_currencies(now.cap),
        "total_volume": now.in_currencies(now.volume),
        "market_cap_percentage": now.shares(),
        "market_cap_change_percentage_24h_usd": percent(now.cap, before.cap),
        "volume_change_percentage_24h_usd": percent(now.volume, before.volume),
        "updated_at": round_ms / 1_000,
    }})
}

/// The sums over all coins at one moment, in dollars.
struct Totals {
    /// Price and market capitalisation, in the order of [`Coin::ALL`].
    coins: Vec<(Coin, f64, f64)>,
    cap: f64,
    volume: f64,
}

impl Totals {
    fn at(market: &Market, moment_ms: i64) -> Self {
        let worth = |coin: Coin| {
            let price = market.price(coin, moment_ms).as_f64();
            (coin, price, price * coin.traits().supply)
        };
        let coins: Vec<_> = Coin::ALL.into_iter().map(worth).collect();
        let ours: f64 = coins.iter().map(|(_, _, cap)| cap).sum();
        let turnover = |coin: Coin| {
            let last_ms = market.traded_at(coin, moment_ms);
            market
                .span(coin, last_ms - DAY_MS, last_ms)
                .turnover
                .as_f64()
        };
        Self {
            coins,
            cap: ours * (1.0 + OTHERS_SHARE) + TETHER_CAP + USDC_CAP,
            volume: Coin::ALL.into_iter().map(turnover).sum::<f64>() * MARKETS,
        }
    }

    fn in_currencies(&self, dollars: f64) -> Value {
        let mut amounts = Map::new();
        for (coin, price, _) in &self.coins {
            if matches!(
                coin,
                Coin::Btc | Coin::Eth | Coin::Bnb | Coin::Xrp | Coin::Link
            ) {
                amounts.insert(coin.traits().asset.to_owned(), json!(dollars / price));
            }
        }
        amounts.insert("usd".to_owned(), json!(dollars));
        amounts.insert("eur".to_owned(), json!(dollars / EURO));
        Value::Object(amounts)
    }

    fn shares(&self) -> Value {
        let pegged = [("usdt", TETHER_CAP), ("usdc", USDC_CAP)];
        let caps = self
            .coins
            .iter()
            .map(|(coin, _, cap)| (coin.traits().asset, *cap));
        let share = |(asset, cap): (&str, f64)| (asset.to_owned(), json!(cap / self.cap * 100.0));
        Value::Object(caps.chain(pegged).map(share).collect())
    }
}
