//! Replies that trickle, break off, come twice or stray: each costs a read at most one
//! deadline, and nobody is served a value of another key.

use std::time::{Duration, Instant};

use terrace::{BoxError, Cache, RedisStore, Source};
use tokio::task::JoinHandle;

use crate::{
    faults::{USED_AGAIN, WORST_ADDED, used},
    proxy::{Flow, Lane, Proxy},
    redis_server::RedisServer,
    rig::{
        PATIENCE, Raw, eventually, healthy, held_and_proven, in_time, millis, numbers,
        patient_process_on, seconds,
    },
};

/// What a source answers for the key whose stored value is this.
const LOADED: u64 = 1_000_000;
const KEYS: u64 = 1_000;
/// As many reads at once as are let through to the store.
const TOGETHER: usize = 250;
const TRICKLE: Flow = Flow::Slice {
    size: 1,
    pause: Duration::from_millis(20),
};

/// Redis with a bad way to it, and a process behind that way.
struct BadWay {
    server: RedisServer,
    proxy: Proxy,
}

impl BadWay {
    /// Holds `n0`, `n1` and so on, each with its number.
    async fn to_numbers(count: u64) -> Self {
        let server = RedisServer::start();
        let writer = patient_process_on(&server);
        for number in 0..count {
            writer.set(key(number), number).await.unwrap();
        }
        writer.close().await;
        let proxy = Proxy::before(&server).await;
        Self { server, proxy }
    }

    /// A process with this deadline for its store. It holds `n0`, read after what its
    /// first two heartbeats asked: the third asks some 0.8 s later.
    async fn process(&self, deadline: Duration) -> Cache<u64> {
        let beats = self.proxy.commands("INFO");
        let store = RedisStore::connect(&self.proxy.url()).unwrap();
        let builder = numbers().store_timeout(deadline).store(store);
        let cache = builder.build().unwrap();
        self.asked("INFO", beats + 2).await;
        held_and_proven(&cache, &key(0)).await;
        cache
    }

    async fn patient_process(&self) -> Cache<u64> {
        self.process(seconds(5)).await
    }

    /// A process to which nothing is on its way, for its canary has just been heard.
    async fn quiet_process(&self) -> Cache<u64> {
        let cache = self.patient_process().await;
        let heard = || cache.stats().store.is_some_and(|store| store.lag.is_some());
        eventually("the canary is heard", PATIENCE, heard).await;
        cache
    }

    /// Keeps back what Redis answers to the connections so far. New ones are not touched.
    fn hold_replies(&self) -> Lane {
        let lane = self.proxy.leave_behind();
        lane.to_client(Flow::Hold);
        lane
    }

    /// Until Redis has been asked so much, of which nothing is answered yet.
    async fn asked(&self, command: &str, times: u64) {
        let asked = || self.proxy.commands(command) >= times;
        eventually(&format!("{times} times {command}"), PATIENCE, asked).await;
    }
}

fn key(number: u64) -> String {
    format!("n{number}")
}

fn stored_as(number: u64) -> String {
    format!("terrace:v:{{numbers:n{number}}}")
}

/// A read whose loader knows the key too, as another value.
async fn read(cache: &Cache<u64>, number: u64) -> (u64, Source) {
    let load = || async move { Ok::<_, BoxError>(LOADED + number) };
    let seen = in_time("a read", cache.get_or_load(key(number), load)).await;
    let seen = seen.unwrap_or_else(|error| panic!("{}: {error}", key(number)));
    assert_eq!(*seen % LOADED, number, "another key's value");
    (*seen, seen.source())
}

fn start_read(cache: &Cache<u64>, number: u64) -> JoinHandle<(u64, Source)> {
    let cache = cache.clone();
    tokio::spawn(async move { read(&cache, number).await })
}

/// A read that does not load.
fn get(cache: &Cache<u64>, number: u64) -> impl Future<Output = Option<u64>> + use<> {
    let cache = cache.clone();
    async move { cache.get(&key(number)).await.unwrap().as_deref().copied() }
}

/// Reads, never loads, until Redis answers with the number's own value.
async fn redis_answers(cache: &Cache<u64>, number: u64) {
    let start = Instant::now();
    loop {
        if let Some(seen) = cache.get(key(number)).await.unwrap() {
            assert_eq!((*seen, seen.source()), (number, Source::Store));
            return;
        }
        assert!(start.elapsed() <= USED_AGAIN, "it is not used again");
        tokio::time::sleep(millis(1)).await;
    }
}

