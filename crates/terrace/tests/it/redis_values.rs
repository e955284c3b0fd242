//! What stands under our keys in Redis, and what becomes of it: anything that is
//! not ours, or not sound, is a counted miss, and repaired.

use std::time::{Duration, Instant};

use terrace::{BoxError, Cache, Codec, Entry, Json, Source, Stats};

use crate::{
    redis_server::RedisServer,
    rig::{NUMBER, NUMBER_LEASE, Raw, in_time, patient_process_on, seconds, store_on, ttl},
};

const LIFE: u64 = 60_000;

/// A server, a look behind the cache's back, and a sound envelope of the value 1.
struct Bench {
    server: RedisServer,
    raw: Raw,
    sound: Vec<u8>,
}

impl Bench {
    async fn new() -> Self {
        let server = RedisServer::start();
        let raw = Raw::on(&server).await;
        let cache = patient_process_on(&server);
        cache.set("k", 1).await.unwrap();
        let sound = raw.bytes(NUMBER).await;
        assert!(sound.len() > 56);
        Self { server, raw, sound }
    }

    /// A process that has read nothing yet.
    fn process(&self) -> Cache<u64> {
        patient_process_on(&self.server)
    }

    /// The value is a miss, and the load's result takes its place.
    async fn is_repaired(&self, what: &str) -> Stats {
        let (first, second) = (self.process(), self.process());
        let load = || async { Ok::<_, BoxError>(2) };
        let read = in_time(what, first.get_or_load("k", load)).await;
        let read = read.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((*read, read.source()), (2, Source::Loader), "{what}");
        let again = repaired(&second).await;
        assert_eq!((*again, again.source()), (2, Source::Store), "{what}");
        let left: i64 = self.raw.say(&["PTTL", NUMBER]).await;
        assert!((1..=60_000).contains(&left), "{what}: {left} ms left");
        let stats = first.stats();
        assert!(stats.store_misses >= 1, "{what}: {stats:?}");
        assert_eq!(
            (stats.store_errors, stats.store_hits),
            (0, 0),
            "{what}: {stats:?}"
        );
        stats
    }

    async fn put(&self, bytes: &[u8]) {
        self.raw.set_bytes(NUMBER, bytes, LIFE).await;
    }
}

