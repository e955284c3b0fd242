//! The service's door to its caches, with and without Redis.

use std::{sync::Arc, time::Duration};

use dashboard::{
    cache::{
        keys::{CacheKeys, Key},
        manager::{CacheError, CacheManager},
    },
    config::Config,
    live::{hub::Hub, refresher::Refresher},
    market::{answer::Tier, figure::Group, summary::Summary},
};
use market_sim::FaultKind;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    redis::Redis,
    rig::until,
    stand::{Caching, Stand, fields_of, json},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Quote {
    price: f64,
}

const QUOTE: Quote = Quote { price: 67_012.5 };
const LONG: Duration = Duration::from_secs(60);

fn cache() -> CacheManager {
    CacheManager::build(&Config::defaults()).expect("the caches are built")
}

/// What is pinned on the board, if Redis can say.
async fn last_good(cache: &CacheManager) -> Option<Arc<Summary>> {
    let (bulletin, _) = cache.bulletin().await.ok().flatten()?;
    bulletin.news.as_ref().map(|news| Arc::clone(&news.summary))
}

fn key(text: &str) -> Key {
    Key::parse(text).expect("a sound key")
}

async fn quote() -> Result<Quote, std::io::Error> {
    Ok(QUOTE)
}

async fn no_quote() -> Result<Quote, std::io::Error> {
    Err(std::io::Error::other("the source is down"))
}

#[tokio::test]
async fn any_serde_value_is_cached_or_computed() {
    let cache = cache();
    let key = key("other:btc");
    assert_eq!(
        cache
            .cache_or_compute(&key, LONG, quote)
            .await
            .expect("computed"),
        QUOTE
    );
    assert_eq!(
        cache
            .cache_or_compute(&key, LONG, no_quote)
            .await
            .expect("cached"),
        QUOTE
    );
    assert_eq!(cache.get::<Quote>(&key).await.expect("cached"), Some(QUOTE));
    cache.invalidate(&key).await.expect("removed");
    assert_eq!(cache.get::<Quote>(&key).await.expect("gone"), None);
}

#[tokio::test]
async fn a_value_that_was_set_is_found_and_an_error_is_never_cached() {
    let cache = cache();
    let key = key("other:thing");
    let failed = cache.cache_or_compute(&key, LONG, no_quote).await;
    assert!(matches!(failed, Err(CacheError::Cache(error)) if error.is_load()));
    assert_eq!(cache.get::<Quote>(&key).await.expect("nothing"), None);
    cache.set(&key, &QUOTE).await.expect("set");
    assert_eq!(cache.get::<Quote>(&key).await.expect("cached"), Some(QUOTE));
    cache
        .set_with_ttl(&key, &Quote { price: 1.0 }, LONG)
        .await
        .expect("set");
    assert_eq!(
        cache.get::<Quote>(&key).await.expect("cached"),
        Some(Quote { price: 1.0 })
    );
}

