//! Crowds of readers, and what they ask for: a few things often, most things seldom.

use std::{sync::Arc, time::Duration};

use dashboard::{
    cache::keys::Interval,
    indicator::Indicator,
    market::{service::DataService, symbol::Symbol},
};
use futures_util::future::join_all;
use rand::{
    RngExt as _,
    distr::{Distribution as _, weighted::WeightedIndex},
    rngs::StdRng,
};
use tokio::time::{Instant, sleep_until};

use super::{weather::DAY, world::World};

/// Readers that come at once, every so often: some 13 in a second.
const CROWD: std::ops::RangeInclusive<u64> = 16..=36;
const EVERY: Duration = Duration::from_secs(2);

/// What a reader wants.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Summary,
    Market(Symbol),
    Candles(Symbol, Interval),
    Indicator(Symbol, Indicator),
}

/// Every wish, the commonest first: what a page shows, then what its charts do.
fn wishes() -> Vec<Wish> {
    let mut wishes = vec![Wish::Summary];
    wishes.extend(Symbol::ALL.map(Wish::Market));
    let drawn = [Symbol::Btc, Symbol::Eth, Symbol::Sol];
    wishes.extend(drawn.map(|of| Wish::Candles(of, Interval::Day1)));
    for text in ["rsi:14", "macd"] {
        let indicator: Indicator = text.parse().expect("one of ours");
        wishes.extend(drawn.map(|of| Wish::Indicator(of, indicator)));
    }
    wishes.push(Wish::Candles(Symbol::Btc, Interval::Hour1));
    wishes
}

/// Lets crowds come for a day, by Zipf's law: the n-th commonest wish is n times as rare as the
/// first. Returns how many readers there were.
pub(crate) async fn come(world: Arc<World>, service: Arc<DataService>, mut random: StdRng) -> u64 {
    let wishes = wishes();
    let ranks = 1..=u32::try_from(wishes.len()).expect("a few dozen");
    let zipf = WeightedIndex::new(ranks.map(|rank| 1.0 / f64::from(rank)));
    let zipf = zipf.expect("every weight is above zero");
    let (began, mut readers) = (Instant::now(), 0);
    let mut crowds = tokio::task::JoinSet::new();
    let mut next = Duration::ZERO;
    while next < DAY {
        sleep_until(began + next).await;
        world.catch_up();
        let size = random.random_range(CROWD);
        let crowd: Vec<Wish> = (0..size)
            .map(|_| wishes[zipf.sample(&mut random)])
            .collect();
        readers += size;
        let service = Arc::clone(&service);
        crowds.spawn(async move {
            join_all(crowd.into_iter().map(|wish| grant(&service, wish))).await;
        });
        while crowds.try_join_next().is_some() {}
        next += EVERY;
    }
    while let Some(ended) = crowds.join_next().await {
        ended.expect("no reader panics");
    }
    readers
}

/// What it is that nobody has is for others to check; here answers are counted only.
async fn grant(service: &Arc<DataService>, wish: Wish) {
    match wish {
        Wish::Summary => drop(service.fetch_dashboard_summary().await),
        Wish::Market(of) => drop(service.fetch_market_data(of).await),
        Wish::Candles(of, interval) => drop(service.fetch_candles(of, interval).await),
        Wish::Indicator(of, indicator) => {
            let day = Interval::Day1;
            drop(service.fetch_technical_indicator(of, indicator, day).await);
        }
    }
}
