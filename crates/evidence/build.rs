//! Makes terrace's lock-free and locking parts explorable: writes the sources that
//! `tests/schedules` compiles, once as they are and once for each mutant.
//!
//! The files of terrace are taken as they stand. Only the paths of what they
//! synchronise with are replaced (std's atomics, parking_lot, Tokio's wakers: loom
//! must see them), and the numbers of stripes and shards, so that a schedule is short.
//! So the library holds no `cfg` for its tests, and what is explored is what is shipped.
//! A text that is not found is a compile error, in that test alone.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::mutants::{MUTANTS, Mutant};

#[path = "tests/schedules/mutants.rs"]
#[allow(dead_code, reason = "which scenario finds a mutant is for the test")]
mod mutants;

/// Scenarios, compiled once in each world.
const SCENARIOS: [&str; 3] = ["gate_scenarios", "flight_scenarios", "proof_scenarios"];

/// Taken whole, apart from the replacements.
const WHOLE: [&str; 6] = ["gate", "flight", "proof", "tags", "tag", "entry"];

/// What loom must see, in every file.
const PATHS: [(&str, &str); 5] = [
    ("//!", "//"),
    ("use std::", "use crate::shim::std::"),
    ("use parking_lot::", "use crate::shim::parking_lot::"),
    ("use tokio::sync::", "use crate::shim::tokio::"),
    ("use foldhash::fast::", "use crate::shim::foldhash::"),
];

/// Exactly once each: file, text, what stands there instead.
const SIZES: [(&str, &str, &str); 3] = [
    (
        "gate",
        "const STRIPES: usize = 4_096;",
        "const STRIPES: usize = 1;",
    ),
    (
        "gate",
        "const WAKE_GROUPS: usize = 64;",
        "const WAKE_GROUPS: usize = 1;",
    ),
    (
        "flight",
        "const SHARDS: usize = 16;",
        "const SHARDS: usize = 1;",
    ),
];

/// Cut out of `core.rs`, which as a whole needs half the library.
const OF_CORE: [&str; 7] = [
    "#[derive(Clone, Copy, Debug, PartialEq, Eq)]\npub(crate) enum Service {",
    "    #[inline]\n    pub(crate) fn service(",
    "    #[cold]\n    fn service_after_a_change(",
    "    fn service_in_doubt(",
    "    fn serves_in_doubt(",
    "    fn judge(",
    "    pub(crate) fn grounds(",
];
/// Cut out of `clock.rs`, which reads the system's clocks.
const OF_CLOCK: [&str; 2] = [
    "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]\npub(crate) struct Moment(",
    "impl Moment {",
];

const CORE: &str = "
use std::sync::Arc;
use super::{clock::Moment, entry::{Record, Standing}, gate::{Gate, Guarded}, options::Coherence, proof::Proof, tags::{Grounds, Tags, Verdict}};
pub(crate) struct Core<V: Guarded> {
    pub(crate) gate: Arc<Gate<V>>,
    pub(crate) tags: Arc<Tags>,
    pub(crate) proof: Proof,
    pub(crate) clock: StoppedClock,
}
pub(crate) struct StoppedClock(pub(crate) Moment);
impl StoppedClock {
    fn now(&self) -> Moment {
        self.0
    }
}
";

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to"));
    let sources = manifest.join("../terrace/src");
    println!("cargo::rerun-if-changed={}", sources.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=tests/schedules");

    let mut worlds = world("as_it_is", None, &sources, &manifest);
    for mutant in MUTANTS {
        worlds += &world(mutant.name, Some(mutant), &sources, &manifest);
    }
    worlds += "pub(crate) const MUTATED: &[fn() -> Vec<crate::explore::Named>] = &[\n";
    for mutant in MUTANTS {
        writeln!(worlds, "    {}::scenarios,", mutant.name).expect("a string takes it");
    }
    worlds += "];\n";
    fs::write(out.join("worlds.rs"), worlds).expect("the output folder takes it");
}

