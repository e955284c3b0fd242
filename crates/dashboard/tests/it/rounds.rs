//! Who shares a round, what a refresh does, and what is forgotten.

use std::time::{Duration, Instant};

use dashboard::market::answer::{Breaker, Refreshed, Tier};
use market_sim::{Fault, FaultKind, SimOptions, SimTime, Source};

use crate::{
    redis::Redis,
    rig::{Rig, SUMMARY, TOKEN, until},
    stand::{Caching, ENDPOINTS, Stand, json},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_cold_readers_cost_one_call_per_endpoint_also_when_the_first_hundred_leave() {
    for leaving in [0, 100] {
        let stand = Stand::new().await;
        let late = FaultKind::Latency {
            delay: Duration::from_millis(200),
        };
        stand.break_every_source(&late);
        let service = stand.service(Caching::On);
        let readers: Vec<_> = (0..1_000)
            .map(|_| {
                let service = service.clone();
                tokio::spawn(async move { service.fetch_dashboard_summary().await })
            })
            .collect();
        // The sources take 200 ms, so that those who leave now leave in the middle of the round.
        until("the round to be under way", || async {
            (stand.calls(ENDPOINTS[0]) == 1).then_some(())
        })
        .await;
        for reader in readers.iter().take(leaving) {
            reader.abort();
        }
        let mut summaries = Vec::new();
        for reader in readers.into_iter().skip(leaving) {
            summaries.push(reader.await.expect("a reader gets an answer").value);
        }
        assert!(summaries.iter().all(|summary| summary == &summaries[0]));
        assert!(!summaries[0].has_missing());
        for endpoint in ENDPOINTS {
            assert_eq!(stand.calls(endpoint), 1, "{endpoint}, {leaving} left");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_cache_shares_rounds_all_the_same() {
    let stand = Stand::new().await;
    stand.break_every_source(&FaultKind::Latency {
        delay: Duration::from_millis(50),
    });
    let service = stand.service(Caching::Off);
    let readers: Vec<_> = (0..200)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { service.fetch_dashboard_summary().await })
        })
        .collect();
    for reader in readers {
        let answer = reader.await.expect("a reader gets an answer");
        assert_eq!(answer.tier, Tier::Uncached);
        assert!(!answer.value.has_missing());
    }
    for endpoint in ENDPOINTS {
        assert_eq!(stand.calls(endpoint), 1, "{endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_forgetting_the_next_read_asks_every_source_again() {
    let stand = Stand::new().await;
    let cache = stand.cache();
    let service = stand.service_over(Some(cache.clone()));
    let first = service.fetch_dashboard_summary().await;
    assert_eq!(service.fetch_dashboard_summary().await.tier, Tier::Local);
    service.forget();
    let cleared = cache.clear().await;
    assert!(cleared.is_complete());
    let second = service.fetch_dashboard_summary().await;
    assert_eq!(second.tier, Tier::Loader);
    assert!(second.value.last_updated() >= first.value.last_updated());
    for endpoint in ENDPOINTS {
        assert_eq!(stand.calls(endpoint), 2, "{endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_clear_that_missed_a_dead_redis_readers_get_one_version_with_its_real_age() {
    let redis = Redis::start().await;
    let address = redis.address();
    let rig = Rig::start(&[
        ("REDIS_URL", &address),
        ("ADMIN_TOKEN", TOKEN),
        ("REFRESH_INTERVAL_SECONDS", "3600"),
    ])
    .await;
    rig.warm().await;
    drop(redis);
    let sent = format!("Bearer {TOKEN}");
    let cleared = rig
        .call("POST", "/clear-cache", &[("Authorization", &sent)])
        .await;
    assert_ne!(cleared.json()["success"], true, "{}", cleared.text());
    let first = rig.get(SUMMARY).await;
    assert!(first.json()["btc_price_usd"].is_number());
    let tag = first.header("etag").map(ToOwned::to_owned);
    assert!(tag.is_some());
    let aged = until("the summary to be a second old", || async {
        let reply = rig.get(SUMMARY).await;
        assert_eq!(reply.header("etag"), tag.as_deref());
        let status = reply.header("cache-status").unwrap_or_default();
        assert!(!status.contains("stored"), "{status}");
        (reply.header("age") != Some("0")).then_some(reply)
    })
    .await;
    assert_eq!(aged.body, first.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_back_when_sources_die_after_everything_was_forgotten() {
    let stand = Stand::new().await;
    let cache = stand.cache();
    let service = stand.service_over(Some(cache.clone()));
    assert!(!service.fetch_dashboard_summary().await.value.has_missing());
    stand.break_every_source(&FaultKind::Reset);
    service.forget();
    cache.clear().await;
    let summary = service.fetch_dashboard_summary().await.value;
    assert!(
        !summary.has_value(),
        "{}",
        String::from_utf8_lossy(&summary.body())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_soon_after_a_round_gets_that_rounds_summary() {
    let stand = Stand::new().await;
    let service = stand.service(Caching::On);
    let Refreshed::Ran(first) = service.refresh_dashboard_summary().await else {
        panic!("the first refresh makes a round");
    };
    let Refreshed::Recent(second) = service.refresh_dashboard_summary().await else {
        panic!("the second one comes too soon");
    };
    assert_eq!(first.value, second.value);
    service.forget();
    assert_eq!(stand.calls(ENDPOINTS[0]), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_stored_where_readers_find_it() {
    let stand = Stand::new().await;
    let service = stand.service(Caching::On);
    let Refreshed::Ran(refreshed) = service.refresh_dashboard_summary().await else {
        panic!("the first refresh makes a round");
    };
    let read = service.fetch_dashboard_summary().await;
    assert_eq!((read.tier, &read.value), (Tier::Local, &refreshed.value));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_with_a_missing_figure_is_fresh_for_one_refresh_interval_only() {
    let stand = Stand::new().await;
    let once = Fault {
        times: Some(1),
        ..Fault::always(FaultKind::Status {
            status: 404,
            retry_after: None,
        })
    };
    stand.simulator.inject(Source::Fng, once);
    let service = stand.service(Caching::On);
    assert!(service.fetch_dashboard_summary().await.value.has_missing());
    let whole = until("a whole summary", || async {
        let answer = service.fetch_dashboard_summary().await;
        (!answer.value.has_missing()).then_some(answer)
    })
    .await;
    assert!(!whole.value.is_partial());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_follows_the_symbols_that_are_set() {
    let mut stand = Stand::new().await;
    stand.config.symbols = vec![
        "sol".parse().expect("a coin"),
        "btc".parse().expect("a coin"),
    ];
    let summary = stand.summary().await;
    let names: Vec<_> = summary.as_object().expect("an object").keys().collect();
    assert!(names.iter().any(|name| *name == "sol_price_usd"));
    assert!(!names.iter().any(|name| name.starts_with("ada_")));
}
#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_answers_are_of_no_use_is_reported_as_failing() {
    let stand = Stand::new().await;
    let poison = FaultKind::Poison {
        value: market_sim::Poison::Nan,
    };
    stand.break_source(Source::Fng, poison);
    let service = stand.service(Caching::Off);
    let error = || {
        let reports = service.sources().into_iter();
        reports
            .map(|report| (report.source.name(), report.last_error))
            .collect::<Vec<_>>()
    };
    service.fetch_dashboard_summary().await;
    for (source, error) in error() {
        assert_eq!(
            error.is_some(),
            source == "alternative.me",
            "{source}: {error:?}"
        );
    }
    stand.simulator.reset();
    until("the source to be well again", || async {
        service.fetch_dashboard_summary().await;
        error()
            .iter()
            .all(|(_, error)| error.is_none())
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_source_opens_its_breaker_and_delays_nobody_any_more() {
    let mut stand = Stand::new().await;
    stand.config.upstream_timeout = Duration::from_millis(300);
    stand.break_source(Source::CoinGecko, FaultKind::Hang);
    let service = stand.service(Caching::Off);
    let breaker = || {
        service
            .sources()
            .into_iter()
            .find(|report| report.breaker != Breaker::Closed)
    };
    until("the breaker to open", || async {
        service.fetch_dashboard_summary().await;
        breaker()
    })
    .await;
    until("a round that is not delayed", || async {
        let start = Instant::now();
        let summary = json(&service.fetch_dashboard_summary().await.value);
        let is_refused = summary["fields"]["market_cap_usd"]["error"] == "breaker_open";
        assert!(!is_refused || start.elapsed() < stand.config.upstream_timeout);
        is_refused.then_some(())
    })
    .await;
}

/// Before a market that has not moved for so long.
async fn standing_still_since(ago: Duration) -> Stand {
    let moment = jiff::Timestamp::now() - ago;
    Stand::with_simulator(SimOptions {
        time: SimTime::FrozenAt(moment),
        ..SimOptions::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_says_of_minutes_ago_is_stale_however_lately_it_was_asked() {
    let stand = standing_still_since(Duration::from_secs(5 * 60)).await;
    let service = stand.service(Caching::On);
    let body = json(&service.fetch_dashboard_summary().await.value);
    let price = &body["fields"]["btc_price_usd"];
    assert_eq!(price["source"], "binance");
    assert_eq!(
        (&price["status"], &price["error"]),
        (&"stale".into(), &"too_old".into())
    );
    assert_eq!(
        body["fields"]["market_cap_usd"]["status"], "fresh",
        "it is told every ten minutes"
    );
    let btc = "btc".parse().expect("a coin");
    for answer in [
        service.fetch_market_data(btc).await,
        service.fetch_market_data_direct(btc).await,
    ] {
        assert!(answer.expect("it is young enough to be shown").is_stale);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_says_of_days_ago_is_no_figure_of_today() {
    let stand = standing_still_since(Duration::from_secs(4 * 86_400)).await;
    let service = stand.service(Caching::On);
    let body = json(&service.fetch_dashboard_summary().await.value);
    assert_eq!(body["partial_failure"], true);
    let fields = body["fields"].as_object().expect("fields is an object");
    for (name, field) in fields {
        // Coinbase and Kraken do not say of which moment their prices are.
        let is_undated = ["coinbase", "kraken"]
            .iter()
            .any(|name| field["source"] == *name);
        if is_undated && name != "btc_rsi_14" {
            continue;
        }
        assert!(body[name].is_null(), "{name}: {field}");
        assert_eq!(field["status"], "missing", "{name}: {field}");
    }
    assert_eq!(fields["fng_value"]["error"], "too_old");
    assert_eq!(fields["market_cap_usd"]["error"], "too_old");
    assert_eq!(fields["bnb_price_usd"]["error"], "too_old");
    let bnb = service
        .fetch_market_data("bnb".parse().expect("a coin"))
        .await;
    assert!(bnb.is_err(), "{bnb:?}");
}