/// The fill goes on after the answer; this waits for it.
async fn repaired(cache: &Cache<u64>) -> Entry<u64> {
    for _ in 0..5_000 {
        if let Some(entry) = cache.get("k").await.unwrap() {
            return entry;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the value never arrives in Redis");
}

/// One process reads every damaged variant; a second one proves the repair.
async fn all_are_damage(bench: &Bench, variants: impl Iterator<Item = Vec<u8>>) {
    let (reader, witness) = (bench.process(), bench.process());
    let mut injected = 0;
    for (number, bytes) in variants.enumerate() {
        // A key of its own each time would be another key's envelope: so one key, cleaned.
        reader.remove("k").await.unwrap();
        witness.remove("k").await.unwrap();
        bench.put(&bytes).await;
        injected += u64::from(!bytes.is_empty());
        let before = reader.stats();
        assert!(
            reader.get("k").await.unwrap().is_none(),
            "variant {number} was served"
        );
        let load = || async { Ok::<_, BoxError>(2) };
        let read = reader.get_or_load("k", load).await.unwrap();
        assert_eq!(
            (*read, read.source()),
            (2, Source::Loader),
            "variant {number}"
        );
        assert_eq!(*repaired(&witness).await, 2, "variant {number}");
        let after = reader.stats();
        assert!(after.store_misses > before.store_misses, "variant {number}");
        let counted = after.store_damaged > before.store_damaged;
        assert_eq!(counted, !bytes.is_empty(), "variant {number}");
    }
    let stats = reader.stats();
    assert_eq!((stats.store_hits, stats.store_errors), (0, 0), "{stats:?}");
    assert!(
        stats.store_damaged >= injected,
        "{injected} injected, {stats:?}"
    );
}

#[tokio::test]
async fn a_flipped_bit_anywhere_is_a_miss_and_repaired() {
    let bench = Bench::new().await;
    let flipped = (0..bench.sound.len()).map(|at| {
        let mut bytes = bench.sound.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    all_are_damage(&bench, flipped).await;
}

#[tokio::test]
async fn a_value_cut_anywhere_is_a_miss_and_repaired() {
    let bench = Bench::new().await;
    let cut = (0..bench.sound.len()).map(|length| bench.sound[..length].to_vec());
    all_are_damage(&bench, cut).await;
}

#[tokio::test]
async fn trailing_and_foreign_bytes_are_a_miss_and_repaired() {
    let bench = Bench::new().await;
    let sound = &bench.sound;
    let doubled = [&sound[..], &sound[..]].concat();
    let trailing = [&sound[..], b"x"].concat();
    let variants = [
        trailing,
        doubled,
        b"x".to_vec(),
        vec![0; 4_096],
        b"{\"price\": 1}".to_vec(),
    ];
    all_are_damage(&bench, variants.into_iter()).await;
}

#[tokio::test]
async fn another_keys_envelope_is_a_miss_and_repaired() {
    let bench = Bench::new().await;
    bench
        .raw
        .ask::<()>("RENAME terrace:v:{numbers:k} terrace:v:{numbers:other}")
        .await;
    let other = bench.process().get("other").await.unwrap();
    assert!(
        other.is_none(),
        "k's value was served as other's: {other:?}"
    );
    // And the other way round, with a life of its own.
    bench.process().set("other", 9).await.unwrap();
    bench
        .raw
        .ask::<u64>("COPY terrace:v:{numbers:other} terrace:v:{numbers:k}")
        .await;
    let stats = bench.is_repaired("another key's envelope").await;
    assert!(
        stats.store_foreign >= 1 && stats.store_damaged == 0,
        "{stats:?}"
    );
}

#[tokio::test]
async fn a_value_without_an_end_is_a_miss_and_gets_one() {
    let bench = Bench::new().await;
    assert_eq!(bench.raw.say::<u64>(&["PERSIST", NUMBER]).await, 1);
    let stats = bench.is_repaired("no ttl").await;
    assert!(stats.store_damaged >= 1, "{stats:?}");
}

#[tokio::test]
async fn a_life_longer_than_any_we_give_is_a_miss_and_repaired() {
    let bench = Bench::new().await;
    bench.raw.say::<u64>(&["PEXPIRE", NUMBER, "3600000"]).await;
    bench.is_repaired("an hour of a minute").await;
}

#[tokio::test]
async fn a_key_of_another_type_is_a_miss_and_replaced() {
    for fill in [
        "HSET terrace:v:{numbers:k} a b",
        "LPUSH terrace:v:{numbers:k} a",
    ] {
        let bench = Bench::new().await;
        bench.raw.say::<()>(&["DEL", NUMBER]).await;
        bench.raw.ask::<u64>(fill).await;
        let stats = bench.is_repaired(fill).await;
        assert!(stats.store_damaged >= 1, "{fill}: {stats:?}");
    }
}

#[tokio::test]
async fn a_lease_of_another_type_neither_stops_reads_nor_sets() {
    let bench = Bench::new().await;
    bench.raw.say::<()>(&["DEL", NUMBER]).await;
    bench.raw.ask::<u64>("HSET terrace:l:{numbers:k} a b").await;
    let cache = bench.process();
    let (load, start) = (|| async { Ok::<_, BoxError>(2) }, Instant::now());
    let read = in_time("a read", cache.get_or_load("k", load)).await;
    assert_eq!(*read.unwrap(), 2);
    assert!(start.elapsed() < seconds(2), "{:?}", start.elapsed());
    bench.raw.say::<()>(&["DEL", NUMBER_LEASE]).await;
    bench.raw.ask::<u64>("HSET terrace:l:{numbers:k} a b").await;
    cache.set("k", 3).await.unwrap();
    assert_eq!(*bench.process().get("k").await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn a_huge_value_is_not_read_whole_and_replaced() {
    let bench = Bench::new().await;
    bench.raw.say::<()>(&["DEL", NUMBER]).await;
    let length: u64 = bench
        .raw
        .ask("SETRANGE terrace:v:{numbers:k} 67108863 x")
        .await;
    assert_eq!(length, 64 << 20);
    bench.raw.say::<u64>(&["PEXPIRE", NUMBER, "60000"]).await;
    bench.raw.ask::<()>("CONFIG RESETSTAT").await;
    let stats = bench.is_repaired("64 MiB").await;
    assert!(
        stats.store_oversize >= 1 && stats.store_damaged == 0,
        "{stats:?}"
    );
    let info: String = bench.raw.ask("INFO stats").await;
    let sent = info
        .lines()
        .find_map(|line| line.strip_prefix("total_net_output_bytes:"))
        .expect("Redis counts what it sends");
    let sent: u64 = sent.trim().parse().unwrap();
    assert!(sent < 8 << 20, "Redis sent {sent} bytes");
}

fn with_schema(bench: &Bench, number: u32) -> Cache<u64> {
    let builder = Cache::builder("numbers").defaults(ttl(60)).schema(number);
    let builder = builder.store_timeout(seconds(5));
    builder.store(store_on(&bench.server)).build().unwrap()
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let bench = Bench::new().await;
    with_schema(&bench, 2).set("k", 22).await.unwrap();
    let newer = bench.raw.bytes(NUMBER).await;
    let older = with_schema(&bench, 1);
    assert!(older.get("k").await.unwrap().is_none());
    let load = || async { Ok::<_, BoxError>(11) };
    assert_eq!(*older.get_or_load("k", load).await.unwrap(), 11);
    // It has its own value in L1, and loads no second time.
    assert_eq!(*older.peek("k").unwrap(), 11);
    assert_eq!(bench.raw.bytes(NUMBER).await, newer);
    assert!(!bench.raw.exists(NUMBER_LEASE).await);
    let stats = older.stats();
    assert!(stats.store_newer >= 2 && stats.unleased == 1, "{stats:?}");
    assert_eq!(*with_schema(&bench, 2).get("k").await.unwrap().unwrap(), 22);
}

#[tokio::test]
async fn an_older_schema_is_a_miss_and_replaced() {
    let bench = Bench::new().await;
    let newer = with_schema(&bench, 1);
    let load = || async { Ok::<_, BoxError>(2) };
    let read = newer.get_or_load("k", load).await.unwrap();
    assert_eq!((*read, read.source()), (2, Source::Loader));
    assert!(newer.stats().store_outdated >= 1);
    assert_eq!(*repaired(&with_schema(&bench, 1)).await, 2);
}

#[tokio::test]
async fn bytes_of_another_codec_are_a_miss_and_replaced() {
    let bench = Bench::new().await;
    let in_json = || -> Cache<u64> {
        let builder = Cache::builder("numbers")
            .defaults(ttl(60))
            .store_timeout(seconds(5));
        builder
            .store_with(store_on(&bench.server), Json)
            .build()
            .unwrap()
    };
    let cache = in_json();
    let load = || async { Ok::<_, BoxError>(2) };
    let read = cache.get_or_load("k", load).await.unwrap();
    assert_eq!((*read, read.source()), (2, Source::Loader));
    assert!(cache.stats().store_outdated >= 1);
    assert_eq!(*repaired(&in_json()).await, 2);
}

/// Writes what it is given under the id of the JSON codec.
struct Forged;

impl Codec<String> for Forged {
    fn id(&self) -> u8 {
        2
    }

    fn encode(&self, value: &String, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, _bytes: &[u8]) -> Result<String, BoxError> {
        Err("write only".into())
    }
}

type Tree = Vec<Box<Option<Branch>>>;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Branch(Tree);

#[tokio::test]
async fn a_sound_envelope_of_another_shape_or_depth_is_a_miss_and_repaired() {
    let server = RedisServer::start();
    let bomb = "[".repeat(10_000);
    for body in ["", "{", "\"word\"", "{\"a\": 1}", "[null, 1]", &bomb] {
        let forger: Cache<String> = Cache::builder("trees")
            .store_with(store_on(&server), Forged)
            .build()
            .unwrap();
        forger.set("k", body.to_owned()).await.unwrap();
        let reader: Cache<Tree> = Cache::builder("trees")
            .store_timeout(seconds(5))
            .store_with(store_on(&server), Json)
            .build()
            .unwrap();
        let load = || async { Ok::<_, BoxError>(Tree::new()) };
        let read = reader.get_or_load("k", load).await.unwrap();
        assert_eq!(
            (read.value(), read.source()),
            (&Tree::new(), Source::Loader),
            "{body:.20}"
        );
        assert!(reader.stats().store_damaged >= 1, "{body:.20}");
        assert_eq!(reader.stats().store_errors, 0);
    }
}
