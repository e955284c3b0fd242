//! What the control routes say of the simulator and of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::keys;
use crate::source::Source;
use crate::world::World;

pub(super) async fn description(State(world): State<Arc<World>>) -> Json<Value> {
    let base_urls = Source::ALL.map(|source| (source.name(), world.source_url(source)));
    let endpoints = Source::ALL.map(|source| (source.name(), source.endpoints()));
    Json(json!({
        "seed": world.seed(),
        "now": world.now(),
        "base_urls": BTreeMap::from(base_urls),
        "endpoints": BTreeMap::from(endpoints),
        "keys": {
            "taapi": keys::TAAPI_SECRET,
            "cmc": keys::CMC_API_KEY,
            "finnhub": keys::FINNHUB_API_KEY,
            "coingecko": keys::COINGECKO_API_KEY,
        },
        "routes": {
            "GET /control/calls": "calls so far per endpoint, failed ones included; by=source: per source",
            "GET /control/faults": "the faults on order",
            "POST /control/faults": {
                "examples": faults(),
                "poisons": [
                    "negative", "zero", "nan", "text", "empty", "huge", "null", "wrong_type", "listed",
                ],
                "optional": {"endpoint": "one of the endpoints", "times": "calls that meet it"},
            },
            "DELETE /control/faults": "forgets the faults on order and nothing else",
            "GET /control/streams": "how many streams are open",
            "POST /control/streams": {"examples": ["drop", "shutdown"]},
            "POST /control/reset": "forgets faults, calls, used weight and attempts to open streams",
            "GET /control/clock": "the present, and how it runs",
            "POST /control/clock": {"examples": [
                "real_time",
                {"running_from": "2021-05-01T12:00:00Z"},
                {"fast_from": {"moment": "2021-05-01T12:00:00Z", "speed": 60}},
                {"speed": 60},
                {"frozen_at": "2021-05-01T12:00:00Z"},
                {"stepped_from": "2021-05-01T12:00:00Z"},
                {"step_ms": 60_000},
            ]},
        },
    }))
}

/// One order of each kind.
fn faults() -> Value {
    json!([
        {"source": "binance", "kind": "latency", "ms": 300},
        {"source": "coinbase", "kind": "skew", "percent": 125},
        {"source": "kraken", "kind": "behind", "seconds": 3_600},
        {"source": "coingecko", "kind": "status", "status": 429, "retry_after": 5},
        {"source": "taapi", "kind": "rate_limit", "calls": 1, "seconds": 15},
        {"source": "taapi", "kind": "pending", "times": 1},
        {"source": "binance", "kind": "canned", "status": 400, "body": "{\"code\":-1121,\"msg\":\"x\"}"},
        {"source": "kraken", "kind": "redirect", "to": "http://127.0.0.1:9/"},
        {"source": "fng", "kind": "html"},
        {"source": "cmc", "kind": "garbage"},
        {"source": "binance", "kind": "poison", "value": "nan", "endpoint": "/api/v3/klines"},
        {"source": "binance", "kind": "poison_field", "field": "lastPrice", "value": "null"},
        {"source": "finnhub", "kind": "truncated"},
        {"source": "finnhub", "kind": "drip", "ms": 50},
        {"source": "fng", "kind": "hang", "times": 3},
        {"source": "binance-ws", "kind": "hang", "endpoint": "pings"},
        {"source": "binance-ws", "kind": "reset", "endpoint": "frames"},
        {"source": "coingecko", "kind": "empty"},
        {"source": "coingecko", "kind": "oversized"},
        {"source": "coingecko", "kind": "gzip_bomb"},
    ])
}
