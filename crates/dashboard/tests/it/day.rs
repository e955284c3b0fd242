//! A whole day in virtual time: sources fail and heal at random, readers come in crowds.

mod book;
mod quota;
mod readers;
mod truth;
mod weather;
pub(crate) mod world;

use std::{collections::BTreeMap, sync::Arc};

use dashboard::live::{hub::Hub, refresher::Refresher};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use truth::Truth;
use weather::DAY;
use world::{Call, World};

const START: &str = "2025-03-14T05:17:23Z";
const SEED: u64 = 0x00da_7e5e;

#[tokio::test(start_paused = true)]
async fn a_day_of_random_faults_keeps_every_quota_and_invents_nothing() {
    eprintln!("seed {SEED:#x}");
    let world = World::new(START, SEED);
    let (config, service) = world.service();
    let stop = CancellationToken::new();
    let hub = Hub::new();
    let mut updates = hub.subscribe();
    let _refresher = Refresher::start(&config, service, hub, stop.clone());
    tokio::spawn(suffer(Arc::clone(&world), StdRng::seed_from_u64(SEED)));
    let mut truth = Truth::new(START, SEED);
    let (mut rounds, mut figures) = (0, BTreeMap::new());
    while world.elapsed() < DAY {
        updates.changed().await.expect("the hub lives");
        let update = updates.borrow_and_update().news.clone();
        let update = update.expect("it was published");
        rounds += 1;
        truth.check(&update.summary, &world).await;
        for reading in update.summary.readings() {
            *figures.entry(reading.state.status()).or_insert(0_u64) += 1;
        }
    }
    stop.cancel();
    let calls = world.calls();
    eprintln!(
        "{rounds} rounds; figures {figures:?}; calls {:?}",
        by_source(&calls)
    );
    // A back-off of the refresher may cost some.
    assert!(rounds > 8_000, "{rounds} rounds");
    assert!(figures["stale"] > 0, "nothing ever failed");
    quota::check(&calls);
}

/// What the origin's cache says of itself in its own README, there about its two tiers together;
/// its rest, 5 %, is computed, which means calls.
const CLAIMED_TIERS: f64 = 95.0;
const CLAIMED_CALLS: f64 = 5.0;

#[tokio::test(start_paused = true)]
async fn a_day_of_readers_is_answered_from_the_tiers_and_costs_few_calls() {
    eprintln!("seed {SEED:#x}");
    let world = World::new(START, SEED);
    let (config, service) = world.service();
    let stop = CancellationToken::new();
    let _refresher = Refresher::start(&config, Arc::clone(&service), Hub::new(), stop.clone());
    tokio::spawn(suffer(Arc::clone(&world), StdRng::seed_from_u64(SEED)));
    let random = StdRng::seed_from_u64(SEED + 1);
    let reads = readers::come(Arc::clone(&world), Arc::clone(&service), random).await;
    stop.cancel();
    let calls = world.calls();
    let answers: BTreeMap<_, _> = service.answers().by_origin().into_iter().collect();
    assert_eq!(answers.values().sum::<u64>(), reads, "each is counted once");
    let told: u64 = service.sources().iter().map(|source| source.calls).sum();
    assert_eq!(
        told,
        calls.len() as u64,
        "calls are counted where they are made"
    );
    let tiers = percent(answers["l1"] + answers["l2"] + answers["stale"], reads);
    let called = percent(told, reads);
    eprintln!(
        "{reads} reads; answers {answers:?}; calls {:?}",
        by_source(&calls)
    );
    eprintln!("                        measured   the origin's claim");
    eprintln!(
        "answered from a tier    {tiers:7.2} %  {CLAIMED_TIERS:4.0} % (L1 90 %, of the rest L2 75 %)"
    );
    eprintln!(
        "upstream calls of reads {called:7.2} %  {CLAIMED_CALLS:4.0} % (what neither tier had)"
    );
    assert!(tiers >= CLAIMED_TIERS, "{tiers} % from a tier");
    assert!(called <= CLAIMED_CALLS, "{called} % of reads cost a call");
    quota::check(&calls);
}

/// Lets the weather happen.
async fn suffer(world: Arc<World>, mut random: StdRng) {
    let spells = weather::drawn(&mut random);
    let began = Instant::now();
    for turn in weather::turns(&spells) {
        sleep_until(began + turn).await;
        world.suffer(weather::at(&spells, turn)).await;
    }
}

fn by_source(calls: &[Call]) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for call in calls {
        *sums.entry(call.source.name()).or_default() += 1;
    }
    sums
}

#[allow(clippy::cast_precision_loss)]
fn percent(part: u64, of: u64) -> f64 {
    part as f64 * 100.0 / of as f64
}
