//! What Redis is left with: the order of commands, and what stays registered.

use std::{sync::Arc, time::Duration};

use terrace::{Cache, Loaded};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpStream, tcp::OwnedReadHalf},
};

use crate::{
    redis_server::RedisServer,
    rig::{
        Latch, Origin, Raw, bounded, eventually, held_and_proven, in_time, patient_process_on,
        store_on,
    },
};

/// News comes within a millisecond; this is for a busy machine.
const HEARS_WITHIN: Duration = Duration::from_secs(5);

/// All that the server executes, in order.
struct Monitor {
    lines: Lines<BufReader<OwnedReadHalf>>,
    raw: Raw,
    _writer: tokio::net::tcp::OwnedWriteHalf,
}

impl Monitor {
    async fn of(server: &RedisServer) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).await;
        let (reader, mut writer) = stream.unwrap().into_split();
        writer.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(reader).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));
        Self {
            lines,
            raw: Raw::on(server).await,
            _writer: writer,
        }
    }

    /// Since the last time.
    async fn seen(&mut self) -> Vec<String> {
        self.raw.ask::<()>("SET the:end 1").await;
        let mut seen = Vec::new();
        loop {
            let line = in_time("the monitor", self.lines.next_line()).await;
            let line = line.unwrap().expect("the server lives");
            if line.contains("the:end") {
                return seen;
            }
            seen.push(line);
        }
    }
}

/// Where the first line stands that holds all of these.
fn first(lines: &[String], words: &[&str]) -> usize {
    let all = |line: &String| words.iter().all(|word| line.contains(word));
    let found = lines.iter().position(all);
    found.unwrap_or_else(|| panic!("{words:?} is not in {lines:#?}"))
}

const CLOCK: &str = "\"terrace:t:{numbers}clock\"";
const TAG: &str = "\"terrace:t:{numbers:odd}\"";

async fn is_void(cache: &Cache<u64>, key: &str) {
    let void = || cache.peek(key).is_none();
    eventually("the change is heard", HEARS_WITHIN, void).await;
}

/// Protocol C8: a load that reads the tag's new epoch must find the clock moved.
#[tokio::test]
async fn the_clock_moves_before_the_tag_and_is_read_after_it() {
    let server = RedisServer::start();
    let cache = patient_process_on(&server);
    cache.set("warm", 1).await.unwrap();
    held_and_proven(&cache, "warm").await;
    let mut monitor = Monitor::of(&server).await;
    cache.remove_tag("odd").await.unwrap();
    let seen = monitor.seen().await;
    let (clock, tag) = (
        first(&seen, &["\"SET\"", CLOCK]),
        first(&seen, &["\"SET\"", TAG]),
    );
    assert!(clock < tag, "{seen:#?}");

    let elsewhere = patient_process_on(&server);
    elsewhere.set("warm", 1).await.unwrap();
    monitor.seen().await;
    let load = || async { Ok::<_, terrace::BoxError>(Loaded::new(1).tag("odd")) };
    elsewhere.get_or_load("k", load).await.unwrap();
    held_and_proven(&elsewhere, "k").await;
    let seen = monitor.seen().await;
    let tag = first(&seen, &["\"GET\"", TAG]);
    let after = tag + first(&seen[tag..], &["\"GET\"", CLOCK]);
    assert!(
        after < first(&seen, &["\"SET\"", "terrace:v:"]),
        "{seen:#?}"
    );
}

/// Protocol C18: whatever is filled during the second walk has a younger lease.
#[tokio::test]
async fn leases_are_walked_before_values() {
    let server = RedisServer::start();
    let cache = patient_process_on(&server);
    cache.set("k", 1).await.unwrap();
    let mut monitor = Monitor::of(&server).await;
    cache.remove_prefix("k").await.unwrap();
    let seen = monitor.seen().await;
    let leases = first(&seen, &["\"SCAN\"", "terrace:l:{numbers:k*"]);
    let values = first(&seen, &["\"SCAN\"", "terrace:v:{numbers:k*"]);
    assert!(leases < values, "{seen:#?}");
}

