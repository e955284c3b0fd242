//! What a reader gets as time goes by.

use std::{future::Future, sync::Arc, time::Duration};

use dashboard::cache::keys::Interval;
use dashboard::config::Config;
use dashboard::indicator::Indicator;
use dashboard::live::{hub::Hub, refresher::Refresher};
use dashboard::market::answer::{Answer, Refreshed, Tier};
use dashboard::market::figure::{Figure, Reason, Source as Of, State};
use dashboard::market::service::{TechnicalError, Unavailable};
use dashboard::market::symbol::Symbol;
use dashboard::market::technical::{LastBar, Technical};
use market_sim::{FaultKind, Poison, RetryAfter, Source};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::day::world::World;

/// From then on a refresh is no longer too soon after the last round.
const REFRESH_PAUSE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_refresh_asks_the_sources_though_the_cached_summary_is_fresh() {
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let (_, service) = world.service();
    let first = service.fetch_dashboard_summary().await;
    sleep(REFRESH_PAUSE).await;
    let calls = world.calls().len();
    let read = service.fetch_dashboard_summary().await;
    assert_eq!((read.tier, read.is_stale), (Tier::Local, false));
    assert_eq!(world.calls().len(), calls, "a reader is content with it");

    let Refreshed::Ran(renewed) = service.refresh_dashboard_summary().await else {
        panic!("the last round is long enough ago");
    };
    assert!(world.calls().len() > calls, "the sources were asked");
    assert!(renewed.value.last_updated() > first.value.last_updated());
    let read = service.fetch_dashboard_summary().await;
    assert_eq!((read.tier, &read.value), (Tier::Local, &renewed.value));
}

#[tokio::test(start_paused = true)]
async fn after_cool_downs_prices_are_fresh_within_one_of_them_and_a_round() {
    const COOL_DOWN: u64 = 30;
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let config = Config {
        refresh_interval: Duration::from_secs(1),
        ..Config::defaults()
    };
    let (config, service) = world.service_of(config);
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let mut updates = hub.subscribe();
    let _refresher = Refresher::start(&config, service, hub, stop.clone());
    sleep(Duration::from_secs(5)).await;
    let refused = FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Seconds(COOL_DOWN)),
    };
    for (fault, lasts) in [(refused, 60), (FaultKind::Html, 20)] {
        let faults = Source::ALL.map(|source| (source, fault.clone()));
        world.suffer(faults.into()).await;
        sleep(Duration::from_secs(lasts)).await;
    }
    world.suffer(Vec::new()).await;
    let fresh = async {
        loop {
            let update = updates.borrow_and_update().news.clone();
            let update = update.expect("it was published");
            let price = update.summary.state(Figure::Price(Symbol::Btc)).cloned();
            if matches!(price, Some(State::Fresh(_))) {
                break;
            }
            updates.changed().await.expect("the hub lives");
        }
    };
    timeout(Duration::from_secs(COOL_DOWN + 5), fresh)
        .await
        .expect("prices are fresh again in time");
    stop.cancel();
}

