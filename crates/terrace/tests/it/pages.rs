//! The pages that name tests name tests that exist.

use std::{fs, path::Path};

const PAGES: [&str; 2] = ["docs/faults.md", "docs/races.md"];
/// So many at least, so that a page in another form is noticed.
const LEAST: usize = 20;

#[test]
fn every_test_that_a_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root.join(page)).expect("the page can be read");
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
