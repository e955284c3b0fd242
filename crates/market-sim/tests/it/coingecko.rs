//! CoinGecko: what it answers, and in which shape.

use crate::rig::Rig;
use crate::shape::{Kind, check_fields, check_kind};

#[tokio::test]
async fn global_has_the_documented_shape() {
    let rig = Rig::frozen().await;
    check_fields(
        &rig.json("/coingecko/api/v3/ping").await,
        &[("gecko_says", Kind::Text)],
        "ping",
    );
    let body = rig.json("/coingecko/api/v3/global").await;
    check_fields(&body, &[("data", Kind::Map)], "global");
    let fields = [
        ("active_cryptocurrencies", Kind::Integer),
        ("upcoming_icos", Kind::Integer),
        ("ongoing_icos", Kind::Integer),
        ("ended_icos", Kind::Integer),
        ("markets", Kind::Integer),
        ("total_market_cap", Kind::Map),
        ("total_volume", Kind::Map),
        ("market_cap_percentage", Kind::Map),
        ("market_cap_change_percentage_24h_usd", Kind::Number),
        ("volume_change_percentage_24h_usd", Kind::Number),
        ("updated_at", Kind::Integer),
    ];
    check_fields(&body["data"], &fields, "data");
    for (map, entry) in [
        ("total_market_cap", "usd"),
        ("total_market_cap", "btc"),
        ("total_volume", "usd"),
        ("market_cap_percentage", "btc"),
        ("market_cap_percentage", "eth"),
    ] {
        check_kind(&body["data"][map][entry], Kind::Number, map);
    }
}
