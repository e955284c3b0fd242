//! How the service behaves towards a Redis that it may share with others.

use std::collections::BTreeMap;

use crate::{
    fleet::Fleet,
    redis::Redis,
    rig::{Rig, TOKEN, until},
    wire::{self, Reply},
    ws::{self, Client},
};

/// Everything that is kept in Redis is asked for by one of these.
const ROUTES: [&str; 4] = [
    "/api/crypto/dashboard-summary",
    "/api/v1/markets",
    "/api/v1/markets/eth/candles?interval=1h",
    "/api/v1/indicators/sol?set=rsi:14,macd",
];

async fn rig_over(redis: &Redis) -> Rig {
    let rig = Rig::start(&[("REDIS_URL", &redis.address()), ("ADMIN_TOKEN", TOKEN)]).await;
    rig.warm().await;
    for path in ROUTES {
        assert_eq!(rig.get(path).await.status, 200, "{path}");
    }
    rig
}

async fn post(rig: &Rig, path: &str) -> Reply {
    let token = format!("Bearer {TOKEN}");
    let reply = rig.call("POST", path, &[("Authorization", &token)]).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply
}

fn keys(redis: &Redis) -> Vec<String> {
    let keys = redis.command(&["--scan"]);
    keys.lines().map(ToOwned::to_owned).collect()
}

/// A figure of INFO.
fn info(redis: &Redis, section: &str, name: &str) -> u64 {
    let told = redis.command(&["INFO", section]);
    let line = told.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {told}"));
    line.trim_start_matches(':')
        .trim()
        .parse()
        .expect("a number")
}

async fn rounds(client: &mut Client, count: usize) {
    for _ in 0..count {
        ws::json(client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_in_redis_has_an_end() {
    let redis = Redis::start().await;
    let rig = rig_over(&redis).await;
    let kinds = [
        "dashboard:summary",
        "dashboard:live",
        "market:",
        "candles:",
        "indicator:",
    ];
    until("every kind of value to lie in Redis", || async {
        let keys = keys(&redis);
        let lies = |kind: &&str| keys.iter().any(|key| key.contains(*kind));
        kinds.iter().all(lies).then_some(())
    })
    .await;
    post(&rig, "/admin/cache/clear?pattern=market:*").await;
    post(&rig, "/clear-cache").await;
    rig.warm().await;
    rig.stop().await;
    let left = keys(&redis);
    assert!(!left.is_empty());
    for key in left {
        // -1 is a key without an end, -2 one that has ended meanwhile.
        let life = redis.command(&["PTTL", &key]);
        assert_ne!(life.trim(), "-1", "{key} stays for ever");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_neither_blocks_redis_nor_touches_what_is_not_ours() {
    let redis = Redis::start().await;
    redis.command(&["SET", "dashboard", "not ours"]);
    redis.command(&["SET", "neighbour:market:btc", "not ours"]);
    let rig = rig_over(&redis).await;
    redis.command(&["CONFIG", "RESETSTAT"]);
    for path in [
        "/clear-cache",
        "/admin/cache/clear",
        "/admin/cache/clear?pattern=*",
        "/admin/cache/clear?pattern=market:*",
    ] {
        post(&rig, path).await;
    }
    let told = redis.command(&["INFO", "commandstats"]);
    let used: BTreeMap<&str, &str> = told
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(':'))
        .collect();
    assert!(used.contains_key("scan"), "{used:?}");
    for command in ["keys", "flushdb", "flushall"] {
        assert!(!used.contains_key(command), "{command} in {used:?}");
    }
    for key in ["dashboard", "neighbour:market:btc"] {
        assert_eq!(redis.command(&["GET", key]).trim(), "not ours", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_go_over_the_connections_that_are_there() {
    let redis = Redis::start().await;
    let rig = rig_over(&redis).await;
    let mut client = ws::joined_at(rig.address).await;
    rounds(&mut client, 2).await;
    let before = info(&redis, "stats", "total_connections_received");
    rounds(&mut client, 5).await;
    let made = info(&redis, "stats", "total_connections_received") - before;
    // The one that asks.
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_clears_is_gone_from_the_memory_of_the_other() {
    let fleet = Fleet::with(2, &[("REFRESH_INTERVAL_SECONDS", "3600")]).await;
    let [here, there] = [0, 1].map(|index| fleet.instances[index].address);
    let path = "/api/v1/markets/btc";
    for clear in ["/clear-cache", "/admin/cache/clear?pattern=market:*"] {
        until("both to have it in memory", || async {
            let mut all = Vec::new();
            for address in [here, there] {
                all.push(wire::get(address, path).await);
            }
            let is_hit = |reply: &Reply| reply.header("x-cache") == Some("HIT");
            all.iter().all(is_hit).then_some(())
        })
        .await;
        let known = wire::get(there, path)
            .await
            .header("etag")
            .map(ToOwned::to_owned);
        let token = format!("Bearer {TOKEN}");
        let cleared = wire::call(here, "POST", clear, &[("Authorization", &token)]).await;
        assert_eq!(cleared.status, 200, "{}", cleared.text());
        until("the other to read it anew", || async {
            let reply = wire::get(there, path).await;
            (reply.header("etag") != known.as_deref()).then_some(())
        })
        .await;
    }
}
