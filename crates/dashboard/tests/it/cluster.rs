//! Several instances on one Redis: one renews the figures, all have them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use market_sim::{Fault, FaultKind, Source};
use serde_json::Value;

use crate::fleet::{Fleet, Instance, next_where, seq};
use crate::redis::Redis;
use crate::rig::{TOKEN, simulator, until};
use crate::wire;
use crate::ws::joined_at;

/// A dead or silent leader is replaced within this, and clients hear of figures again.
const REPLACED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_cost_the_sources_what_one_does_and_all_clients_see_the_same() {
    let fleet = Fleet::of(3).await;
    let mut clients = fleet.clients().await;
    let mut first = Vec::new();
    for client in &mut clients {
        let mut last = 0;
        first.push(next_where(client, &mut last, |update| !update["data"].is_null()).await);
    }
    let from = first.iter().map(seq).max().expect("three");
    let calls = fleet.simulator.calls();
    let mut seen: Vec<Vec<(u64, Value)>> = Vec::new();
    for client in &mut clients {
        let mut updates = Vec::new();
        let mut last = 0;
        while updates.len() < 4 {
            let update = next_where(client, &mut last, |update| seq(update) > from).await;
            updates.push((seq(&update), update["data"]["btc_price_usd"].clone()));
        }
        seen.push(updates);
    }
    let by_seq: HashMap<u64, &Value> = seen[0].iter().map(|(seq, price)| (*seq, price)).collect();
    for (seq, price) in seen[1..].iter().flatten() {
        if let Some(known) = by_seq.get(seq) {
            assert_eq!(known, &price, "update {seq} differs between instances");
        }
    }
    let now = fleet.simulator.calls();
    let made = |endpoint: &str| now.get(endpoint).unwrap_or(&0) - calls.get(endpoint).unwrap_or(&0);
    let rounds = made("binance /api/v3/ticker/24hr");
    assert!(
        (3..=8).contains(&rounds),
        "{rounds} calls for some four rounds"
    );
    for once in [
        "coingecko /api/v3/global",
        "fng /fng/",
        "binance /api/v3/klines",
    ] {
        assert_eq!(now.get(once), Some(&1), "{once}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_clients_go_on_in_order() {
    let mut fleet = Fleet::of(3).await;
    let leader = fleet.leader().await;
    let mut clients = fleet.clients().await;
    let mut last = vec![0; 3];
    for (client, last) in clients.iter_mut().zip(&mut last) {
        next_where(client, last, |update| !update["data"].is_null()).await;
    }
    fleet.instances[leader].signal("-KILL");
    let killed = Instant::now();
    let dead = last[leader];
    clients.remove(leader);
    last.remove(leader);
    for (client, last) in clients.iter_mut().zip(&mut last) {
        // What the dead one had pinned already does not count.
        let before = dead.max(*last) + 1;
        next_where(client, last, |update| seq(update) > before).await;
    }
    let took = killed.elapsed();
    assert!(took <= REPLACED_WITHIN, "{took:?}");
    drop(fleet.instances.remove(leader));
    fleet.leader().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_leader_listens_to_the_stream_and_its_successor_does_next() {
    let mut fleet = Fleet::before(simulator().await, 2, &[]).await;
    let leader = fleet.leader().await;
    until("one stream", || async {
        (fleet.simulator.open_streams() == 1).then_some(())
    })
    .await;
    let opened = fleet.simulator.calls()["binance-ws /stream"];
    drop(fleet.instances.remove(leader));
    until("the successor's stream", || async {
        let opened_now = fleet.simulator.calls()["binance-ws /stream"];
        (opened_now > opened && fleet.simulator.open_streams() == 1).then_some(())
    })
    .await;
    assert!(fleet.instances[0].leads().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_leader_is_replaced_and_follows_when_it_goes_on() {
    let fleet = Fleet::of(3).await;
    let leader = fleet.leader().await;
    let mut clients = fleet.clients().await;
    let mut last = vec![0; 3];
    for (client, last) in clients.iter_mut().zip(&mut last) {
        next_where(client, last, |update| !update["data"].is_null()).await;
    }
    fleet.instances[leader].signal("-STOP");
    let frozen = Instant::now();
    let other = (leader + 1) % 3;
    let before = last[leader].max(last[other]) + 1;
    next_where(&mut clients[other], &mut last[other], |update| {
        seq(update) > before
    })
    .await;
    let took = frozen.elapsed();
    assert!(took <= REPLACED_WITHIN, "{took:?}");
    let next = {
        let awake: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
        until("a new leader", || async {
            for index in &awake {
                if fleet.instances[*index].leads().await {
                    return Some(*index);
                }
            }
            None
        })
        .await
    };
    fleet.instances[leader].signal("-CONT");
    // It sees that its place is taken: still one leader, and not this one.
    assert_eq!(fleet.leader().await, next);
    // Its clients get what the others get, and nothing older.
    let wanted = last[other];
    next_where(&mut clients[leader], &mut last[leader], |update| {
        seq(update) > wanted
    })
    .await;
    let calls = fleet.simulator.calls_of(Source::Binance);
    let mut updates = 0;
    while updates < 3 {
        next_where(&mut clients[other], &mut last[other], |_| true).await;
        updates += 1;
    }
    let rounds = fleet.simulator.calls_of(Source::Binance) - calls;
    assert!(rounds <= 6, "{rounds} calls in three rounds: one asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_each_goes_on_alone_and_with_it_one_leads_again() {
    let fleet = Fleet::of(2).await;
    fleet.leader().await;
    let mut clients = fleet.clients().await;
    let mut last = vec![0; 2];
    fleet.redis.freeze();
    for (client, last) in clients.iter_mut().zip(&mut last) {
        let before = next_where(client, last, |update| !update["data"].is_null()).await;
        let seen = before["data"]["last_updated"]
            .as_str()
            .expect("a time")
            .to_owned();
        let is_later = |update: &Value| update["data"]["last_updated"].as_str() > Some(&seen);
        for _ in 0..3 {
            next_where(client, last, is_later).await;
        }
    }
    fleet.redis.thaw();
    fleet.leader().await;
    let most = *last.iter().max().expect("two");
    for (client, last) in clients.iter_mut().zip(&mut last) {
        next_where(client, last, |update| seq(update) > most).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_clears_the_leader_reads_anew() {
    let fleet = Fleet::with(2, &[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let leader = fleet.leader().await;
    until("figures everywhere", || async {
        for instance in &fleet.instances {
            if instance.summary().await["btc_price_usd"].is_null() {
                return None;
            }
        }
        Some(())
    })
    .await;
    let calls = fleet.simulator.calls();
    let follower = &fleet.instances[1 - leader];
    let token = format!("Bearer {TOKEN}");
    let headers = [("Authorization", token.as_str())];
    let cleared = wire::call(follower.address, "POST", "/clear-cache", &headers).await;
    assert_eq!(cleared.status, 200, "{}", cleared.text());
    until("every source to be asked again", || async {
        let now = fleet.simulator.calls();
        let again = |endpoint: &str| now.get(endpoint) > calls.get(endpoint);
        [
            "coingecko /api/v3/global",
            "fng /fng/",
            "binance /api/v3/ticker/24hr",
        ]
        .into_iter()
        .all(again)
        .then_some(())
    })
    .await;
    assert_eq!(
        fleet.leader().await,
        leader,
        "clearing makes nobody a leader"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_after_a_clear_gets_the_figures_that_are_had_in_time_whatever_the_leader_does()
 {
    let settings = [
        ("REFRESH_INTERVAL_SECONDS", "3600"),
        ("UPSTREAM_TIMEOUT_MS", "2000"),
    ];
    let fleet = Fleet::with(2, &settings).await;
    let leader = fleet.leader().await;
    let follower = &fleet.instances[1 - leader];
    until("figures", || async {
        let summary = follower.summary().await;
        summary["fng_value"].is_number().then_some(())
    })
    .await;
    for source in [Source::Fng, Source::CoinGecko] {
        fleet
            .simulator
            .inject(source, Fault::always(FaultKind::Hang));
    }
    // It looks at the board once a second, and its round may hang; this one hears nothing at all.
    fleet.instances[leader].signal("-STOP");
    let token = format!("Bearer {TOKEN}");
    let headers = [("Authorization", token.as_str())];
    let cleared = wire::call(follower.address, "POST", "/clear-cache", &headers).await;
    assert_eq!(cleared.status, 200, "{}", cleared.text());
    let asked = Instant::now();
    let summary = follower.summary().await;
    let took = asked.elapsed();
    assert!(summary["btc_price_usd"].is_number(), "{summary}");
    assert!(took <= Duration::from_millis(2_500), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn within_two_seconds_of_a_silence_of_redis_every_client_gets_a_snapshot() {
    let fleet = Fleet::with(2, &[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    fleet.leader().await;
    let mut clients = fleet.clients().await;
    for client in &mut clients {
        let mut last = 0;
        next_where(client, &mut last, |update| !update["data"].is_null()).await;
    }
    fleet.redis.freeze();
    until("each instance to lead for itself", || async {
        let all = fleet.instances.iter().map(Instance::leads);
        let all = futures_util::future::join_all(all).await;
        all.iter().all(|leads| *leads).then_some(())
    })
    .await;
    fleet.redis.thaw();
    let thawed = Instant::now();
    for client in &mut clients {
        let mut last = 0;
        let snapshot = next_where(client, &mut last, |update| update["type"] == "snapshot").await;
        assert!(snapshot["missed"].as_u64() >= Some(1), "{snapshot}");
    }
    let took = thawed.elapsed();
    assert!(took <= Duration::from_secs(2), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_in_the_middle_of_a_round_is_replaced_as_soon() {
    let mut fleet = Fleet::with(3, &[("UPSTREAM_TIMEOUT_MS", "8000")]).await;
    let leader = fleet.leader().await;
    let mut clients = fleet.clients().await;
    let mut last = vec![0; 3];
    for (client, last) in clients.iter_mut().zip(&mut last) {
        next_where(client, last, |update| !update["data"].is_null()).await;
    }
    // Long enough that it is killed while it asks.
    let delay = Duration::from_millis(1_500);
    fleet
        .simulator
        .inject(Source::Binance, Fault::always(FaultKind::Latency { delay }));
    let asked = fleet.simulator.calls_of(Source::Binance);
    until("a round under way", || async {
        (fleet.simulator.calls_of(Source::Binance) > asked).then_some(())
    })
    .await;
    fleet.instances[leader].signal("-KILL");
    let killed = Instant::now();
    let dead = *last.iter().max().expect("three");
    clients.remove(leader);
    last.remove(leader);
    for (client, last) in clients.iter_mut().zip(&mut last) {
        next_where(client, last, |update| seq(update) > dead + 1).await;
    }
    let took = killed.elapsed();
    assert!(took <= REPLACED_WITHIN + delay, "{took:?}");
    drop(fleet.instances.remove(leader));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clear_in_the_middle_of_a_round_is_not_lost() {
    let fleet = Fleet::of(2).await;
    let leader = fleet.leader().await;
    until("figures", || async {
        let summary = fleet.instances[1 - leader].summary().await;
        summary["fng_value"].is_number().then_some(())
    })
    .await;
    let delay = Duration::from_millis(2_500);
    fleet
        .simulator
        .inject(Source::Binance, Fault::always(FaultKind::Latency { delay }));
    let asked = fleet.simulator.calls_of(Source::Binance);
    until("a round under way", || async {
        (fleet.simulator.calls_of(Source::Binance) > asked).then_some(())
    })
    .await;
    let before = fleet.simulator.calls_of(Source::Fng);
    let token = format!("Bearer {TOKEN}");
    let headers = [("Authorization", token.as_str())];
    let follower = fleet.instances[1 - leader].address;
    let cleared = wire::call(follower, "POST", "/clear-cache", &headers).await;
    assert_eq!(cleared.status, 200, "{}", cleared.text());
    until("the leader to ask anew", || async {
        (fleet.simulator.calls_of(Source::Fng) > before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_with_other_coins_renew_their_own_figures_and_outlive_a_strange_leader() {
    let redis = Redis::start().await;
    let simulator = simulator().await;
    let strange = Instance::start(&redis, &simulator, &[("SYMBOLS", "sol")]).await;
    let mut client = joined_at(strange.address).await;
    next_where(&mut client, &mut 0, |update| {
        update["data"]["sol_price_usd"].is_number()
    })
    .await;
    let ours = Instance::start(&redis, &simulator, &[]).await;
    let mut client = joined_at(ours.address).await;
    let mut last = 0;
    for _ in 0..3 {
        next_where(&mut client, &mut last, |update| {
            update["data"]["btc_price_usd"].is_number()
        })
        .await;
    }
    strange.signal("-KILL");
    let other = Instance::start(&redis, &simulator, &[]).await;
    until("one of ours to lead and the other to follow", || async {
        (ours.leads().await != other.leads().await).then_some(())
    })
    .await;
    for instance in [&ours, &other] {
        let mut client = joined_at(instance.address).await;
        next_where(&mut client, &mut 0, |update| {
            update["data"]["btc_price_usd"].is_number()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_stop_leaves_its_place_at_once() {
    let fleet = Fleet::of(2).await;
    let leader = fleet.leader().await;
    let other = &fleet.instances[1 - leader];
    let mut client = joined_at(other.address).await;
    next_where(&mut client, &mut 0, |update| !update["data"].is_null()).await;
    fleet.instances[leader].signal("-TERM");
    let stopped = Instant::now();
    until("the other one to lead", || async {
        other.leads().await.then_some(())
    })
    .await;
    // Sooner than silence would have told.
    assert!(
        stopped.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        stopped.elapsed()
    );
}
