//! Rounds that are made and published without being asked for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dashboard::{
    cache::manager::CacheManager,
    clock::{self, Clock},
    live::{
        hub::{Hub, Shown},
        refresher::Refresher,
    },
    market::{
        bulletin::News,
        figure::Source,
        service::DataService,
        summary::Summary,
        transport::{Http, Question, Reply, Transport, Unreached},
    },
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use market_sim::FaultKind;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    redis::Redis,
    rig::{Rig, TOKEN, until},
    stand::{Caching, Stand, UPSTREAM_TIMEOUT, json},
    ws::{joined, json as frame},
};

const REFRESH: &str = "/api/crypto/dashboard-summary/refresh";

async fn next(updates: &mut watch::Receiver<Shown>) -> Arc<News> {
    let changed = timeout(Duration::from_secs(10), updates.changed()).await;
    changed.expect("an update in time").expect("the hub lives");
    updates
        .borrow_and_update()
        .news
        .clone()
        .expect("an update was published")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_round_is_published_changed_or_not() {
    let stand = Stand::new().await;
    let hub = Hub::new();
    let mut updates = hub.subscribe();
    let stop = CancellationToken::new();
    let service = stand.service(Caching::On);
    let refresher = Refresher::start(&stand.config, service, hub.clone(), stop.clone());
    let first = next(&mut updates).await;
    assert!(!first.summary.has_missing());
    assert_eq!(first.source, "refresher");
    stand.break_every_source(&FaultKind::Reset);
    let second = next(&mut updates).await;
    let third = next(&mut updates).await;
    assert!(first.seq < second.seq && second.seq < third.seq);
    assert!(json(&third.summary)["btc_price_usd"].is_number());
    assert!(refresher.is_alive());
    until("three rounds", || async {
        (refresher.rounds() >= 3).then_some(())
    })
    .await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_go_on_while_nobody_listens() {
    let rig = Rig::start(&[("ADMIN_TOKEN", TOKEN)]).await;
    let sent = format!("Bearer {TOKEN}");
    let rounds = async || {
        let headers = [("Authorization", sent.as_str())];
        let stats = rig.call("GET", "/admin/cache/stats", &headers).await.json();
        assert_eq!(stats["websockets"]["open"], 0);
        stats["refresher"]["rounds"].as_u64().expect("a number")
    };
    let before = rounds().await;
    until("three rounds more", || async {
        (rounds().await >= before + 3).then_some(())
    })
    .await;
    let snapshot = frame(&mut joined(&rig).await).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert!(snapshot["data"]["btc_price_usd"].is_number(), "{snapshot}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_find_what_the_refresher_stored_and_call_nobody() {
    let stand = Stand::new().await;
    let hub = Hub::new();
    let mut updates = hub.subscribe();
    let stop = CancellationToken::new();
    let service = stand.service(Caching::On);
    let _refresher = Refresher::start(&stand.config, service.clone(), hub, stop.clone());
    let update = next(&mut updates).await;
    stop.cancel();
    let calls = stand.simulator.calls();
    let answer = service.fetch_dashboard_summary().await;
    assert!(answer.value.last_updated() >= update.summary.last_updated());
    assert_eq!(stand.simulator.calls(), calls);
}

/// A service whose wall clock stands at `now`.
fn service_at(stand: &Stand, cache: Option<Arc<CacheManager>>, now: Timestamp) -> Arc<DataService> {
    let bases = Source::ALL.map(|source| stand.config.base(source));
    let http = Http::new(bases, UPSTREAM_TIMEOUT).expect("a client");
    let http: Arc<dyn Transport> = Arc::new(http);
    DataService::start_with(&stand.config, cache, &http, Clock::starting_at(now))
}

/// What the first update of a process says whose wall clock stands at `now`.
async fn first_of_a_process(stand: &Stand, now: Timestamp) -> Arc<News> {
    let service = service_at(stand, None, now);
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let mut updates = hub.subscribe();
    let _refresher = Refresher::start(&stand.config, service, hub, stop.clone());
    next(&mut updates).await;
    next(&mut updates).await;
    let last = next(&mut updates).await;
    stop.cancel();
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sequence_never_goes_back_over_a_restart() {
    let stand = Stand::new().await;
    let now = clock::now();
    let earlier = first_of_a_process(&stand, now).await;
    let restarted = now + jiff::SignedDuration::from_secs(10);
    let later = first_of_a_process(&stand, restarted).await;
    assert!(later.seq > earlier.seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_an_instance_whose_clock_is_ahead_hear_of_others_after_it_was_alone() {
    let redis = Redis::start().await;
    let mut stand = Stand::new().await;
    stand.config.l2_timeout = Duration::from_millis(500);
    stand.config.redis_url = Some(redis.url());
    let stop = CancellationToken::new();
    let start = |stand: &Stand, service: &Arc<DataService>| {
        let hub = Hub::new();
        Refresher::start(&stand.config, service.clone(), hub.clone(), stop.clone());
        hub
    };
    let leader = stand.service(Caching::On);
    let leaders = start(&stand, &leader);
    let latest = |hub: &Hub| hub.latest().map(|news| news.seq);
    until("the leader's updates", || async { latest(&leaders) }).await;

    // By its clock it is ten minutes later, and at first it is alone.
    stand.config.redis_url = Some(redis.side_door());
    let later = clock::now() + jiff::SignedDuration::from_mins(10);
    let ahead = service_at(&stand, Some(stand.cache()), later);
    let aheads = start(&stand, &ahead);
    until("updates of its own", || async { latest(&aheads) }).await;
    assert!(ahead.leads() && latest(&aheads) > latest(&leaders));

    redis.open_side_door();
    until("it to follow", || async { (!ahead.leads()).then_some(()) }).await;
    let told = latest(&aheads);
    until("the leader's updates here", || async {
        (latest(&aheads) > told && latest(&aheads) == latest(&leaders)).then_some(())
    })
    .await;
    assert!(leader.leads() && !ahead.leads());
    stop.cancel();
}

fn news(seq: u64, summary: &Arc<Summary>) -> Arc<News> {
    Arc::new(News {
        seq,
        timestamp: clock::now(),
        source: "test".to_owned(),
        summary: Arc::clone(summary),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_comes_late_is_no_news() {
    let stand = Stand::new().await;
    let answer = stand.service(Caching::Off).fetch_dashboard_summary().await;
    let hub = Hub::new();
    for (seq, newest) in [(5, 5), (4, 5), (5, 5), (6, 6)] {
        hub.publish(news(seq, &answer.value));
        assert_eq!(hub.latest().map(|update| update.seq), Some(newest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_as_one_missed_update_and_the_newest_there_is() {
    let stand = Stand::new().await;
    let answer = stand.service(Caching::Off).fetch_dashboard_summary().await;
    let hub = Hub::new();
    let mut updates = hub.subscribe();
    hub.publish(news(5, &answer.value));
    for (found, newest) in [(Some(7), 7), (Some(6), 7), (None, 7)] {
        let before = updates.borrow_and_update().number;
        hub.resync(found.map(|seq| news(seq, &answer.value)));
        assert!(updates.has_changed().expect("the hub lives"));
        let shown = updates.borrow_and_update().clone();
        assert_eq!(shown.news.map(|news| news.seq), Some(newest));
        assert_eq!(updates.borrow().missed_after(before), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_somebody_asked_for_is_broadcast() {
    // The refresher makes one round and rests for an hour; whatever comes then is the refresh.
    let rig = Rig::start(&[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    rig.warm().await;
    let mut client = joined(&rig).await;
    let mut before = frame(&mut client).await;
    while before["data"].is_null() {
        // The figures were cached a moment before they were published.
        before = frame(&mut client).await;
    }
    let refreshed = until("a refresh that makes a round", || async {
        let reply = rig.call("POST", REFRESH, &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let made = reply.json()["last_updated"].clone();
        (made != before["data"]["last_updated"]).then_some(made)
    })
    .await;
    let update = frame(&mut client).await;
    assert_eq!(update["type"], "dashboard_update");
    assert_eq!(update["source"], "refresh");
    assert_eq!(update["data"]["last_updated"], refreshed);
    assert!(update["seq"].as_u64() > before["seq"].as_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_readers_success_ends_a_back_off() {
    let mut stand = Stand::new().await;
    // Four failed rounds, and the pause is longer than this test may take.
    stand.config.refresh_interval = Duration::from_millis(20);
    stand.config.refresh_backoff_max = Duration::from_secs(3_600);
    stand.break_every_source(&FaultKind::Status {
        status: 404,
        retry_after: None,
    });
    let hub = Hub::new();
    let stop = CancellationToken::new();
    let service = stand.service(Caching::Off);
    let refresher = Refresher::start(&stand.config, service.clone(), hub, stop.clone());
    // After the eleventh failed round it rests for 20 ms * 2^8, which is five seconds.
    until("a long back-off", || async {
        (refresher.rounds() >= 11).then_some(())
    })
    .await;
    let rounds = refresher.rounds();
    stand.simulator.reset();
    let read = Instant::now();
    // The first reader may still join a round that failed.
    until("a reader's success", || async {
        let answer = service.fetch_dashboard_summary_direct().await;
        answer.value.has_value().then_some(())
    })
    .await;
    until("the refresher to go on", || async {
        (refresher.rounds() > rounds + 3).then_some(())
    })
    .await;
    assert!(
        read.elapsed() < Duration::from_secs(4),
        "{:?}",
        read.elapsed()
    );
    stop.cancel();
}

/// HTTP, until it is broken: then whoever asks panics.
#[derive(Debug)]
struct Fragile {
    http: Http,
    is_broken: AtomicBool,
}

impl Transport for Fragile {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, Unreached>> {
        assert!(!self.is_broken.load(Ordering::Relaxed), "it is broken");
        self.http.ask(question)
    }
}

#[tokio::test]
async fn rounds_that_are_lost_are_made_less_often_whatever_the_last_one_came_to() {
    let mut stand = Stand::new().await;
    stand.config.refresh_interval = Duration::from_millis(20);
    stand.config.refresh_backoff_max = Duration::from_secs(3_600);
    let refused = FaultKind::Status {
        status: 404,
        retry_after: None,
    };
    stand.break_source(market_sim::Source::BinanceWs, refused);
    let bases = Source::ALL.map(|source| stand.config.base(source));
    let fragile = Arc::new(Fragile {
        http: Http::new(bases, UPSTREAM_TIMEOUT).expect("a client"),
        is_broken: AtomicBool::new(false),
    });
    let transport: Arc<dyn Transport> = fragile.clone();
    let service = DataService::start_with(&stand.config, None, &transport, Clock::default());
    let (hub, stop) = (Hub::new(), CancellationToken::new());
    let refresher = Refresher::start(&stand.config, service, hub.clone(), stop.clone());
    until("a round that works", || async { hub.latest() }).await;

    fragile.is_broken.store(true, Ordering::Relaxed);
    let before = refresher.rounds();
    // From here on waiting costs nothing: the clock jumps to the next deadline.
    tokio::time::pause();
    let since = tokio::time::Instant::now();
    until("eleven rounds more", || async {
        (refresher.rounds() >= before + 11).then_some(())
    })
    .await;
    // After the ninth one that failed it rests for 20 ms * 2^6.
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_slower_than_readers_wait_gives_its_figures_to_the_refresher() {
    let stand = Stand::new().await;
    let service = stand.service(Caching::On);
    let stop = CancellationToken::new();
    stand.break_every_source(&FaultKind::Latency {
        delay: UPSTREAM_TIMEOUT + Duration::from_millis(500),
    });
    let _refresher = Refresher::start(&stand.config, service.clone(), Hub::new(), stop.clone());
    until("the refresher to ask", || async {
        (!stand.simulator.calls().is_empty()).then_some(())
    })
    .await;
    until("every figure", || async {
        let asked = Instant::now();
        let answer = service.fetch_dashboard_summary().await;
        let limit = UPSTREAM_TIMEOUT + Duration::from_millis(500);
        assert!(asked.elapsed() < limit, "{:?}", asked.elapsed());
        (!answer.value.has_missing()).then_some(())
    })
    .await;
    stop.cancel();
}
