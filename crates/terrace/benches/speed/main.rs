//! Ratios against baselines of the same run: `scripts/bench [ID…]`.
//!
//! Prints a table and appends one JSON object per figure to the file named by
//! `BENCH_JSON`, if it is set. Nothing is asserted: a loaded machine is no failure.

mod hit_ratio;
mod local_hit;
mod memory;
mod news;
mod one_load;
mod outage;
mod ratio;
mod store_calls;

#[path = "../../tests/it/redis_server.rs"]
#[allow(dead_code, unreachable_pub)] // the tests use more of it
mod redis_server;

fn main() {
    if let Some(side) = std::env::args().find_map(|argument| memory::Side::of_argument(&argument)) {
        return side.print();
    }
    // cargo passes `--bench`; what is left are ids.
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wants = |id: &str| wanted.is_empty() || wanted.iter().any(|one| one == id);
    let mut figures = Vec::new();
    if wants("P1") || wants("P1b") {
        figures.extend(local_hit::run(wants("P1"), wants("P1b")));
    }
    if wants("P2") || wants("P3") {
        figures.extend(store_calls::run(wants("P2"), wants("P3")));
    }
    if wants("P4") {
        figures.extend(one_load::run());
    }
    if wants("P5") || wants("P5b") {
        figures.extend(outage::run(wants("P5"), wants("P5b")));
    }
    if wants("P7") {
        figures.extend(news::run());
    }
    if wants("P9") {
        figures.extend(memory::run());
    }
    if wants("hits") {
        figures.extend(hit_ratio::run());
    }
    ratio::print_table(&figures);
}
