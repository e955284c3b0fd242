//! CoinMarketCap and Finnhub: figures of whole markets.

use market_sim::{FaultKind, Source, keys};

use crate::rig::{Rig, frozen_at, number};
use crate::shape::{Kind, check_fields, check_kind};

const METRICS: &str = "/cmc/v1/global-metrics/quotes/latest";
const QUOTE: &str = "/finnhub/api/v1/quote";

const STATUS: [(&str, Kind); 6] = [
    ("timestamp", Kind::Text),
    ("error_code", Kind::Integer),
    ("error_message", Kind::TextOrNull),
    ("elapsed", Kind::Integer),
    ("credit_count", Kind::Integer),
    ("notice", Kind::TextOrNull),
];

#[tokio::test]
async fn metrics_have_dominance_beside_the_quote_and_not_in_it() {
    let rig = Rig::frozen().await;
    let body = rig.json(METRICS).await;
    check_fields(
        &body,
        &[("status", Kind::Map), ("data", Kind::Map)],
        "metrics",
    );
    check_fields(&body["status"], &STATUS, "status");
    assert_eq!(body["status"]["error_code"], 0);
    let data = &body["data"];
    for name in [
        "active_cryptocurrencies",
        "total_cryptocurrencies",
        "active_market_pairs",
        "active_exchanges",
        "total_exchanges",
    ] {
        check_kind(&data[name], Kind::Integer, name);
    }
    for name in [
        "btc_dominance",
        "eth_dominance",
        "btc_dominance_yesterday",
        "eth_dominance_yesterday",
        "btc_dominance_24h_percentage_change",
        "eth_dominance_24h_percentage_change",
        "defi_market_cap",
        "stablecoin_market_cap",
        "derivatives_volume_24h",
    ] {
        check_kind(&data[name], Kind::Number, name);
    }
    check_kind(&data["last_updated"], Kind::Text, "last_updated");
    let quote = [
        ("total_market_cap", Kind::Number),
        ("total_volume_24h", Kind::Number),
        ("total_volume_24h_reported", Kind::Number),
        ("altcoin_volume_24h", Kind::Number),
        ("altcoin_volume_24h_reported", Kind::Number),
        ("altcoin_market_cap", Kind::Number),
        ("total_market_cap_yesterday", Kind::Number),
        ("total_market_cap_yesterday_percentage_change", Kind::Number),
        ("total_volume_24h_yesterday", Kind::Number),
        ("total_volume_24h_yesterday_percentage_change", Kind::Number),
        ("last_updated", Kind::Text),
    ];
    check_fields(&data["quote"], &[("USD", Kind::Map)], "quote");
    check_fields(&data["quote"]["USD"], &quote, "USD");
    for (query, key) in [("convert=EUR", "EUR"), ("convert_id=2781", "2781")] {
        let body = rig.json(&format!("{METRICS}?{query}")).await;
        check_fields(&body["data"]["quote"], &[(key, Kind::Map)], query);
    }
}

#[tokio::test]
async fn metrics_agree_with_coingecko_when_both_are_new() {
    let rig = Rig::at("2025-03-14T15:10:00Z").await;
    let metrics = rig.json(METRICS).await["data"].clone();
    let global = rig.json("/coingecko/api/v3/global").await["data"].clone();
    let quote = &metrics["quote"]["USD"];
    for (ours, theirs) in [
        (
            &quote["total_market_cap"],
            &global["total_market_cap"]["usd"],
        ),
        (&quote["total_volume_24h"], &global["total_volume"]["usd"]),
        (
            &metrics["btc_dominance"],
            &global["market_cap_percentage"]["btc"],
        ),
        (
            &metrics["eth_dominance"],
            &global["market_cap_percentage"]["eth"],
        ),
        (
            &quote["total_market_cap_yesterday_percentage_change"],
            &global["market_cap_change_percentage_24h_usd"],
        ),
    ] {
        let (ours, theirs) = (number(ours), number(theirs));
        assert!(
            (ours - theirs).abs() <= theirs.abs() * 1e-12,
            "{ours} {theirs}"
        );
    }
}

#[tokio::test]
async fn metrics_need_a_key_and_say_what_is_wrong_by_code() {
    let rig = Rig::frozen().await;
    let key = "x-cmc_pro_api_key";
    for (query, headers, status, code) in [
        ("", &[][..], 401, 1_002),
        ("", &[(key, "guess")], 401, 1_001),
        ("?convert=XYZ", &[(key, keys::CMC_API_KEY)], 400, 400),
    ] {
        let answer = rig.get_with(&format!("{METRICS}{query}"), headers).await;
        assert_eq!(answer.status, status);
        let body = answer.json();
        check_fields(&body["status"], &STATUS, "status");
        assert_eq!(body["status"]["error_code"], code);
        assert!(body["status"]["error_message"].is_string());
    }
}