/// A5: the deadline is around the whole reply.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_trickles_costs_a_read_one_deadline() {
    let way = BadWay::to_numbers(20).await;
    let cache = way.process(millis(100)).await;
    way.proxy.to_client(TRICKLE);
    let start = Instant::now();
    assert_eq!(read(&cache, 1).await, (LOADED + 1, Source::Loader));
    let first = start.elapsed();
    assert_eq!(cache.stats().store_timeouts, 1, "after {first:?}");
    let start = Instant::now();
    let together: Vec<_> = (2..10).map(|number| start_read(&cache, number)).collect();
    for read in together {
        assert_eq!(read.await.unwrap().1, Source::Loader);
    }
    let eight = start.elapsed();
    eprintln!("trickle: one read {first:?}, eight at once {eight:?}");
    assert!(
        first <= WORST_ADDED && eight <= WORST_ADDED,
        "{first:?}, {eight:?}"
    );
    way.proxy.to_client(Flow::Pass);
    let took = eventually("it is used again", PATIENCE, || used(&cache)).await;
    assert!(took <= USED_AGAIN, "{took:?}");
    for number in 10..20 {
        redis_answers(&cache, number).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_reply_trickles_hits_and_other_loads_go_on_and_it_is_right_in_the_end() {
    let way = BadWay::to_numbers(2).await;
    let cache = way.patient_process().await;
    way.proxy.to_client(TRICKLE);
    let asked = way.proxy.commands("PTTL");
    let slow = start_read(&cache, 1);
    way.asked("PTTL", asked + 1).await;
    for _ in 0..100 {
        assert_eq!(read(&cache, 0).await, (0, Source::Local));
    }
    assert!(!slow.is_finished(), "the hits waited for the slow reply");
    assert_eq!(slow.await.unwrap(), (1, Source::Store));
}

/// A6. The reply to a read is the envelope, and how long it has still to live.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_cut_anywhere_is_a_miss_and_the_next_connection_is_used() {
    let way = BadWay::to_numbers(3).await;
    let raw = Raw::on(&way.server).await;
    // Nobody's canary sings then, and no news comes between the replies.
    raw.ask::<()>("CONFIG SET min-replicas-to-write 1").await;
    let envelope = raw.bytes(&stored_as(1)).await.len();
    let length = format!("${envelope}\r\n").len() + envelope + "\r\n:59999\r\n".len();
    for after in 0.. {
        let cache = way.patient_process().await;
        let gaps = cache.stats().gaps;
        let lane = way.proxy.leave_behind();
        lane.to_client(Flow::CutAfter(after as u64));
        let seen = read(&cache, 1).await;
        if seen.1 == Source::Store {
            // Whole: it is used if it is there before the end of the connection is.
            assert!(
                (length..=length + 1).contains(&after),
                "{after} of {length}"
            );
            break;
        }
        assert_eq!(seen, (LOADED + 1, Source::Loader), "after {after} bytes");
        assert!(cache.stats().gaps > gaps, "after {after} bytes");
        assert!(after <= length, "{after} of {length}");
        redis_answers(&cache, 2).await;
    }
}

/// A10. What comes twice while others wait shifts the replies of all of them.
#[tokio::test(flavor = "multi_thread")]
async fn over_a_thousand_keys_no_reply_out_of_step_is_taken_for_another_keys_value() {
    let way = BadWay::to_numbers(KEYS).await;
    let strays = [
        Flow::Again { frames: 1 },
        Flow::Again { frames: 2 },
        Flow::Again { frames: 3 },
        Flow::Inject(b":59999\r\n"),
        Flow::Inject(b"$0\r\n\r\n:-2\r\n"),
    ];
    for stray in strays {
        for first in (0..KEYS).step_by(TOGETHER) {
            let cache = way.patient_process().await;
            let (lane, asked) = (way.hold_replies(), way.proxy.commands("PTTL"));
            let numbers = first.max(1)..first + TOGETHER as u64;
            let together = numbers.end - numbers.start;
            let reads: Vec<_> = numbers.map(|number| start_read(&cache, number)).collect();
            way.asked("PTTL", asked + together).await;
            let before = cache.stats();
            lane.to_client(stray);
            for read in reads {
                read.await.unwrap();
            }
            let after = cache.stats();
            assert!(
                after.store_errors > before.store_errors,
                "{stray:?}: not counted"
            );
            assert!(
                after.gaps > before.gaps,
                "{stray:?}: the connection was kept"
            );
        }
    }
}

/// A10: it is dropped unseen, and shifts nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_nobody_waits_for_harms_nobody() {
    let way = BadWay::to_numbers(20).await;
    let cache = way.quiet_process().await;
    let before = cache.stats();
    way.proxy.to_client(Flow::Again { frames: 2 });
    for number in 1..20 {
        assert_eq!(read(&cache, number).await, (number, Source::Store));
    }
    let after = cache.stats();
    assert_eq!((after.gaps, after.store_errors), (before.gaps, 0));
}

