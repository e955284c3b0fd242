//! What Redis answers when it will not or cannot: reads go on, writes are counted,
//! and it is used again when it relents.

use std::time::Instant;

use terrace::{BoxError, Cache, Coherence, Loaded, RedisStore, Source};

use crate::{
    faults::{USED_AGAIN, WORST_ADDED, used},
    proxy::{Flow, Proxy},
    redis_server::RedisServer,
    rig::{
        NUMBER, Origin, PATIENCE, Raw, eventually, healthy, held_and_proven, in_time, millis,
        numbers, patient_process_on, process_on, reads, seconds, ttl,
    },
};

async fn loads_are_quick(cache: &Cache<u64>) {
    let origin = Origin::at(8);
    for number in 0..30 {
        let start = Instant::now();
        let read = cache.get_or_load(format!("n{number}"), || origin.load());
        assert_eq!(*read.await.unwrap(), 8);
        assert!(start.elapsed() <= WORST_ADDED, "{:?}", start.elapsed());
    }
}

/// Reads of what Redis holds and of what it does not, and no error to anybody.
async fn reads_go_on(cache: &Cache<u64>) {
    loads_are_quick(cache).await;
    let stored = cache.get("stored").await.unwrap().expect("reads go on");
    assert_eq!((*stored, stored.source()), (7, Source::Store));
    cache.remove("nothing").await.ok();
}

