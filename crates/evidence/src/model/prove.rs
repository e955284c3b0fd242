//! Which scenarios are searched, how far, and the searches themselves.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use stateright::{Checker, HasDiscoveries, Model};

use super::{
    catalogue::{HARMLESS, TRIALS, Trial},
    mixes::{Group, fast, full, whole},
    mutant::{Mutant, Rules},
    report::{Ending, Fate, MutantReport, MutantRow, Report, Row},
    scenario::Scenario,
    search::Search,
};

/// How much is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Mixes of two calls, the most telling of three: seconds, without optimisation.
    Fast,
    /// Each mix of three calls with each fault, from one start: minutes.
    Full,
    /// From each start, and to the end: an hour.
    Whole,
}

/// A search ends here; a scenario that is larger is reported as cut.
const MOST_STEPS: usize = 600_000;
/// A gigabyte or two.
const MOST_STEPS_OF_WHOLE: usize = 40_000_000;
/// No mutant's scenario comes near.
const MOST_STEPS_OF_A_TRIAL: usize = 4_000_000;

struct Found {
    states: usize,
    ending: Ending,
}

fn search(scenario: &Scenario, mutant: Option<Mutant>, most_steps: usize) -> Found {
    let rules = Rules {
        tags: scenario.tags,
        mutant,
    };
    let model = Search {
        scenario: scenario.clone(),
        rules,
    };
    let checker = model
        .checker()
        .finish_when(HasDiscoveries::Any)
        .target_state_count(most_steps)
        .spawn_bfs()
        .join();
    let ending = match checker.discoveries().into_values().next() {
        Some(path) => {
            let breach = path.last_state().breach;
            let steps = path.into_actions();
            Ending::Broken {
                promise: breach.expect("what the checker found").name(),
                steps: steps.iter().map(|step| format!("{step:?}")).collect(),
            }
        }
        None if checker.is_done() && checker.state_count() < most_steps => Ending::Complete,
        None => Ending::Cut,
    };
    Found {
        states: checker.unique_state_count(),
        ending,
    }
}

/// Searches the protocol for a state that breaks a promise.
pub fn prove(effort: Effort) -> Report {
    let (scenarios, threads, most_steps) = match effort {
        Effort::Fast => (fast(), 1, MOST_STEPS),
        Effort::Full => (full(), 2, MOST_STEPS),
        Effort::Whole => (whole(), 2, MOST_STEPS_OF_WHOLE),
    };
    Report {
        rows: search_all(&scenarios, threads, most_steps),
    }
}

/// One search is too short for several threads; several searches are not.
fn search_all(scenarios: &[(Group, Scenario)], threads: usize, most_steps: usize) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((group, scenario)) = scenarios.get(index) else {
                return rows;
            };
            let found = search(scenario, None, most_steps);
            let row = Row {
                scenario: scenario.to_string(),
                group: group.clone(),
                states: found.states,
                ending: found.ending,
            };
            rows.push((index, row));
        }
    };
    let mut rows = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(thread::ScopedJoinHandle::join);
        done.flat_map(|rows| rows.expect("a search does not panic"))
            .collect::<Vec<_>>()
    });
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Tries every mutant, and the protocol itself, on the mutant's scenario.
pub fn mutants() -> MutantReport {
    let due = TRIALS.iter().copied().flatten();
    let due = due.map(|trial| judge(trial, None));
    let spared = HARMLESS.iter();
    let spared = spared.map(|(trial, reason)| judge(trial, Some(reason)));
    MutantReport {
        rows: due.chain(spared).collect(),
    }
}

fn judge(trial: &Trial, reason: Option<&'static str>) -> MutantRow {
    let scenario = trial.scenario();
    let clean = search(&scenario, None, MOST_STEPS_OF_A_TRIAL);
    let alone = trial.mutant.beside().map(|beside| {
        let found = search(&scenario, Some(beside), MOST_STEPS_OF_A_TRIAL);
        found.ending
    });
    let found = search(&scenario, Some(trial.mutant), MOST_STEPS_OF_A_TRIAL);
    let fate = match (&clean.ending, &alone, &found.ending, reason) {
        (Ending::Broken { promise, .. }, ..) | (_, Some(Ending::Broken { promise, .. }), ..) => {
            Fate::NotClean(promise)
        }
        (Ending::Complete, _, Ending::Broken { promise, .. }, None) => Fate::Caught(promise),
        (Ending::Complete, _, Ending::Complete, Some(reason)) => Fate::Harmless(reason),
        _ => Fate::Missed,
    };
    MutantRow {
        mutant: format!("{:?}", trial.mutant),
        rule: trial.rule,
        scenario: scenario.to_string(),
        states: found.states,
        clean_states: clean.states,
        fate,
    }
}
