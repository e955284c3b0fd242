//! Three processes, random calls, a bad network and kills: then the checker.

use std::{path::Path, time::Duration};

use terrace::BoxError;

use crate::{
    clock,
    field::{Field, Plan},
    nemesis::{Menu, Nemesis},
    table::Table,
    worker::wire::Workload,
};

/// 100,000 in a minute.
pub const LEAST_READS_A_SECOND: u64 = 1_667;

/// So that removals meet loads.
pub(crate) const LOADS_TAKE: Duration = Duration::from_millis(4);

/// Faults shown beside a violation: those of so long before.
const BEFORE_A_VIOLATION: Duration = Duration::from_secs(6);

/// Calls of three workers: mostly reads of keys that change a few times a second.
pub(crate) fn calls(seed: u64) -> Workload {
    Workload {
        seed,
        keys: 48,
        tasks: 6,
        pause_micros: 2_000,
        changes: 300,
        groups: 6,
        required: 10,
    }
}

/// Runs for so long; `least` reads must have been checked.
///
/// # Errors
///
/// If processes or Redis do not do what they are told.
pub async fn run(program: &Path, span: Duration, seed: u64, least: u64) -> Result<Table, BoxError> {
    let mut field = Field::open(Plan::of(program)).await?;
    field.origin.pace(LOADS_TAKE);
    field.load(calls(seed)).await?;
    let mut nemesis = Nemesis::new(seed, Menu::Network, None);
    let end = clock::now() + span;
    while clock::now() < end {
        nemesis.strike(&mut field).await?;
    }
    field.rest().await?;
    let title = format!("history: three processes, faults and kills for {span:?}, seed {seed}");
    let mut table = field.log.check(&field.origin.moves(), &title);
    table.at_least("reads checked", field.log.reads_checked(), least);
    add_faults(&mut table, &nemesis, field.log.first_violation());
    let panics = field.log.panics();
    table.exactly("panics", panics.len() as u64, 0);
    for panic in panics {
        table.remark(panic);
    }
    Ok(table)
}

/// Which faults there were, and what came before the first violation.
pub(crate) fn add_faults(table: &mut Table, nemesis: &Nemesis, violation: Option<Duration>) {
    let struck = nemesis.struck().iter();
    let faults: Vec<String> = struck
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    let count: u32 = nemesis.struck().values().sum();
    table.note("faults", count);
    table.remark(format!("faults: {}", faults.join(", ")));
    let Some(violation) = violation else {
        return;
    };
    let recent = violation.saturating_sub(BEFORE_A_VIOLATION)..violation;
    for (when, what) in nemesis.trace() {
        if recent.contains(when) {
            let before = violation.saturating_sub(*when);
            table.remark(format!("{before:?} before the first violation: {what}"));
        }
    }
}
