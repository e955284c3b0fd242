//! A mutant of the code: one place of terrace's sources, and what stands there instead.

use super::{gates, groups, news, walks};

/// One rule, switched off in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct CodeMutant {
    /// What is wrong then.
    pub(super) name: &'static str,
    /// As the protocol calls it.
    pub(super) rule: &'static str,
    /// Below `crates/terrace/src`.
    pub(super) file: &'static str,
    /// Stands there once.
    pub(super) old: &'static str,
    /// What is put in its place.
    pub(super) new: &'static str,
    /// Tests of `--test it`, the most telling first: one of them must fail.
    pub(super) caught_by: &'static [&'static str],
}

impl CodeMutant {
    /// The file with the rule off.
    pub(super) fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(self.old).count() {
            1 => Ok(text.replacen(self.old, self.new, 1)),
            count => {
                let (name, file) = (self.name, self.file);
                Err(format!("{name}: its place occurs {count} times in {file}"))
            }
        }
    }
}

/// All of them, in the order of the table.
pub(super) fn all() -> impl Iterator<Item = &'static CodeMutant> {
    let places = [
        gates::MUTANTS,
        walks::MUTANTS,
        groups::MUTANTS,
        news::MUTANTS,
    ];
    places.into_iter().flatten()
}
