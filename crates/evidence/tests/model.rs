//! The protocol as a model: it holds, and each of its rules is needed.

use evidence::model::{Effort, Fate, NOT_MODELLED, mutants, prove};

#[test]
fn no_reachable_state_breaks_a_promise() {
    let report = prove(Effort::Fast);
    assert!(report.passed(), "{report}");
    assert_eq!(report.cut(), 0, "{report}");
}

#[test]
fn every_rule_switched_off_breaks_a_promise() {
    let report = mutants();
    assert!(report.passed(), "{report}");

    let caught = report
        .rows
        .iter()
        .filter(|row| matches!(row.fate, Fate::Caught(_)));
    let caught: Vec<&str> = caught.map(|row| row.rule).collect();
    for number in 1..=23 {
        let rule = format!("C{number}");
        let is_excused = NOT_MODELLED
            .iter()
            .any(|(what, _)| what.split([' ', ',']).next() == Some(&rule));
        assert!(
            caught.contains(&&*rule) || is_excused,
            "{rule} is forgotten"
        );
    }
}