/// Protocol C5, C6: one's own write ends the registration, unless a read follows.
#[tokio::test]
async fn what_was_filled_and_what_was_leased_stay_registered() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    here.set("warm", 1).await.unwrap();
    held_and_proven(&here, "warm").await;
    // Nobody looks into Redis for it, which would register it anew.
    here.set("k", 1).await.unwrap();
    assert!(here.peek("k").is_some_and(|seen| seen.proven()));
    elsewhere.remove("k").await.unwrap();
    is_void(&here, "k").await;

    let (origin, latch) = (Origin::at(1), Latch::closed());
    let load = tokio::spawn({
        let (here, load) = (here.clone(), Arc::clone(&origin).held_load(&latch));
        async move { here.get_or_load("leased", || load).await.map(drop) }
    });
    latch.reached().await;
    let heard = here.stats().changes_heard;
    elsewhere.remove("leased").await.unwrap();
    let told = || here.stats().changes_heard > heard;
    eventually("the removal is heard", HEARS_WITHIN, told).await;
    latch.open();
    load.await.unwrap().unwrap();
}

/// Protocol C6: of the epochs that are new here, and of those that were made here.
#[tokio::test]
async fn an_epoch_that_was_written_here_stays_registered() {
    let server = RedisServer::start();
    let (here, elsewhere) = (patient_process_on(&server), patient_process_on(&server));
    let odd = || Loaded::new(1).tag("odd");
    here.set("warm", 1).await.unwrap();
    held_and_proven(&here, "warm").await;
    // Nobody reads the epoch again, which would register it anew.
    here.set("k", odd()).await.unwrap();
    assert!(here.peek("k").is_some_and(|seen| seen.proven()));
    elsewhere.remove_tag("odd").await.unwrap();
    is_void(&here, "k").await;

    here.remove_tag("odd").await.unwrap();
    elsewhere.set("k", odd()).await.unwrap();
    held_and_proven(&here, "k").await;
    elsewhere.remove_tag("odd").await.unwrap();
    is_void(&here, "k").await;
}

/// Protocol C7: everything is gone, and one push says so.
#[tokio::test]
async fn a_flush_is_heard() {
    let server = RedisServer::start();
    let (cache, raw) = (patient_process_on(&server), Raw::on(&server).await);
    cache.set("k", 1).await.unwrap();
    held_and_proven(&cache, "k").await;
    raw.ask::<()>("FLUSHALL").await;
    let unproven = || !cache.peek("k").is_some_and(|seen| seen.proven());
    eventually("the flush is heard", HEARS_WITHIN, unproven).await;
    assert!(cache.get("k").await.unwrap().is_none());
}

/// Protocol C19: keys that everybody holds and nobody reads are evicted first.
#[tokio::test]
async fn heartbeats_keep_the_epochs_of_everything_warm() {
    let server = RedisServer::start();
    let raw = Raw::on(&server).await;
    for line in [
        "CONFIG SET maxmemory-policy allkeys-lfu",
        // Each read counts.
        "CONFIG SET lfu-log-factor 0",
    ] {
        raw.ask::<()>(line).await;
    }
    let cache = bounded().store(store_on(&server)).build().unwrap();
    let load = || async { Ok::<_, terrace::BoxError>(Loaded::new(1).tag("odd")) };
    cache.get_or_load("k", load).await.unwrap();
    held_and_proven(&cache, "k").await;
    for key in ["terrace:t:{numbers}clear", "terrace:t:{numbers}clock"] {
        let used = async || raw.say::<u64>(&["OBJECT", "FREQ", key]).await;
        let (before, start) = (used().await, std::time::Instant::now());
        while used().await < before + 3 {
            assert!(start.elapsed() < HEARS_WITHIN, "nobody reads {key}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