/// A server that refuses writes alone, by `refuse`, until `relent`.
async fn writes_are_refused(arguments: &[&str], refuse: &[&str], relent: &[&str]) {
    let server = RedisServer::start_with(arguments);
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    let other = patient_process_on(&server);
    other.set("stored", 7).await.unwrap();
    other.close().await;
    cache.set("k", 1).await.unwrap();
    for line in refuse {
        raw.attempt::<redis::Value>(&line.split(' ').collect::<Vec<_>>())
            .await
            .ok();
    }
    let refused = async || cache.set("k", 2).await.is_err();
    let start = Instant::now();
    while !refused().await {
        assert!(start.elapsed() < PATIENCE, "{refuse:?} refuses nothing");
    }
    assert!(
        cache.peek("k").is_none(),
        "not reported as stored, not served"
    );
    reads_go_on(&cache).await;
    let stats = cache.stats();
    let store = stats.store.unwrap();
    assert!(!store.breaker_open, "reads go on: {stats:?}");
    assert!(stats.store_errors > 0, "{stats:?}");
    for line in relent {
        raw.ask::<redis::Value>(line).await;
    }
    let taken = async || cache.set("k", 3).await.is_ok();
    let start = Instant::now();
    while !taken().await {
        assert!(start.elapsed() <= USED_AGAIN, "not written to again");
        tokio::time::sleep(millis(1)).await;
    }
    assert!(raw.exists(NUMBER).await);
    eventually("all is settled", PATIENCE, || cache.stats().pending == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_redis_still_serves_reads() {
    let refuse = [
        "CONFIG SET replica-serve-stale-data yes",
        "REPLICAOF 127.0.0.1 1",
    ];
    writes_are_refused(&[], &refuse, &["REPLICAOF NO ONE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_the_replicas_it_wants_still_serves_reads() {
    let refuse = ["CONFIG SET min-replicas-to-write 1"];
    let relent = ["CONFIG SET min-replicas-to-write 0"];
    writes_are_refused(&[], &refuse, &relent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_save_still_serves_reads() {
    let arguments = ["--enable-protected-configs", "local", "--save", "1 1"];
    // Nobody can make a file there: the save that is asked for fails.
    let refuse = ["CONFIG SET dir /proc/self", "BGSAVE"];
    let relent = ["CONFIG SET stop-writes-on-bgsave-error no"];
    writes_are_refused(&arguments, &refuse, &relent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_only_read_is_served_and_no_secret_is_told() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    let other = patient_process_on(&server);
    other.set("stored", 7).await.unwrap();
    raw.ask::<()>("ACL SETUSER app on >hunter2 allkeys allchannels +@read +@connection")
        .await;
    let url = format!("redis://app:hunter2@127.0.0.1:{}", server.port());
    let store = RedisStore::connect(&url).unwrap();
    let cache = numbers().store(store).build().unwrap();
    let error = cache.set("k", 1).await.unwrap_err();
    assert!(error.is_store());
    assert!(!format!("{error} {error:?} {cache:?}").contains("hunter2"));
    reads_go_on(&cache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lost_its_primary_is_a_miss_within_the_deadline() {
    let server = RedisServer::start();
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    healthy(&cache).await;
    raw.ask::<()>("CONFIG SET replica-serve-stale-data no")
        .await;
    raw.ask::<()>("REPLICAOF 127.0.0.1 1").await;
    loads_are_quick(&cache).await;
    assert!(cache.set("k", 1).await.unwrap_err().is_store());
    raw.ask::<()>("REPLICAOF NO ONE").await;
    let took = eventually("it is used again", PATIENCE, || used(&cache)).await;
    assert!(took <= USED_AGAIN, "{took:?}");
}

/// Nothing rests on anything being there.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_evicts_as_it_likes_costs_misses_and_no_wrong_value() {
    let server = RedisServer::start();
    let (cache, raw) = (process_on(&server), Raw::on(&server).await);
    raw.ask::<()>("CONFIG SET maxmemory-policy allkeys-lru")
        .await;
    raw.ask::<()>("CONFIG SET maxmemory 2mb").await;
    for number in 0..3_000_u64 {
        let load = || async move { Ok::<_, BoxError>(Loaded::new(number).tag("all")) };
        let key = format!("{} {}", number % 700, "x".repeat(400));
        let seen = cache.get_or_load(&key, load).await.unwrap();
        assert_eq!(*seen % 700, number % 700);
    }
    assert!(cache.stats().fills > 0);
}

/// D8 and A11: what cannot be understood is a gap, or the end of the connection.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_and_replies_that_make_no_sense_are_gaps_and_harm_nobody() {
    for bytes in [
        &b">2\r\n$10\r\ninvalidate\r\n_\r\n"[..],
        b">2\r\n$10\r\ninvalidate\r\n:7\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n:7\r\n",
        b">1\r\n$21\r\ntracking-redir-broken\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$9999999999\r\n",
        b"$9999999999\r\nx",
        b"%%%garbage\r\n",
    ] {
        let server = RedisServer::start();
        let proxy = Proxy::before(&server).await;
        let store = RedisStore::connect(&proxy.url()).unwrap();
        let builder = numbers().max_staleness(millis(400));
        let cache = builder.store(store).build().unwrap();
        cache.set("k", 1).await.unwrap();
        held_and_proven(&cache, "k").await;
        let gaps = cache.stats().gaps;
        proxy.to_client(Flow::Inject(bytes));
        let text = String::from_utf8_lossy(bytes);
        let noticed = || cache.stats().gaps > gaps;
        eventually(&format!("a gap after {text:?}"), PATIENCE, noticed).await;
        proxy.to_client(Flow::Pass);
        patient_process_on(&server).set("k", 2).await.unwrap();
        let took = in_time("the change is seen", reads(&cache, "k", Some(2))).await;
        assert!(took <= seconds(5), "{took:?} after {text:?}");
        let took = held_and_proven(&cache, "k").await;
        assert!(took <= USED_AGAIN, "{took:?} after {text:?}");
    }
}

/// The one connection that this server has is somebody else's at first.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_no_connection_to_spare_is_a_miss_and_used_when_it_has_one() {
    let server = RedisServer::start();
    let stranger = Raw::on(&server).await;
    stranger.ask::<()>("CONFIG SET maxclients 1").await;
    let cache = process_on(&server);
    loads_are_quick(&cache).await;
    assert!(!used(&cache));
    assert!(cache.remove("n1").await.unwrap_err().is_store());
    drop(stranger);
    eventually("it is used", PATIENCE, || used(&cache)).await;
    eventually("all is settled", PATIENCE, || cache.stats().pending == 0).await;
}

/// It may be behind its primary, and tells of nothing.
#[tokio::test]
async fn what_a_replica_hands_out_is_served_and_never_proven() {
    let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    patient_process_on(&primary).set("k", 1).await.unwrap();
    let replica = RedisServer::start();
    let raw = Raw::on(&replica).await;
    raw.ask::<()>(&format!("REPLICAOF 127.0.0.1 {}", primary.port()))
        .await;
    let start = Instant::now();
    while !raw.exists(NUMBER).await {
        assert!(start.elapsed() < PATIENCE, "it has no copy");
    }
    let cache = patient_process_on(&replica);
    healthy(&cache).await;
    let seen = cache.get("k").await.unwrap().expect("it serves reads");
    let (source, is_proven) = (seen.source(), seen.proven());
    assert_eq!((*seen, source, is_proven), (1, Source::Store, false));
    let (origin, strict) = (Origin::at(2), ttl(60).coherence(Coherence::Required));
    let read = cache.get_or_load_with("k", &strict, || origin.load());
    let seen = read.await.unwrap();
    assert_eq!((*seen, seen.source()), (2, Source::Loader));
}
