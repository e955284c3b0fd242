//! Binance's trading rules: what there is, in which steps, and how much may be asked.

use serde_json::{Value, json};

use super::query::{Params, Refusal, Selection};
use super::ticker;
use super::weight::LIMIT;
use crate::coin::Coin;
use crate::scene::Scene;

pub(super) fn trading_rules(scene: &Scene<'_>, params: &Params<'_>) -> Result<Value, Refusal> {
    ticker::check_status(params)?;
    let selection = match params.selection()? {
        Selection::One(coin) => Selection::List(vec![coin]),
        many => many,
    };
    Ok(json!({
        "timezone": "UTC",
        "serverTime": scene.now_ms(),
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": LIMIT},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000},
        ],
        "exchangeFilters": [],
        "symbols": selection.each(rules_of),
    }))
}

fn rules_of(coin: Coin) -> Value {
    json!({
        "symbol": coin.symbol(),
        "status": "TRADING",
        "baseAsset": coin.traits().asset.to_uppercase(),
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": true,
        "ocoAllowed": true,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": [{
            "filterType": "PRICE_FILTER",
            "minPrice": coin.tick().to_string(),
            "maxPrice": "1000000.00000000",
            "tickSize": coin.tick().to_string(),
        }],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    })
}
