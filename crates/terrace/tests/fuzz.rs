//! The fuzz targets on stable Rust: the committed corpus, and what grows out of it by
//! seeded mutation. `fuzz/` runs the same bodies under libFuzzer.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, in its helpers too"
)]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::testing::fuzzing::{TARGETS, Target, sound_envelopes};

const SEED: u64 = 20_260_401;
/// Some two seconds for all targets, without optimisation.
const ROUNDS: usize = 20_000;
/// Kept as material for later rounds.
const POOL: usize = 256;
const LONGEST: usize = 4_096;

#[test]
fn the_codecs_hold_for_the_corpus_and_what_grows_out_of_it() {
    for (name, target) in TARGETS {
        let mut pool = corpus(name);
        pool.extend(sound_envelopes());
        for bytes in &pool {
            attempt(name, target, bytes);
        }
        let mut random = StdRng::seed_from_u64(SEED);
        for _ in 0..ROUNDS {
            let bytes = grown(&pool, &mut random);
            attempt(name, target, &bytes);
            if pool.len() < POOL {
                pool.push(bytes);
            } else {
                let at = random.random_range(0..POOL);
                pool[at] = bytes;
            }
        }
    }
}

fn attempt(name: &str, target: Target, bytes: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    let hex = || {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert!(outcome.is_ok(), "{name}, seed {SEED}, input {}", hex());
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    // Folders have no order, and a seed must mean the same everywhere.
    paths.sort();
    let is_ours = |path: &&std::path::PathBuf| path.extension().is_some_and(|end| end == "bin");
    let found: Vec<_> = paths
        .iter()
        .filter(is_ours)
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(!found.is_empty(), "{folder:?} is empty");
    found
}

/// One of the pool, changed one to four times.
fn grown(pool: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = pool[random.random_range(0..pool.len())].clone();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(1..9)).min(bytes.len());
        match random.random_range(0..7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes
                .splice(at..at, random.random::<[u8; 4]>())
                .for_each(drop),
            3 => bytes[at..end].fill(*[0x00, 0xff, b':', b'}', b'*'].get(at % 5).unwrap()),
            4 => {
                let other = &pool[random.random_range(0..pool.len())];
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