/// A10: sound, of this cache, and no answer to what was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_gets_another_keys_reply_ends_the_connection_at_once() {
    let way = BadWay::to_numbers(3).await;
    let cache = way.quiet_process().await;
    let (lane, asked) = (way.hold_replies(), way.proxy.commands("PTTL"));
    let first = tokio::spawn(get(&cache, 1));
    way.asked("PTTL", asked + 1).await;
    let second = tokio::spawn(get(&cache, 2));
    way.asked("PTTL", asked + 2).await;
    let before = cache.stats();
    lane.to_client(Flow::Again { frames: 2 });
    assert_eq!(second.await.unwrap(), None);
    let after = cache.stats();
    assert_eq!(after.gaps, before.gaps + 1, "the connection was kept");
    assert_eq!(after.store_errors, before.store_errors + 1);
    assert!([None, Some(1)].contains(&first.await.unwrap()));
    redis_answers(&cache, 2).await;
}

/// A10: the same where most reads find nothing, and the lease is asked for at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_gets_another_keys_reply_ends_the_connection_at_once() {
    let way = BadWay::to_numbers(3).await;
    let cache = way.quiet_process().await;
    for absent in 3..23 {
        assert_eq!(read(&cache, absent).await.1, Source::Loader);
    }
    let filled = || cache.stats().fills == 20;
    eventually("all are filled", PATIENCE, filled).await;
    let (lane, asked) = (way.hold_replies(), way.proxy.commands("EVALSHA"));
    let first = start_read(&cache, 1);
    way.asked("EVALSHA", asked + 1).await;
    let second = start_read(&cache, 2);
    way.asked("EVALSHA", asked + 2).await;
    let before = cache.stats();
    lane.to_client(Flow::Again { frames: 1 });
    assert_eq!(second.await.unwrap(), (LOADED + 2, Source::Loader));
    let after = cache.stats();
    assert_eq!(after.gaps, before.gaps + 1, "the connection was kept");
    assert_eq!(after.store_foreign, before.store_foreign);
    first.await.unwrap();
}

/// A10: a removal is done when Redis says so, and not when it says something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_gets_another_reply_is_not_told_as_done() {
    let way = BadWay::to_numbers(3).await;
    let cache = way.quiet_process().await;
    let (lane, asked) = (way.hold_replies(), way.proxy.commands("PTTL"));
    let reading = tokio::spawn(get(&cache, 1));
    way.asked("PTTL", asked + 1).await;
    let removing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.remove(&key(2)).await }
    });
    way.asked("DEL", 1).await;
    let gaps = cache.stats().gaps;
    lane.to_client(Flow::Again { frames: 2 });
    let error = removing.await.unwrap().unwrap_err();
    assert!(error.is_store() && !error.is_timeout(), "{error}");
    assert!(cache.stats().gaps > gaps, "the connection was kept");
    assert!([None, Some(1)].contains(&reading.await.unwrap()));
    let settled = || cache.stats().pending == 0;
    eventually("the removal is done", PATIENCE, settled).await;
    assert!(!Raw::on(&way.server).await.exists(&stored_as(2)).await);
}

/// A10: whatever else is asked, a heartbeat is, and its answer is like no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_gets_another_reply_ends_the_connection() {
    let way = BadWay::to_numbers(1).await;
    let cache = way.quiet_process().await;
    let (lane, beats) = (way.hold_replies(), way.proxy.commands("HELLO"));
    let removing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.remove("nothing").await }
    });
    way.asked("DEL", 1).await;
    way.asked("HELLO", beats + 1).await;
    let gaps = cache.stats().gaps;
    lane.to_client(Flow::Again { frames: 1 });
    removing.await.unwrap().unwrap();
    let noticed = || cache.stats().gaps > gaps;
    eventually("the connection is given up", seconds(2), noticed).await;
    healthy(&cache).await;
}

/// What a reply strays to look like, put there by somebody: only that key is repaired.
#[tokio::test(flavor = "multi_thread")]
async fn another_keys_envelope_that_is_really_there_costs_no_connection() {
    let way = BadWay::to_numbers(2).await;
    let (cache, raw) = (way.quiet_process().await, Raw::on(&way.server).await);
    let (before, made) = (cache.stats(), way.proxy.traffic().connections);
    // So many that the lease is asked for at once in the end: its reply is looked at too.
    const ROUNDS: u64 = 60;
    for _ in 0..ROUNDS {
        let words = ["COPY", &stored_as(0), &stored_as(1), "REPLACE"];
        assert_eq!(raw.say::<u64>(&words).await, 1);
        let foreign = cache.stats().store_foreign;
        let heard = || cache.peek(key(1)).is_none();
        eventually("what was there is void", PATIENCE, heard).await;
        let fills = cache.stats().fills;
        assert_eq!(read(&cache, 1).await, (LOADED + 1, Source::Loader));
        assert!(cache.stats().store_foreign > foreign);
        let repaired = || cache.stats().fills > fills;
        eventually("it is repaired", PATIENCE, repaired).await;
    }
    let after = cache.stats();
    assert_eq!(after.gaps, before.gaps, "a reconnect storm: {after:?}");
    assert_eq!(after.store_errors, before.store_errors);
    assert_eq!(way.proxy.traffic().connections, made);
}
