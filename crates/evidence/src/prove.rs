//! All that `scripts/prove` shows, one table after another.

use std::{fmt::Display, path::Path, time::Duration};

use terrace::BoxError;

use crate::{
    converge, history_run,
    model::{self, Effort},
    scenario::{Scenario, Size},
    table::Table,
};

const ROUNDS: u32 = 500;
const HISTORY: Duration = Duration::from_secs(60);
const LEAST_READS: u64 = 100_000;

/// Runs everything, shows each table as soon as it is there, and tells whether all
/// of it holds. What cannot be carried out falls short, and the rest goes on.
///
/// # Errors
///
/// If the model's search is ended from outside.
pub async fn run(program: &Path, seed: u64, show: impl Fn(&dyn Display)) -> Result<bool, BoxError> {
    let mut holds = true;
    let mut take = |what: &str, outcome: Result<Table, BoxError>| {
        let table = outcome.unwrap_or_else(|error| {
            let mut table = Table::new(what);
            table.demand("carried out", error, "yes", false);
            table
        });
        show(&table);
        holds &= table.holds();
    };
    take("convergence", converge::run(program, ROUNDS).await);
    let history = history_run::run(program, HISTORY, seed, LEAST_READS).await;
    take("history", history);
    for scenario in Scenario::ALL {
        let outcome = scenario.run(program, Size::Full).await;
        take(&format!("{scenario:?}"), outcome);
    }
    let model = tokio::task::spawn_blocking(|| model::prove(Effort::Full)).await?;
    show(&model);
    Ok(holds && model.passed())
}
