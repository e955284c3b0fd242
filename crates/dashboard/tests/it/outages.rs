//! Every source switched to every failure of the simulator: alone, with those before it gone, and all
//! together; with nothing known before, and with a last good value of everything.

mod doubt;
mod failure;
mod field;
mod queue;
mod recovery;
mod stage;
mod stream;
mod truth;
mod verdict;

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use dashboard::market::figure::Source as Of;
use tokio::runtime::{Builder, Runtime};

use failure::Failure;
use queue::{Known, Outage, everything};
use stage::{Patience, Stage, moments};
use truth::Truths;
use verdict::{sources_flaws, summary_flaws};

/// How many stages stand at once while they compute, or wait for a second attempt now and then.
const BUSY: usize = 12;
/// And while all that they do is wait.
const WAITING: usize = 32;

/// Each source, and who has to be gone for it to be asked for something else than before.
const PLACES: [(Of, &[Of]); 13] = [
    (Of::Binance, &[]),
    (Of::Coinbase, &[]),
    (Of::Coinbase, &[Of::Binance]),
    (Of::Kraken, &[]),
    (Of::Kraken, &[Of::Binance, Of::Coinbase]),
    (Of::CoinGecko, &[]),
    (Of::CoinGecko, &[Of::Binance, Of::Coinbase, Of::Kraken]),
    (Of::Taapi, &[]),
    (Of::Taapi, &[Of::Binance, Of::Coinbase, Of::Kraken]),
    (Of::CoinMarketCap, &[]),
    (Of::CoinMarketCap, &[Of::CoinGecko]),
    (Of::AlternativeMe, &[]),
    (Of::Finnhub, &[]),
];

const NOBODY: &[Of] = &[];

/// An outage, and what was known when it began.
type Case = (Outage, Known);

fn cases(places: &[(Vec<Of>, &'static [Of])], menu: &[Failure]) -> Vec<Case> {
    let mut cases = Vec::new();
    for failure in menu {
        for (failing, gone) in places {
            let outage = Outage {
                failing: failing.clone(),
                failure: failure.clone(),
                hits: everything,
                gone,
            };
            cases.extend([
                (outage.clone(), Known::Nothing),
                (outage, Known::Everything),
            ]);
        }
    }
    cases
}

fn alone() -> Vec<(Vec<Of>, &'static [Of])> {
    PLACES.map(|(of, gone)| (vec![of], gone)).into()
}

#[test]
fn a_source_that_fails_in_any_way_is_stood_in_for_or_its_figures_are_stale_or_null() {
    play(cases(&alone(), &failure::menu()), Patience::Ample, BUSY);
}

#[test]
fn a_source_that_takes_too_long_is_stood_in_for_or_its_figures_are_stale_or_null() {
    let together = vec![(Of::ALL.into(), NOBODY)];
    let cases = cases(&[alone(), together].concat(), &failure::slow());
    play(cases, Patience::Short, WAITING);
}

#[test]
fn all_sources_failing_together_in_any_way_leave_what_was_known_or_null() {
    let together = [(Of::ALL.into(), NOBODY)];
    play(cases(&together, &failure::menu()), Patience::Ample, BUSY);
}

/// Plays cases, several at once, each under a runtime of its own.
fn play(cases: Vec<Case>, patience: Patience, at_once: usize) {
    let truths = runtime().block_on(Truths::of(moments(), &failure::SKEWS));
    let (left, wrong) = (Mutex::new(cases.into_iter()), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let flaws = runtime().block_on(flaws(&case, patience, &truths));
                    let mut wrong = wrong.lock().expect("nobody panics with it");
                    wrong.extend(flaws.into_iter().map(|flaw| format!("{case:?}: {flaw}")));
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked with it");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// What is told otherwise than it should be.
async fn flaws((outage, known): &Case, patience: Patience, truths: &Truths) -> Vec<String> {
    let [start, end] = moments();
    let stage = match known {
        Known::Nothing => Stage::at(end, patience).await,
        Known::Everything => {
            let stage = Stage::at(start, patience).await;
            let good = stage.refreshed().await;
            if good["partial_failure"] != false {
                return vec![format!("there was no good start: {good}")];
            }
            stage.wait().await;
            stage
        }
    };
    stage.suffer(outage).await;
    let summary = stage.refreshed().await;
    let sources = stage.json("/api/v1/sources").await;
    let mut flaws = summary_flaws(&summary, outage, *known, truths);
    flaws.extend(sources_flaws(&sources, outage, *known, |of| {
        stage.calls_of(of)
    }));
    flaws
}
