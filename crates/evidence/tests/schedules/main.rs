//! The parts of terrace that threads meet in, under every schedule that matters.
//!
//! The gate, the table of flights, the proof and the comparison that a hit makes are
//! compiled from terrace's own sources (`build.rs` says how) with loom's locks and
//! atomics, and explored exhaustively up to three preemptions, weak orderings
//! included. Then each rule they rest on is switched off, and must be missed.
//!
//! Nothing is random here: there is no seed, the same schedules run each time.
#![allow(
    dead_code,
    unused_imports,
    unused_mut,
    unused_variables,
    unused_qualifications,
    unreachable_pub,
    missing_debug_implementations,
    clippy::duplicate_mod,
    clippy::let_and_return,
    clippy::modulo_one,
    clippy::needless_pass_by_value,
    clippy::redundant_clone,
    reason = "whole files of the library are compiled of which a part is used, once for each mutant"
)]

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

/// The scenarios of a file, with their names.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        pub(crate) const ALL: &[crate::explore::Named] = &[$((stringify!($name), $name)),*];
    };
}

mod explore;
mod mutants;
mod shim;
mod stand_ins;

include!(concat!(env!("OUT_DIR"), "/worlds.rs"));

/// Beside the test's captured output: how much was explored is part of the claim.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn no_schedule_breaks_a_promise() {
    let (mut all, start) = (0, Instant::now());
    for (name, scenario) in as_it_is::scenarios() {
        let start = Instant::now();
        let explored = explore::explore(scenario);
        all += explored.schedules;
        say(&line(name, explored.schedules, start.elapsed(), "kept"));
        assert_eq!(explored.broken, None, "{name}");
    }
    say(&line("all of them", all, start.elapsed(), ""));
}

#[test]
fn every_rule_switched_off_is_missed() {
    assert_eq!(MUTATED.len(), mutants::MUTANTS.len());
    let mut missed = Vec::new();
    for (mutant, scenarios) in mutants::MUTANTS.iter().zip(MUTATED) {
        let named = |(name, _): &explore::Named| *name == mutant.found_by;
        let (_, scenario) = scenarios().into_iter().find(named).expect(mutant.found_by);
        let start = Instant::now();
        let explored = explore::explore(scenario);
        let found = explored.broken.as_deref().unwrap_or("NOT FOUND");
        say(&line(
            mutant.name,
            explored.schedules,
            start.elapsed(),
            found,
        ));
        if explored.broken.is_none() {
            missed.push(mutant.name);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

fn line(name: &str, schedules: usize, took: Duration, found: &str) -> String {
    let found = found.lines().next().unwrap_or_default();
    format!(
        "{name:62} {schedules:7} schedules {:5} ms  {found}",
        took.as_millis()
    )
}
