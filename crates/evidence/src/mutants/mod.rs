//! Rules switched off one by one, to see that something notices.
//!
//! In the model each rule is a switch. What threads meet in is changed as it is
//! compiled for loom, and some schedule must break a promise. Anything else is
//! changed in a copy of the sources, and one of the fast tests that are named for it
//! must fail.

mod explored;
mod code;
mod workbench;

// The places, by what they belong to.
mod gates;
mod groups;
mod news;
mod walks;

use std::{fmt, path::Path, time::Instant};

use terrace::BoxError;

use self::{code::CodeMutant, workbench::Workbench};
use crate::model::{self, Fate, MutantReport};

/// Which mutants are tried.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// These alone; all if there are none.
    pub names: Vec<String>,
    /// Whether all else is left alone: the model takes seconds, the code minutes.
    pub model_alone: bool,
}

/// What became of each mutant.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: Vec<Row>,
    spent: Vec<(&'static str, u64)>,
}

#[derive(Clone, Debug)]
struct Row {
    rule: &'static str,
    mutant: String,
    place: &'static str,
    verdict: String,
    is_due: bool,
}

impl Ledger {
    /// Whether there are any, and each met the fate that it should.
    pub fn holds(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.is_due)
    }

    fn take_explored(&mut self, missed: &[&str], selection: &Selection) {
        for mutant in explored::MUTANTS {
            let is_due = !missed.contains(&mutant.name);
            if selection.has(mutant.name) {
                self.rows.push(Row {
                    rule: mutant.file,
                    mutant: mutant.name.to_owned(),
                    place: "loom",
                    verdict: if is_due { mutant.found_by } else { "MISSED" }.to_owned(),
                    is_due,
                });
            }
        }
    }

    fn take_model(&mut self, report: &MutantReport, selection: &Selection) {
        for row in &report.rows {
            let (verdict, is_due) = match &row.fate {
                Fate::Caught(promise) => ((*promise).to_owned(), true),
                Fate::Harmless(reason) => (format!("breaks nothing: {reason}"), true),
                Fate::Missed => ("MISSED".to_owned(), false),
                Fate::NotClean(promise) => (format!("THE PROTOCOL ITSELF: {promise}"), false),
            };
            if selection.has(&row.mutant) {
                self.rows.push(Row {
                    rule: row.rule,
                    mutant: row.mutant.clone(),
                    place: "model",
                    verdict,
                    is_due,
                });
            }
        }
    }
}

impl Selection {
    fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

/// Tries the model's mutants, loom's, then those of the code below `root`. Progress
/// goes to the standard error output.
///
/// # Errors
///
/// If a name means no mutant, or the sources as they are do not build, or do not
/// pass the tests: then nothing that fails would prove anything.
pub async fn run(root: &Path, selection: Selection) -> Result<Ledger, BoxError> {
    let mut ledger = Ledger::default();
    let start = Instant::now();
    let report = tokio::task::spawn_blocking(model::mutants).await?;
    if let Some(unknown) = selection.names.iter().find(|name| !is_known(name, &report)) {
        return Err(format!("no mutant is called {unknown:?}").into());
    }
    ledger.take_model(&report, &selection);
    ledger.spent.push(("model", start.elapsed().as_secs()));
    let mut of_loom = explored::MUTANTS.iter().map(|mutant| mutant.name);
    if !selection.model_alone && of_loom.any(|name| selection.has(name)) {
        let start = Instant::now();
        let missed = explored::missed(root).await?;
        ledger.take_explored(&missed, &selection);
        ledger.spent.push(("loom", start.elapsed().as_secs()));
    }
    let chosen: Vec<&CodeMutant> = code::all()
        .filter(|mutant| !selection.model_alone && selection.has(mutant.name))
        .collect();
    if chosen.is_empty() {
        return Ok(ledger);
    }
    let start = Instant::now();
    let bench = Workbench::prepare(root, &chosen).await?;
    for mutant in &chosen {
        let trial = bench.try_out(mutant).await?;
        eprintln!("{:<34} {trial}", mutant.name);
        ledger.rows.push(Row {
            rule: mutant.rule,
            mutant: mutant.name.to_owned(),
            place: mutant.file,
            verdict: trial.to_string(),
            is_due: trial.is_caught(),
        });
    }
    ledger.spent.push(("code", start.elapsed().as_secs()));
    Ok(ledger)
}

fn is_known(name: &str, report: &MutantReport) -> bool {
    code::all().any(|mutant| mutant.name == name)
        || explored::MUTANTS.iter().any(|mutant| mutant.name == name)
        || report.rows.iter().any(|row| row.mutant == name)
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> &str| {
            let widths = self.rows.iter().map(|row| of(row).chars().count());
            widths.max().unwrap_or(0)
        };
        let (rule, mutant, place) = (
            width(|row| row.rule),
            width(|row| &row.mutant),
            width(|row| row.place),
        );
        writeln!(
            f,
            "\nmutants: the rule that is off, where, and what notices"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "  {:rule$}  {:mutant$}  {:place$}  {}",
                row.rule, row.mutant, row.place, row.verdict
            )?;
        }
        let due = self.rows.iter().filter(|row| row.is_due).count();
        write!(f, "{due} of {} as they should be", self.rows.len())?;
        for (what, seconds) in &self.spent {
            write!(f, "; {what}: {seconds} s")?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::code;

    #[test]
    fn each_mutant_of_the_code_still_has_its_place() {
        let mut wrong = Vec::new();
        let mut names = BTreeSet::new();
        for mutant in code::all() {
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../terrace/src");
            let text = std::fs::read_to_string(sources.join(mutant.file)).unwrap_or_default();
            if let Err(error) = mutant.apply(&text) {
                wrong.push(error);
            }
            assert!(names.insert(mutant.name), "twice: {}", mutant.name);
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
