//! Tags, everything, prefixes: their epochs, and the order of their steps.

use super::code::CodeMutant;

pub(super) const MUTANTS: &[CodeMutant] = &[CodeMutant {
    name: "RemovedGroupKeepsFlights",
    rule: "idea 2",
    file: "group.rs",
    old: "core.tags.close(*mark, move || gate.turn_wide())",
    new: "core.tags.close(*mark, move || gate.wide())",
    caught_by: &["pending::what_changes_during_a_load_is_seen_by_whoever_comes_later"],
}];
