//! The summary's JSON and its stored form.

use std::sync::Arc;

use dashboard::market::{
    figure::{Figure, State, Value},
    summary::Summary,
};
use serde_json::{Value as Json, json};

use crate::stand::{Caching, Stand, json as body_of};

async fn summary() -> Arc<Summary> {
    let stand = Stand::new().await;
    stand
        .service(Caching::On)
        .fetch_dashboard_summary()
        .await
        .value
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_has_every_member_that_is_documented() {
    let body = body_of(&*summary().await);
    for coin in ["btc", "eth", "sol", "xrp", "ada", "link", "bnb"] {
        assert!(
            body[format!("{coin}_price_usd")]
                .as_f64()
                .is_some_and(|price| price > 0.0)
        );
        assert!(body[format!("{coin}_change_24h")].is_number());
        assert_eq!(body["fields"][format!("{coin}_price_usd")]["quote"], "USDT");
    }
    for number in [
        "market_cap_usd",
        "volume_24h_usd",
        "market_cap_change_percentage_24h_usd",
        "btc_market_cap_percentage",
        "eth_market_cap_percentage",
        "btc_rsi_14",
        "fetch_duration_ms",
    ] {
        assert!(body[number].is_number(), "{number}: {}", body[number]);
    }
    assert!(body["fng_value"].as_u64().is_some_and(|value| value <= 100));
    assert!(body["fng_classification"].is_string());
    assert_eq!(body["us_stock_indices"], json!({}));
    assert_eq!(body["partial_failure"], false);
    for (alias, name) in [
        ("market_cap", "market_cap_usd"),
        ("volume_24h", "volume_24h_usd"),
        ("rsi_14", "btc_rsi_14"),
    ] {
        assert_eq!(body[alias], body[name]);
    }
    let made: Result<jiff::Timestamp, _> = body["last_updated"].as_str().unwrap_or("").parse();
    assert!(made.is_ok(), "{}", body["last_updated"]);
    for (name, field) in body["fields"].as_object().expect("fields is an object") {
        assert_eq!(field["status"], "fresh", "{name}");
        assert!(
            field["source"].is_string() && field["age_ms"].is_u64(),
            "{name}: {field}"
        );
        assert!(
            field["observed_at"].is_string() && field.get("error").is_none(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_encoded_once_and_handed_out_as_the_same_bytes() {
    let summary = summary().await;
    assert_eq!(summary.body().as_ptr(), summary.body().as_ptr());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_form_survives_a_codec_that_does_not_describe_itself() {
    let summary = summary().await;
    let stored = postcard::to_allocvec(&*summary).expect("it encodes");
    let back: Summary = postcard::from_bytes(&stored).expect("it decodes");
    assert_eq!(*summary, back);
    assert_eq!(summary.body(), back.body());
    let price = |summary: &Summary| match summary.state(Figure::Price("btc".parse().unwrap())) {
        Some(State::Fresh(sample)) => sample.value.clone(),
        other => panic!("not fresh: {other:?}"),
    };
    assert_eq!(price(&summary), price(&back));
    assert!(matches!(price(&back), Value::Number(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_number_can_be_null() {
    let stand = Stand::new().await;
    stand.break_every_source(&market_sim::FaultKind::Reset);
    let body = body_of(
        &stand
            .service(Caching::On)
            .fetch_dashboard_summary()
            .await
            .value,
    );
    let fields = body["fields"].as_object().expect("fields is an object");
    for (name, field) in fields {
        assert_eq!(body[name], Json::Null, "{name}");
        assert_eq!(field["observed_at"], Json::Null, "{name}");
    }
    assert_eq!(body["partial_failure"], true);
}