#[tokio::test]
async fn another_type_than_a_keys_own_is_a_typed_error() {
    let cache = cache();
    let key = key("other:btc");
    cache.set(&key, &"a text").await.expect("set");
    assert!(matches!(
        cache.get::<Quote>(&key).await,
        Err(CacheError::OtherType(_))
    ));
    let summary = CacheKeys::dashboard_summary();
    assert!(matches!(
        cache.set(&summary, &QUOTE).await,
        Err(CacheError::OtherKind(_))
    ));
    assert!(matches!(
        cache.get::<Quote>(&summary).await,
        Err(CacheError::OtherKind(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_tells_what_it_cleared() {
    let stand = Stand::new().await;
    let cache = stand.cache();
    stand
        .service_over(Some(Arc::clone(&cache)))
        .fetch_dashboard_summary()
        .await;
    let cleared = cache.clear().await;
    assert!(cleared.is_complete());
    assert!(
        cleared
            .operations
            .iter()
            .any(|line| line == "dashboard: L1 and L2"),
        "{cleared:?}"
    );
    assert_eq!(cache.stats().l1_entries, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_store_is_off_and_nothing_is_unhealthy() {
    let stats = cache().stats();
    assert_eq!(
        (stats.l2_kind(), stats.l2_status(), stats.l2_is_healthy()),
        ("none", "off", false)
    );
    assert!(stats.is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_instance_whose_sources_are_dead_serves_what_another_one_left_in_redis() {
    let redis = Redis::start().await;
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(redis.url());
    let first = stand.service(Caching::On);
    let good = first.fetch_dashboard_summary().await;
    assert!(!good.value.has_missing());
    let cache = stand.cache();
    until("the last good figures to lie in Redis", || async {
        last_good(&cache).await
    })
    .await;
    stand.break_every_source(&FaultKind::Reset);

    let second = stand.service(Caching::On).fetch_dashboard_summary().await;
    assert_eq!((second.tier, &second.value), (Tier::Store, &good.value));

    // The summary itself is gone, as after its hour; the last good figures last for two days.
    cache
        .invalidate(&CacheKeys::dashboard_summary())
        .await
        .expect("removed");
    let third = stand.service(Caching::On).fetch_dashboard_summary().await;
    let body = json(&third.value);
    for group in [
        Group::Prices,
        Group::Global,
        Group::FearGreed,
        Group::Candles,
    ] {
        for (name, field) in fields_of(&body, group) {
            assert_eq!(body[&name], json(&good.value)[&name], "{name}: {field}");
            assert_ne!(field["status"], "missing", "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_never_take_the_place_of_the_last_good_figures() {
    let redis = Redis::start().await;
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(redis.url());
    stand.service(Caching::On).fetch_dashboard_summary().await;
    let cache = stand.cache();
    let good = until("the last good figures to lie in Redis", || async {
        last_good(&cache).await
    })
    .await;
    stand.break_every_source(&FaultKind::Reset);
    // This one cannot ask Redis when it starts, and knows nothing.
    redis.freeze();
    let blind = stand.service(Caching::On);
    let answer = blind.fetch_dashboard_summary().await;
    assert!(!answer.value.has_value());
    redis.thaw();
    let found = until("the last good figures to be found", || async {
        let answer = blind.fetch_dashboard_summary().await;
        (!answer.value.has_missing()).then_some(answer)
    })
    .await;
    assert!(found.value.has_value());
    let kept = last_good(&stand.cache()).await.expect("still there");
    assert!(!kept.has_missing() && kept.last_updated() >= good.last_updated());
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_are_not_stored_while_nobody_can_say_whether_there_are_better_figures() {
    let redis = Redis::start().await;
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(redis.url());
    stand.service(Caching::On).fetch_dashboard_summary().await;
    until("summary and last good figures to lie in Redis", || async {
        let cache = stand.cache();
        cache.cached_dashboard_data().await?;
        last_good(&cache).await
    })
    .await;
    // The store works, but for the last good figures.
    redis.command(&[
        "ACL",
        "SETUSER",
        "default",
        "resetkeys",
        "~*:t:*",
        "~*summary*",
        "~*candles*",
    ]);
    stand.break_every_source(&FaultKind::Reset);
    let stop = CancellationToken::new();
    let refresher = Refresher::start(
        &stand.config,
        stand.service(Caching::On),
        Hub::new(),
        stop.clone(),
    );
    until("rounds without a figure", || async {
        (refresher.rounds() >= 3).then_some(())
    })
    .await;
    stop.cancel();
    let kept = stand.cache().cached_dashboard_data().await;
    assert!(!kept.expect("still in Redis").value().has_missing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_and_serves_while_redis_is_not_there() {
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(Redis::nowhere().await);
    let cache = stand.cache();
    let service = stand.service_over(Some(Arc::clone(&cache)));
    let answer = service.fetch_dashboard_summary().await;
    assert!(!answer.value.has_missing());
    assert_eq!(service.fetch_dashboard_summary().await.tier, Tier::Local);
    until("the store to be called unavailable", || async {
        (cache.stats().l2_status() == "unavailable").then_some(())
    })
    .await;
    assert!(!cache.health_check());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_last_good_figures_stays_in_redis_longer_than_is_set() {
    const LONGEST: Duration = Duration::from_secs(40);
    let redis = Redis::start().await;
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(redis.url());
    stand.config.l2_ttl = LONGEST;
    assert!(stand.config.dashboard_ttl > LONGEST && stand.config.market_data_ttl > LONGEST);
    let cache = stand.cache();
    let service = stand.service_over(Some(Arc::clone(&cache)));
    service.fetch_dashboard_summary().await;
    cache.set(&key("other:btc"), &QUOTE).await.expect("set");
    cache
        .set_with_ttl(&key("other:eth"), &QUOTE, LONGEST * 90)
        .await
        .expect("set");
    cache
        .cache_or_compute(&key("other:sol"), LONGEST * 90, quote)
        .await
        .expect("computed");
    let wanted = [
        "dashboard:summary",
        "candles:btc:1d",
        "other:btc",
        "other:eth",
        "other:sol",
    ];
    let keys = until("all that was stored to lie in Redis", || async {
        let keys = redis.command(&["KEYS", "*:v:*"]);
        wanted.iter().all(|key| keys.contains(key)).then_some(keys)
    })
    .await;
    for key in keys.lines().filter(|key| !key.contains("dashboard:live")) {
        let left: i64 = redis
            .command(&["PTTL", key])
            .trim()
            .parse()
            .expect("a number");
        let allowed = 0..=i64::try_from(LONGEST.as_millis()).expect("it fits");
        assert!(allowed.contains(&left), "{key}: {left} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_namespace_is_cleared() {
    let redis = Redis::start().await;
    redis.command(&["SET", "other:v:{dashboard:dashboard:summary}", "not ours"]);
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(redis.url());
    let cache = stand.cache();
    stand
        .service_over(Some(Arc::clone(&cache)))
        .fetch_dashboard_summary()
        .await;
    until("our keys to lie in Redis", || async {
        last_good(&cache).await
    })
    .await;
    let cleared = cache.clear().await;
    assert!(cleared.is_complete(), "{cleared:?}");
    assert!(last_good(&cache).await.is_none());
    let theirs = redis.command(&["GET", "other:v:{dashboard:dashboard:summary}"]);
    assert_eq!(theirs.trim(), "not ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_of_other_coins_in_redis_is_a_miss() {
    let redis = Redis::start().await;
    let mut stand = Stand::new().await;
    stand.config.redis_url = Some(redis.url());
    stand.service(Caching::On).fetch_dashboard_summary().await;
    stand.config.symbols = vec!["sol".parse().expect("a coin")];
    let summary = stand.summary().await;
    assert!(summary["sol_price_usd"].is_number());
    assert!(summary.get("btc_price_usd").is_none());
}
