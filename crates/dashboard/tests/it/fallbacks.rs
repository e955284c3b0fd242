//! Who stands in for whom when a source fails, and what is said of it.

use dashboard::market::{
    answer::Breaker,
    figure::{Figure, Group, Reason, Source as Of, State},
    summary::Summary,
    symbol::Symbol,
};
use market_sim::{Fault, FaultKind, Poison, Source, keys};

use crate::rig::until;
use crate::stand::{Caching, Stand, UPSTREAM_TIMEOUT, json};

/// A stand with every key, so that every source is on.
async fn stand_with_keys() -> Stand {
    let mut stand = Stand::new().await;
    // Four sources share it, on a machine with other tests.
    stand.config.upstream_timeout = UPSTREAM_TIMEOUT * 3;
    let key = |text: &str| Some(text.into());
    stand.config.taapi_secret = key(keys::TAAPI_SECRET);
    stand.config.cmc_api_key = key(keys::CMC_API_KEY);
    stand.config.finnhub_api_key = key(keys::FINNHUB_API_KEY);
    stand.config.coingecko_api_key = key(keys::COINGECKO_API_KEY);
    stand
}

fn source_of(summary: &Summary, figure: Figure) -> Option<Of> {
    let sample = summary.state(figure).and_then(State::sample);
    sample.map(|sample| sample.source)
}

fn is_fresh(summary: &Summary, figure: Figure) -> bool {
    matches!(summary.state(figure), Some(State::Fresh(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_key_every_figure_comes_from_the_source_that_is_asked_first() {
    let stand = stand_with_keys().await;
    let summary = stand
        .service(Caching::Off)
        .fetch_dashboard_summary()
        .await
        .value;
    for reading in summary.readings() {
        let (figure, first) = (reading.figure, reading.figure.group().first_source());
        assert!(is_fresh(&summary, figure), "{reading:?}");
        assert_eq!(source_of(&summary, figure), Some(first), "{figure:?}");
    }
    let body = json(&summary);
    assert_eq!(body["partial_failure"], false);
    for fund in ["SPY", "QQQ", "DIA"] {
        let fund = &body["us_stock_indices"][fund];
        assert!(
            fund["price"].is_number() && fund["change_percent"].is_number(),
            "{body}"
        );
    }
    assert_eq!(body["data_sources"]["prices"], "binance");
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_go_down_the_list_one_source_after_the_other() {
    let stand = Stand::new().await;
    stand.break_source(Source::Binance, FaultKind::Reset);
    stand.break_source(Source::Coinbase, FaultKind::Reset);
    let summary = stand
        .service(Caching::Off)
        .fetch_dashboard_summary()
        .await
        .value;
    let btc = Figure::Price(Symbol::Btc);
    assert_eq!(source_of(&summary, btc), Some(Of::Kraken));
    // Kraken's open is today's: a change over 24 hours cannot be had from it.
    let change = Figure::Change24h(Symbol::Btc);
    assert_eq!(source_of(&summary, change), Some(Of::CoinGecko));
    assert_eq!(source_of(&summary, Figure::BtcRsi14), Some(Of::Kraken));

    let stand = Stand::new().await;
    for source in [Source::Binance, Source::Coinbase, Source::Kraken] {
        stand.break_source(source, FaultKind::Reset);
    }
    let summary = stand
        .service(Caching::Off)
        .fetch_dashboard_summary()
        .await
        .value;
    assert_eq!(source_of(&summary, btc), Some(Of::CoinGecko));
    let rsi = summary.state(Figure::BtcRsi14).and_then(State::reason);
    assert_eq!(
        rsi,
        Some(Reason::NotReachable),
        "TAAPI is off without a secret"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_candles_the_rsi_is_taapis_also_when_it_answers_202_first() {
    let stand = stand_with_keys().await;
    for source in [Source::Binance, Source::Coinbase, Source::Kraken] {
        stand.break_source(source, FaultKind::Reset);
    }
    let computed = Stand::new()
        .await
        .service(Caching::Off)
        .fetch_dashboard_summary()
        .await;
    stand.simulator.inject(
        Source::Taapi,
        Fault {
            times: Some(1),
            ..Fault::always(FaultKind::Pending)
        },
    );
    let summary = stand
        .service(Caching::Off)
        .fetch_dashboard_summary()
        .await
        .value;
    assert_eq!(source_of(&summary, Figure::BtcRsi14), Some(Of::Taapi));
    let number = |summary: &Summary| json(summary)["btc_rsi_14"].as_f64().expect("a number");
    let (theirs, ours) = (number(&summary), number(&computed.value));
    assert!((theirs - ours).abs() < 1e-6, "{theirs} and {ours}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fund_that_fails_leaves_the_others_alone() {
    let stand = stand_with_keys().await;
    let null = Fault {
        times: Some(1),
        ..Fault::always(FaultKind::Poison {
            value: Poison::Null,
        })
    };
    stand.simulator.inject(Source::Finnhub, null);
    let body = json(
        &stand
            .service(Caching::Off)
            .fetch_dashboard_summary()
            .await
            .value,
    );
    let prices =
        ["SPY", "QQQ", "DIA"].map(|fund| body["us_stock_indices"][fund]["price"].is_number());
    assert_eq!(prices.iter().filter(|has| **has).count(), 2, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_source_that_is_a_fifth_too_dear_is_marked_and_never_averaged() {
    let stand = Stand::new().await;
    let service = stand.service(Caching::Off);
    let good = service.fetch_dashboard_summary().await.value;
    let price = |summary: &Summary| json(summary)["btc_price_usd"].as_f64().expect("a number");
    stand.break_source(Source::Binance, FaultKind::Skew { percent: 150 });
    let marked = until("a price that is marked", || async {
        let summary = service.fetch_dashboard_summary().await.value;
        let state = summary.state(Figure::Price(Symbol::Btc)).cloned();
        (state.and_then(|state| state.reason()) == Some(Reason::SourcesDisagree)).then_some(summary)
    })
    .await;
    let ratio = price(&marked) / price(&good);
    assert!(
        (0.9..1.1).contains(&ratio),
        "the last good one stays: {ratio}"
    );
    let body = json(&marked);
    assert_eq!(body["fields"]["btc_price_usd"]["status"], "stale");
    assert_eq!(body["partial_failure"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_its_key_is_off_and_never_called() {
    let stand = Stand::new().await;
    let service = stand.service(Caching::Off);
    service.fetch_dashboard_summary().await;
    for report in service.sources() {
        assert_eq!(report.is_on, report.source.needs().is_none(), "{report:?}");
        assert_eq!(report.breaker, Breaker::Closed);
    }
    for source in [Source::Cmc, Source::Taapi, Source::Finnhub] {
        assert_eq!(stand.simulator.calls_of(source), 0, "{source:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_shuts_the_source_out_for_long_and_stands_in_no_log_or_answer() {
    let mut stand = stand_with_keys().await;
    for key in [
        &mut stand.config.taapi_secret,
        &mut stand.config.cmc_api_key,
    ] {
        *key = Some("hunter2-hunter2".into());
    }
    stand.break_group(Group::Global, &FaultKind::Reset);
    stand.simulator.reset();
    stand.break_source(Source::CoinGecko, FaultKind::Reset);
    let service = stand.service(Caching::Off);
    for _ in 0..3 {
        service.forget();
        service.fetch_dashboard_summary().await;
    }
    assert_eq!(
        stand.simulator.calls_of(Source::Cmc),
        1,
        "401 is not asked about again"
    );
    let told = format!("{:?}", service.sources());
    assert!(
        !told.contains("hunter2") && told.contains("Refused"),
        "{told}"
    );
}
