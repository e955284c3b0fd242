//! The pages that name tests name tests that exist.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

const LIBRARY_FAULTS: &str = "terrace/docs/faults.md";
const LIBRARY_RACES: &str = "terrace/docs/races.md";
const SERVICE_FAULTS: &str = "dashboard/docs/faults.md";
const PAGES: [&str; 3] = [LIBRARY_FAULTS, LIBRARY_RACES, SERVICE_FAULTS];
/// So many at least, so that a page in another form is noticed.
const LEAST: usize = 20;

/// The faults, races, mistakes and traps that we are held to: a test, or why there is none.
const ROWS: [(&str, &str, RangeInclusive<u32>); 12] = [
    (LIBRARY_FAULTS, "A", 1..=13),
    (LIBRARY_FAULTS, "B", 1..=11),
    (LIBRARY_FAULTS, "C", 1..=9),
    (LIBRARY_FAULTS, "D", 1..=8),
    (LIBRARY_FAULTS, "E", 1..=2),
    (LIBRARY_FAULTS, "E", 7..=7),
    (LIBRARY_FAULTS, "F", 1..=10),
    (LIBRARY_RACES, "", 1..=25),
    (SERVICE_FAULTS, "E", 1..=7),
    (SERVICE_FAULTS, "W", 1..=9),
    (SERVICE_FAULTS, "M", 1..=13),
    (SERVICE_FAULTS, "T", 1..=13),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text_of(page: &str) -> String {
    fs::read_to_string(crates().join(page)).expect("the page can be read")
}

/// A page names a file below its crate's tests, or its `src`, or another crate's tests.
fn source_of(page: &str, file: &str) -> String {
    let (krate, _) = page.split_once('/').expect("a page is in a crate");
    let mut places = vec![
        crates().join(krate).join("tests/it").join(file),
        crates().join(krate).join(file),
    ];
    if let Some((other, file)) = file.split_once('/') {
        places.push(crates().join(other).join("tests/it").join(file));
    }
    let mut sources = places
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    sources.next().unwrap_or_default()
}

#[test]
fn every_fault_and_every_race_has_a_row() {
    for (page, family, numbers) in ROWS {
        let text = text_of(page);
        for number in numbers {
            let row = format!("\n| {family}{number} | ");
            assert_eq!(text.matches(&row).count(), 1, "{page}: {family}{number}");
        }
    }
}

#[test]
fn every_test_that_a_page_names_exists() {
    let mut wrong = Vec::new();
    for page in PAGES {
        let text = text_of(page);
        let named: Vec<(&str, &str)> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter_map(|quoted| quoted.split_once("::"))
            .collect();
        assert!(named.len() >= LEAST, "{page} names {} tests", named.len());
        for (file, test) in named {
            if !source_of(page, file).contains(&format!("fn {test}(")) {
                wrong.push(format!("{page}: {file}::{test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "no such tests: {wrong:#?}");
}
