//! Rounds that are made and published without being asked for.

use std::{sync::Arc, time::Duration};

use dashboard::{
    clock,
    live::{
        hub::{Hub, Update},
        refresher::Refresher,
    },
};
use market_sim::FaultKind;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::stand::{Caching, Stand, json};

async fn next(updates: &mut watch::Receiver<Option<Arc<Update>>>) -> Arc<Update> {
    let changed = timeout(Duration::from_secs(10), updates.changed()).await;
    changed.expect("an update in time").expect("the hub lives");
    updates
        .borrow_and_update()
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
    assert!(refresher.is_alive() && refresher.rounds() >= 3);
    stop.cancel();
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
    assert!(answer.summary.last_updated() >= update.summary.last_updated());
    assert_eq!(stand.simulator.calls(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sequence_never_goes_back_over_a_restart() {
    let stand = Stand::new().await;
    let summary = stand
        .service(Caching::Off)
        .fetch_dashboard_summary()
        .await
        .summary;
    let earlier = Hub::new();
    let now = clock::now();
    let last = (0..5)
        .map(|_| earlier.publish("test", summary.clone(), now).seq)
        .max();
    let later = Hub::new();
    let restarted = now + jiff::SignedDuration::from_secs(1);
    assert!(Some(later.publish("test", summary.clone(), restarted).seq) > last);
    // A clock that is set back stops nothing.
    let back = now - jiff::SignedDuration::from_secs(3_600);
    let before = later.latest().map(|update| update.seq);
    assert!(Some(later.publish("test", summary, back).seq) > before);
}
