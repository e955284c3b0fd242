//! Every source says 429, then nonsense, then works again, while readers go on asking.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dashboard::http::ws::Pace;
use market_sim::{Fault, FaultKind, RetryAfter, Simulator, Source};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::rig::{Rig, SUMMARY, simulator};
use crate::stand::break_every_source;
use crate::wire;

/// How long what lasts.
struct Storm {
    /// What the sources ask for, in seconds.
    retry_after: u64,
    refused: Duration,
    nonsense: Duration,
    /// A cool-down and a round.
    fresh_within: Duration,
    quiet: Duration,
}

const TENTH: Storm = Storm {
    retry_after: 3,
    refused: Duration::from_secs(6),
    nonsense: Duration::from_secs(2),
    fresh_within: Duration::from_secs(6),
    quiet: Duration::from_secs(3),
};

const WHOLE: Storm = Storm {
    retry_after: 30,
    refused: Duration::from_secs(60),
    nonsense: Duration::from_secs(20),
    fresh_within: Duration::from_secs(35),
    quiet: Duration::from_secs(15),
};

const UPSTREAM_TIMEOUT: Duration = Duration::from_millis(1_500);
const READS_A_SECOND: u32 = 100;

/// A read's time, and what it was told of Bitcoin's price.
struct Read {
    took: Duration,
    status: String,
}

async fn read(rig: &Rig) -> Read {
    let asked = Instant::now();
    let reply = wire::get(rig.address, SUMMARY).await;
    let took = asked.elapsed();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body: Value = reply.json();
    assert!(
        body["btc_price_usd"].is_number(),
        "the last good price stays"
    );
    let status = body["fields"]["btc_price_usd"]["status"].as_str();
    Read {
        took,
        status: status.unwrap_or_default().to_owned(),
    }
}

/// Reads at the pace of the specification until `end`, or until `enough` is read.
async fn load(rig: &Rig, during: Duration, enough: impl Fn(&Read) -> bool) -> Vec<Read> {
    let mut reads = Vec::new();
    let mut pace = interval(Duration::from_secs(1) / READS_A_SECOND);
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    while began.elapsed() < during {
        pace.tick().await;
        let address = rig.address;
        under_way.spawn(async move {
            let asked = Instant::now();
            let reply = wire::get(address, SUMMARY).await;
            (asked.elapsed(), reply.status)
        });
        while let Some(done) = under_way.try_join_next() {
            let (took, status) = done.expect("no reader panics");
            assert_eq!(status, 200);
            assert!(
                took <= UPSTREAM_TIMEOUT + Duration::from_millis(500),
                "{took:?}"
            );
        }
        if reads.len() < usize::try_from(began.elapsed().as_millis() / 200).unwrap_or(0) + 1 {
            reads.push(read(rig).await);
            if reads.last().is_some_and(&enough) {
                break;
            }
        }
    }
    reads
}

fn calls(simulator: &Simulator) -> BTreeMap<&'static str, u64> {
    let of = |source: Source| (source.name(), simulator.calls_of(source));
    Source::ALL.map(of).into()
}

fn since(
    simulator: &Simulator,
    before: &BTreeMap<&'static str, u64>,
) -> BTreeMap<&'static str, u64> {
    let now = calls(simulator);
    now.into_iter()
        .map(|(name, count)| (name, count - before[name]))
        .collect()
}

/// `scripts/storm` asks for the whole of it.
fn storm() -> Storm {
    match std::env::var("STORM").as_deref() {
        Ok("whole") => WHOLE,
        _ => TENTH,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429_costs_readers_nothing_and_sources_little() {
    storm().rages().await;
}

impl Storm {
    async fn rages(&self) {
        let settings = [("UPSTREAM_TIMEOUT_MS", "1500")];
        let rig = Rig::start_with(&settings, Pace::default(), simulator().await).await;
        rig.warm().await;
        self.is_refused(&rig).await;
        rig.simulator.reset();
        break_every_source(&rig.simulator, &FaultKind::Html);
        load(&rig, self.nonsense, |_| false).await;
        self.heals(&rig).await;
        self.is_quiet(&rig).await;
    }

    async fn is_refused(&self, rig: &Rig) {
        let before = calls(&rig.simulator);
        let leave_us = FaultKind::Status {
            status: 429,
            retry_after: Some(RetryAfter::Seconds(self.retry_after)),
        };
        break_every_source(&rig.simulator, &leave_us);
        let reads = load(rig, self.refused, |_| false).await;
        let asked = since(&rig.simulator, &before);
        eprintln!(
            "refused: {:?}, {} looked at; calls {asked:?}",
            self.refused,
            reads.len()
        );
        for (host, count) in &asked {
            assert!(*count <= 4, "{host} was called {count} times: {asked:?}");
        }
        assert!(reads.iter().any(|read| read.status == "stale"));
    }

    /// All but the stream, so that prices have to be asked for.
    async fn heals(&self, rig: &Rig) {
        rig.simulator.reset();
        let refused = FaultKind::Status {
            status: 404,
            retry_after: None,
        };
        let refused = Fault::always(refused);
        rig.simulator.inject(Source::BinanceWs, refused);
        let healed = Instant::now();
        let reads = timeout(
            self.fresh_within * 2,
            load(rig, self.fresh_within * 2, |read| read.status == "fresh"),
        );
        let reads = reads.await.expect("in time");
        eprintln!("fresh again after {:?}", healed.elapsed());
        assert!(reads.last().is_some_and(|read| read.status == "fresh"));
        assert!(
            healed.elapsed() <= self.fresh_within,
            "{:?}",
            healed.elapsed()
        );
    }

    /// No herd afterwards: a round a second, whatever was missed.
    async fn is_quiet(&self, rig: &Rig) {
        let before = calls(&rig.simulator);
        let reads = load(rig, self.quiet, |_| false).await;
        let slowest = reads.into_iter().map(|read| read.took).max();
        assert!(slowest <= Some(UPSTREAM_TIMEOUT), "{slowest:?}");
        let asked = since(&rig.simulator, &before);
        eprintln!(
            "afterwards, {:?}: slowest read {slowest:?}, calls {asked:?}",
            self.quiet
        );
        let rounds = self.quiet.as_secs() * 2 + 2;
        assert!((1..=rounds).contains(&asked["binance"]), "{asked:?}");
        let others = |host: &str| !host.starts_with("binance");
        for (host, count) in asked.iter().filter(|(host, _)| others(host)) {
            assert!(*count <= 3, "{host} was called {count} times: {asked:?}");
        }
    }
}
