//! CoinMarketCap: the figures of the whole market, once more and in another shape.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::Call;
use super::moment::iso;
use crate::coin::Coin;
use crate::keys::CMC_API_KEY;
use crate::market::DAY_MS;
use crate::scene::Scene;
use crate::totals::{TETHER_CAP, Totals, USDC_CAP, dollars_per, growth};

const KEY: &str = "x-cmc_pro_api_key";
/// The figures are made anew this often.
const ROUND_MS: i64 = 60_000;
/// CoinMarketCap's number for the dollar.
const DOLLAR_ID: &str = "2781";

const WRONG_KEY: i64 = 1_001;
const NO_KEY: i64 = 1_002;

pub(super) fn answer(scene: &Scene<'_>, call: &Call) -> Response {
    let refused = |status: StatusCode, code: i64| (status, Json(error_body(code))).into_response();
    match call.headers.get(KEY) {
        None => return refused(StatusCode::UNAUTHORIZED, NO_KEY),
        Some(key) if key != CMC_API_KEY => return refused(StatusCode::UNAUTHORIZED, WRONG_KEY),
        Some(_) => {}
    }
    if call.endpoint != "/v1/global-metrics/quotes/latest" {
        return refused(StatusCode::NOT_FOUND, 404);
    }
    let round_ms = scene.now_ms().div_euclid(ROUND_MS) * ROUND_MS;
    let scene = scene.at(round_ms);
    let Some(quoted) = Quoted::wanted(&scene, call) else {
        return refused(StatusCode::BAD_REQUEST, 400);
    };
    let body = json!({"status": status_of(0, None, round_ms), "data": figures(&scene, &quoted)});
    Json(body).into_response()
}

/// The error body with a code; it comes with HTTP 200 as well.
pub(super) fn error_body(code: i64) -> Value {
    let message = match code {
        WRONG_KEY => "The key is not known.",
        NO_KEY => "There is no key.",
        1_008..=1_011 => "The plan has no more calls for now.",
        _ => "The request was not served.",
    };
    // Refusals can come without a look at the market, and then nobody knows what time it is.
    json!({"status": status_of(code, Some(message), 0)})
}

/// The code that goes with a status; never 0, which would say that all is well.
pub(super) fn status_code(status: StatusCode) -> i64 {
    match status.as_u16() {
        401 => WRONG_KEY,
        402 => 1_003,
        403 => 1_005,
        429 => 1_008,
        200..=299 => 500,
        status => status.into(),
    }
}

/// The code that goes with a limit of so many calls in `window`.
pub(super) fn limit_code(window: Duration) -> i64 {
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);
    if window <= MINUTE {
        1_008
    } else if window <= DAY {
        1_009
    } else {
        1_010
    }
}

/// The currency in which the figures are wanted.
struct Quoted {
    /// What the answer calls it.
    key: String,
    dollars: f64,
}

impl Quoted {
    fn wanted(scene: &Scene<'_>, call: &Call) -> Option<Self> {
        let of = |currency: &str| {
            Some(Self {
                key: currency.to_owned(),
                dollars: dollars_per(scene, &currency.to_lowercase())?,
            })
        };
        match (call.param("convert"), call.param("convert_id")) {
            (None, None) => of("USD"),
            (Some(currency), None) => of(currency),
            (None, Some(DOLLAR_ID)) => Some(Self {
                key: DOLLAR_ID.to_owned(),
                dollars: 1.0,
            }),
            _ => None,
        }
    }
}

fn status_of(code: i64, message: Option<&str>, at_ms: i64) -> Value {
    json!({
        "timestamp": iso(at_ms),
        "error_code": code,
        "error_message": message,
        "elapsed": 12,
        "credit_count": i64::from(code == 0),
        "notice": null,
    })
}

fn figures(scene: &Scene<'_>, quoted: &Quoted) -> Value {
    let now = Totals::of(scene);
    let before = Totals::of(&scene.at(scene.now_ms() - DAY_MS));
    let mut figures = json!({
        "active_cryptocurrencies": 9_812,
        "total_cryptocurrencies": 38_406,
        "active_market_pairs": 112_630,
        "active_exchanges": 879,
        "total_exchanges": 12_004,
        "defi_volume_24h": now.volume * 0.12,
        "defi_volume_24h_reported": now.volume * 0.12,
        "defi_market_cap": now.cap * 0.03,
        "defi_24h_percentage_change": growth(now.volume, before.volume),
        "stablecoin_volume_24h": now.volume * 0.9,
        "stablecoin_volume_24h_reported": now.volume * 0.9,
        "stablecoin_market_cap": TETHER_CAP + USDC_CAP,
        "stablecoin_24h_percentage_change": growth(now.volume, before.volume),
        "derivatives_volume_24h": now.volume * 6.0,
        "derivatives_volume_24h_reported": now.volume * 6.0,
        "derivatives_24h_percentage_change": growth(now.volume, before.volume),
        "last_updated": iso(scene.now_ms()),
    });
    for (name, coin) in [("btc", Coin::Btc), ("eth", Coin::Eth)] {
        let (today, yesterday) = (now.dominance(coin), before.dominance(coin));
        figures[format!("{name}_dominance")] = json!(today);
        figures[format!("{name}_dominance_yesterday")] = json!(yesterday);
        figures[format!("{name}_dominance_24h_percentage_change")] = json!(today - yesterday);
    }
    figures["quote"] = json!({quoted.key.as_str(): sums(scene, (&now, &before), quoted)});
    figures
}

fn sums(scene: &Scene<'_>, (now, before): (&Totals, &Totals), quoted: &Quoted) -> Value {
    let money = |dollars: f64| json!(dollars / quoted.dollars);
    // All that is not Bitcoin.
    let others = 1.0 - now.dominance(Coin::Btc) / 100.0;
    json!({
        "total_market_cap": money(now.cap),
        "total_volume_24h": money(now.volume),
        "total_volume_24h_reported": money(now.volume * 1.4),
        "altcoin_volume_24h": money(now.volume * others),
        "altcoin_volume_24h_reported": money(now.volume * others * 1.4),
        "altcoin_market_cap": money(now.cap * others),
        "total_market_cap_yesterday": money(before.cap),
        "total_market_cap_yesterday_percentage_change": growth(now.cap, before.cap),
        "total_volume_24h_yesterday": money(before.volume),
        "total_volume_24h_yesterday_percentage_change": growth(now.volume, before.volume),
        "last_updated": iso(scene.now_ms()),
    })
}
