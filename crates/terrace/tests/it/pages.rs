//! The pages that name tests name tests that exist.

use std::{fs, path::Path};

const PAGES: [&str; 2] = ["docs/faults.md", "docs/races.md"];
/// So many at least, so that a page in another form is noticed.
const LEAST: usize = 20;

/// The faults and races that this crate is held to: a test, or why there is none.
const ROWS: [(&str, &str, std::ops::RangeInclusive<u32>); 8] = [
    ("docs/faults.md", "A", 1..=13),
    ("docs/faults.md", "B", 1..=11),
    ("docs/faults.md", "C", 1..=9),
    ("docs/faults.md", "D", 1..=8),
    ("docs/faults.md", "E", 1..=2),
    ("docs/faults.md", "E", 7..=7),
    ("docs/faults.md", "F", 1..=10),
    ("docs/races.md", "", 1..=25),
];

fn text_of(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    fs::read_to_string(path).expect("the page can be read")
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
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
            let source = fs::read_to_string(root.join("tests/it").join(file));
            let source = source.unwrap_or_default();
            if !source.contains(&format!("fn {test}(")) {
                wrong.push(format!("{page}: {file}::{test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "no such tests: {wrong:#?}");
}