/// The library's parts and the scenarios, as one module.
fn world(name: &str, mutant: Option<&Mutant>, sources: &Path, manifest: &Path) -> String {
    let text = |file: &str| -> Result<String, String> {
        let path = sources.join(file).with_extension("rs");
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}.rs: {error}"))?;
        let mut text = match mutant.filter(|mutant| mutant.file == file) {
            Some(mutant) => replace_once(&text, mutant.from, mutant.to)?,
            None => text,
        };
        for (own, from, to) in SIZES {
            if own == file {
                text = replace_once(&text, from, to)?;
            }
        }
        Ok(for_loom(&text))
    };
    let parts = || -> Result<String, String> {
        let mut parts =
            String::from("pub(crate) use crate::stand_ins::{envelope, error, options};\n");
        for file in WHOLE {
            parts += &module(file, &text(file)?);
        }
        let moment = cut_all(&text("clock")?, &OF_CLOCK)?;
        parts += &module(
            "clock",
            &format!("use std::time::Duration;\n{}", moment.join("\n")),
        );
        let core = cut_all(&text("core")?, &OF_CORE)?;
        let (service, methods) = core.split_first().expect("it was cut into some");
        let methods = methods.join("\n").replace("Record<V>", "Record<u64>");
        let methods = format!("impl<V: Guarded> Core<V> {{\n{methods}\n}}\n");
        parts += &module("core", &format!("{CORE}{service}\n{methods}"));
        Ok(parts)
    };
    let body = parts().unwrap_or_else(|error| format!("compile_error!({error:?});\n"));
    let mut scenarios = String::new();
    let mut all =
        String::from("pub(crate) fn scenarios() -> Vec<crate::explore::Named> {\n    [\n");
    for file in SCENARIOS {
        let path = manifest
            .join("tests/schedules")
            .join(file)
            .with_extension("rs");
        writeln!(scenarios, "#[path = {path:?}]\npub(crate) mod {file};")
            .expect("a string takes it");
        writeln!(all, "        {file}::ALL,").expect("a string takes it");
    }
    format!("pub(crate) mod {name} {{\n{body}{scenarios}{all}    ]\n    .concat()\n}}\n}}\n")
}

fn module(name: &str, text: &str) -> String {
    format!("pub(crate) mod {name} {{\n{text}\n}}\n")
}

fn for_loom(text: &str) -> String {
    // Unit tests are for a world without loom.
    let own = text.split("#[cfg(test)]").next().unwrap_or_default();
    let text = PATHS
        .iter()
        .fold(own.to_owned(), |text, (from, to)| text.replace(from, to));
    // A world is a module: what is at the crate's root for a file is one level up here.
    text.replace("use crate::shim::", "use @shim::")
        .replace("crate::", "super::")
        .replace("@shim::", "crate::shim::")
}

fn replace_once(text: &str, from: &str, to: &str) -> Result<String, String> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        count => Err(format!("found {count} times, expected once: {from}")),
    }
}

/// Items from where they begin to the brace or semicolon that ends them.
fn cut_all(text: &str, starts: &[&str]) -> Result<Vec<String>, String> {
    starts.iter().map(|start| cut(text, start)).collect()
}

fn cut(text: &str, start: &str) -> Result<String, String> {
    let (at, _) = text
        .match_indices(start)
        .next()
        .ok_or_else(|| format!("not found: {start}"))?;
    let indent: String = start.chars().take_while(|c| *c == ' ').collect();
    let rest = &text[at..];
    let last_line = start.rsplit('\n').next().unwrap_or_default();
    let end = if last_line.ends_with("struct Moment(") {
        rest.find(";\n").map(|at| at + 1)
    } else {
        let end = format!("\n{indent}}}\n");
        rest.find(&end).map(|at| at + end.len())
    };
    end.map(|end| rest[..end].to_owned())
        .ok_or_else(|| format!("has no end: {start}"))
}
