//! The commands behind `scripts/prove`, `scripts/mutants` and `scripts/chaos`.

use clap::Parser;

/// Shows that terrace keeps its contract.
#[derive(Debug, Parser)]
struct Arguments {}

fn main() {
    Arguments::parse();
}