#[tokio::test]
async fn metrics_may_fail_with_200_and_run_out_by_the_minute_day_or_month() {
    let rig = Rig::frozen().await;
    let status = |status| FaultKind::Status {
        status,
        retry_after: None,
    };
    rig.fail(Source::Cmc, status(200));
    let answer = rig.get(METRICS).await;
    assert_eq!(answer.status, 200);
    assert_ne!(answer.json()["status"]["error_code"], 0);
    for (http, code) in [(402, 1_003), (403, 1_005), (429, 1_008), (500, 500)] {
        rig.simulator.reset();
        rig.fail(Source::Cmc, status(http));
        assert_eq!(rig.get(METRICS).await.json()["status"]["error_code"], code);
    }
    for (seconds, code) in [(60, 1_008), (86_400, 1_009), (2_592_000, 1_010)] {
        rig.simulator.reset();
        rig.fail(Source::Cmc, FaultKind::RateLimit { calls: 1, seconds });
        assert_eq!(rig.get(METRICS).await.status, 200);
        let refused = rig.get(METRICS).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.json()["status"]["error_code"], code);
    }
}

#[tokio::test]
async fn quotes_of_the_three_funds_are_numbers() {
    let rig = Rig::frozen().await;
    let fields = ["c", "d", "dp", "h", "l", "o", "pc"];
    for symbol in ["SPY", "QQQ", "DIA"] {
        let quote = rig.json(&format!("{QUOTE}?symbol={symbol}")).await;
        for field in fields {
            check_kind(&quote[field], Kind::Number, field);
        }
        check_kind(&quote["t"], Kind::Integer, "t");
        assert_eq!(quote.as_object().unwrap().len(), fields.len() + 1);
        let [c, d, dp, h, l, o, pc] = fields.map(|field| number(&quote[field]));
        assert!(l <= o.min(c) && o.max(c) <= h, "{quote}");
        assert!((c - pc - d).abs() < 0.006, "{quote}");
        assert!((d / pc * 100.0 - dp).abs() < 0.006, "{quote}");
    }
}

#[tokio::test]
async fn an_unknown_fund_is_zeros_and_two_nulls() {
    let rig = Rig::frozen().await;
    let quote = rig.json(&format!("{QUOTE}?symbol=NOPE")).await;
    let zeros = serde_json::json!({
        "c": 0, "d": null, "dp": null, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0,
    });
    assert_eq!(quote, zeros);
}

#[tokio::test]
async fn the_stock_market_stands_still_at_night_and_on_weekends() {
    let rig = Rig::frozen().await;
    let path = format!("{QUOTE}?symbol=SPY");
    rig.simulator.set_time(frozen_at("2025-03-14T21:00:00Z"));
    let friday = rig.json(&path).await;
    assert_eq!(friday["t"], 1_741_986_000, "the close");
    for later in [
        "2025-03-14T23:59:59Z",
        "2025-03-16T12:00:00Z",
        "2025-03-17T14:29:59Z",
    ] {
        rig.simulator.set_time(frozen_at(later));
        assert_eq!(rig.json(&path).await, friday, "{later}");
    }
    rig.simulator.set_time(frozen_at("2025-03-17T14:30:00Z"));
    let monday = rig.json(&path).await;
    assert_eq!(monday["o"], monday["c"], "it has just opened");
    assert_eq!(monday["pc"], friday["c"]);
}

#[tokio::test]
async fn quotes_need_a_token_in_header_or_query() {
    let rig = Rig::frozen().await;
    let header = "x-finnhub-token";
    for (query, headers, status) in [
        ("", &[][..], 401),
        ("", &[(header, "guess")], 401),
        ("", &[(header, "")], 429),
        ("&token=", &[], 429),
        ("&token=simulated-finnhub-token", &[], 200),
        ("", &[(header, keys::FINNHUB_API_KEY)], 200),
    ] {
        let answer = rig
            .get_with(&format!("{QUOTE}?symbol=SPY{query}"), headers)
            .await;
        assert_eq!(answer.status, status, "{query} {headers:?}");
        if status != 200 {
            check_fields(&answer.json(), &[("error", Kind::Text)], query);
        }
    }
    assert_eq!(rig.get(QUOTE).await.status, 400, "without a symbol");
}
