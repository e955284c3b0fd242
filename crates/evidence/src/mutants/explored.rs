//! Mutants of what threads meet in: `tests/schedules` has loom explore each.

use std::path::Path;

use terrace::BoxError;
use tokio::process::Command;

#[path = "../../tests/schedules/mutants.rs"]
#[allow(dead_code)] // the texts are for build.rs
mod catalogue;

pub(super) use self::catalogue::MUTANTS;

const TEST: &str = "every_rule_switched_off_is_missed";
/// What the test says before the names of those that no schedule finds.
const NOT_FOUND: &str = "not found: [";

/// Those that no schedule finds.
pub(super) async fn missed(root: &Path) -> Result<Vec<&'static str>, BoxError> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["test", "--locked", "--quiet", "-p", "evidence"]);
    cargo.args(["--test", "schedules", TEST]);
    let output = cargo.current_dir(root).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let Some((_, names)) = said.split_once(NOT_FOUND) else {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{TEST} does not run: {why}{said}").into());
    };
    let names = names.split(']').next().unwrap_or_default();
    let is_missed = |name: &&str| names.contains(&format!("{name:?}"));
    let all = MUTANTS.iter().map(|mutant| mutant.name);
    Ok(all.filter(is_missed).collect())
}