/// How long it took, and why it failed.
async fn timed<T, E: Into<TechnicalError>>(
    reading: impl Future<Output = Result<T, E>>,
) -> (Duration, Option<TechnicalError>) {
    let asked = Instant::now();
    let error = reading.await.err().map(Into::into);
    (asked.elapsed(), error)
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_candles_that_a_round_reads_for_longer_than_a_reader_may() {
    const COIN: Symbol = Symbol::Btc;
    const SPAN: Interval = Interval::Day1;
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let (config, service) = world.service();
    let hanging = [Source::Binance, Source::Coinbase, Source::Kraken];
    let hanging = hanging.map(|source| (source, FaultKind::Hang));
    world.suffer(hanging.into()).await;
    let stop = CancellationToken::new();
    let _refresher = Refresher::start(&config, Arc::clone(&service), Hub::new(), stop.clone());
    let mut readers = JoinSet::new();
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        let of = Arc::clone(&service);
        readers.spawn(async move { timed(of.fetch_candles(COIN, SPAN)).await });
        let of = Arc::clone(&service);
        readers.spawn(async move {
            timed(of.fetch_technical_indicator(COIN, Indicator::RSI_14, SPAN)).await
        });
        let of = Arc::clone(&service);
        readers.spawn(async move {
            let live = LastBar::Live;
            let read = of.fetch_technical_indicator_direct(COIN, Indicator::RSI_14, SPAN, live);
            timed(read).await
        });
    }
    let read = readers.join_all().await;
    let longest = read.iter().map(|(took, _)| *took).max();
    let bound = config.upstream_timeout + Duration::from_millis(500);
    assert!(longest <= Some(bound), "{longest:?}");
    let late = Some(TechnicalError::from(Unavailable(Reason::TimedOut)));
    assert!(
        read.iter()
            .any(|(took, error)| *took >= config.upstream_timeout && *error == late),
        "nobody met the round: {read:?}"
    );
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn sources_that_want_to_be_left_alone_delay_no_update_though_candles_are_due() {
    const ROUND: Duration = Duration::from_secs(2);
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let config = Config {
        refresh_interval: ROUND,
        market_data_ttl: Duration::from_secs(5),
        ..Config::defaults()
    };
    let (config, service) = world.service_of(config);
    let refused = FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Seconds(60)),
    };
    let faults = Source::ALL.map(|source| (source, refused.clone()));
    world.suffer(faults.into()).await;
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let mut updates = hub.subscribe();
    let _refresher = Refresher::start(&config, service, hub, stop.clone());
    for round in 0..25 {
        timeout(ROUND + Duration::from_millis(500), updates.changed())
            .await
            .unwrap_or_else(|_| panic!("update {round} came late"))
            .expect("the hub lives");
    }
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_round_whose_last_source_fails_is_a_failed_one_though_the_others_are_left_alone() {
    // Long enough for TAAPI's allowance.
    const ROUND: Duration = Duration::from_secs(20);
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let config = Config {
        refresh_interval: ROUND,
        ..Config::defaults()
    };
    let (config, service) = world.service_of(config);
    let refused = FaultKind::Status {
        status: 429,
        retry_after: Some(RetryAfter::Seconds(3_600)),
    };
    let mut faults: Vec<_> = Source::ALL
        .into_iter()
        .map(|source| (source, refused.clone()))
        .collect();
    faults.retain(|(source, _)| *source != Source::Taapi);
    // An answer of no use: no breaker opens, and it is asked in each round.
    faults.push((
        Source::Taapi,
        FaultKind::Poison {
            value: Poison::Null,
        },
    ));
    world.suffer(faults).await;
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let refresher = Refresher::start(&config, service, hub, stop.clone());
    sleep(30 * ROUND).await;
    let rounds = refresher.rounds();
    assert!(
        (10..15).contains(&rounds),
        "{rounds} rounds, and 30 without pauses"
    );
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn an_indicator_is_as_old_as_its_candles_and_stale_when_they_would_be() {
    const SECOND: Duration = Duration::from_secs(1);
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let config = Config {
        l1_ttl: 2 * Config::defaults().l2_ttl,
        ..Config::defaults()
    };
    let (config, service) = world.service_of(config);
    let ttl = config.market_data_ttl;
    let rsi = || {
        let reading =
            service.fetch_technical_indicator(Symbol::Btc, Indicator::RSI_14, Interval::Day1);
        async { (reading.await, world.now()) }
    };
    let told = |answer: &Answer<Technical>, now: jiff::Timestamp| {
        let age = now.duration_since(answer.value.received_at);
        let age = Duration::try_from(age).expect("it reached us before now");
        assert!(
            answer.age.abs_diff(age) <= 2 * SECOND,
            "{age:?}: {answer:?}"
        );
        age
    };
    let candles = service.fetch_candles(Symbol::Btc, Interval::Day1).await;
    let received_at = candles.expect("the sources work").value.received_at;
    for _ in 0..20 {
        sleep(ttl / 3).await;
        let (answer, now) = rsi().await;
        let answer = answer.expect("the sources work");
        let age = told(&answer, now);
        assert!(!answer.is_stale && age <= ttl + 2 * SECOND, "{age:?}");
    }

    let (last, now) = rsi().await;
    let last = last.expect("the sources work").value.received_at;
    assert!(last > received_at);
    let faults = Source::ALL.map(|source| (source, FaultKind::Reset));
    world.suffer(faults.into()).await;
    let gone = config
        .l2_ttl
        .saturating_sub(told(&rsi().await.0.expect("cached"), now));
    sleep(gone - 5 * SECOND).await;
    let (answer, now) = rsi().await;
    let answer = answer.expect("it is kept for an hour");
    told(&answer, now);
    assert!(answer.is_stale && answer.value.received_at == last);
    sleep(10 * SECOND).await;
    let (answer, _) = rsi().await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_goes_on_without_an_answer_blames_who_is_being_asked() {
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let (config, service) = world.service();
    let broken = FaultKind::Status {
        status: 500,
        retry_after: None,
    };
    let mut faults = Source::ALL.map(|source| (source, FaultKind::Hang));
    faults[0] = (Source::Binance, broken);
    world.suffer(faults.into()).await;
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let mut updates = hub.subscribe();
    let _refresher = Refresher::start(&config, Arc::clone(&service), hub, stop.clone());
    timeout(config.upstream_timeout * 2, updates.changed())
        .await
        .expect("a round ends in time")
        .expect("the hub lives");
    let trouble = |of: Of| {
        let reports = service.sources().into_iter();
        let mut reports = reports.filter(|report| report.source == of);
        reports.next().and_then(|report| report.last_error)
    };
    assert_eq!(trouble(Of::Binance), Some(Reason::ServerFailed));
    for late in [Of::Coinbase, Of::Kraken, Of::CoinGecko, Of::AlternativeMe] {
        assert_eq!(trouble(late), Some(Reason::TimedOut), "{late:?}");
    }
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn what_fails_in_each_round_stays_a_trouble_however_long_the_pauses_are() {
    const ROUND: Duration = Duration::from_secs(3_600);
    let world = World::new("2025-03-14T05:17:23Z", 7);
    let config = Config {
        refresh_interval: ROUND,
        ..Config::defaults()
    };
    let (config, service) = world.service_of(config);
    // Its prices are of no use, and its candles and its time are.
    let field = "lastPrice".to_owned();
    let value = Poison::Null;
    let faults = vec![(Source::Binance, FaultKind::PoisonField { field, value })];
    world.suffer(faults).await;
    let stop = CancellationToken::new();
    let _refresher = Refresher::start(&config, Arc::clone(&service), Hub::new(), stop.clone());
    for _ in 0..10 {
        sleep(ROUND / 4).await;
        let candles = service.fetch_candles(Symbol::Btc, Interval::Day1).await;
        assert!(candles.is_ok(), "{candles:?}");
        let reports = service.sources();
        let binance = reports.iter().find(|report| report.source == Of::Binance);
        let trouble = binance.and_then(|report| report.last_error);
        assert!(trouble.is_some(), "forgotten after {:?}", world.elapsed());
    }
    stop.cancel();
}
