//! The house's rules about the tree, held by reading it: ARCHITECTURE.md says why.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// terrace's rooms, top to bottom. A room may use the rooms below it.
const ROOMS: &[&[&str]] = &[
    &["cache", "builder"],
    &["read", "listen"],
    &["lead", "recover"],
    &["lease", "vouch", "group"],
    &["write"],
    &["core"],
    &[
        "flight", "gate", "proof", "tags", "pending", "trail", "remote",
    ],
    &["seal", "hit_rate"],
    &["local", "store"],
    &[
        "entry", "options", "key", "tag", "pattern", "envelope", "codec", "breaker", "stats",
        "clock", "error",
    ],
];

/// Could be lifted out: they have never heard of caches.
const FREE_STANDING: &[&str] = &["flight.rs", "gate.rs", "breaker.rs"];

/// Where a word may stand, below `crates/`.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("use moka::", &["terrace/src/local/moka.rs"]),
    ("use quick_cache::", &["terrace/src/local/quick.rs"]),
    ("use redis::", &["terrace/src/store/redis"]),
    ("redis::cmd(", &["terrace/src/store/redis"]),
    (
        "Instant::now(",
        &[
            "terrace/src/clock.rs",
            "dashboard/src/clock.rs",
            "market-sim/src",
        ],
    ),
    (
        "SystemTime::now(",
        &["dashboard/src/clock.rs", "market-sim/src"],
    ),
    ("gate.publish(", &["terrace/src/write.rs"]),
    ("gate.void(", &["terrace/src/write.rs"]),
    ("gate.close(", &["terrace/src/write.rs"]),
    ("gate.bar(", &["terrace/src/group.rs"]),
    ("gate.close_all(", &["terrace/src/core.rs"]),
    ("remote.fill(", &["terrace/src/write.rs"]),
    ("remote.force(", &["terrace/src/write.rs"]),
    ("remote.remove(", &["terrace/src/write.rs"]),
    ("remote.release(", &["terrace/src/write.rs"]),
    ("remote.renew(", &["terrace/src/group.rs"]),
    ("remote.remove_matching(", &["terrace/src/group.rs"]),
    (
        "use axum::",
        &[
            "dashboard/src/http",
            "dashboard/src/app.rs",
            "market-sim/src",
        ],
    ),
    ("sqlx::", &["dashboard/src/report"]),
    ("Cache::builder(", &["terrace/src", "dashboard/src/cache"]),
    (
        "RedisStore::connect(",
        &["terrace/src", "dashboard/src/cache"],
    ),
];

/// Two ways of holding a Redis connection that lose pushes or send twice.
const NOWHERE: &[&str] = &["ConnectionManager", "cluster_async", "cache-aio", "unsafe "];

const NO_NAME_FOR_A_FILE: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "shared", "data", "info", "base", "prelude",
];

const ROOT: &[&str] = &[
    ".ci",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "fuzz",
    "rustfmt.toml",
    "scripts",
    // Made by building and running, and ignored.
    "data",
    "target",
];

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 60;

struct Source {
    /// Below `crates/`, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    /// Neither comments nor tests beside the code.
    fn code(&self) -> impl Iterator<Item = &str> {
        let own = self.text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_code = |line: &&str| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with("//")
        };
        own.lines().filter(is_code)
    }
}

#[test]
fn arrows_between_rooms_point_down() {
    let level = |room: &str| ROOMS.iter().position(|rooms| rooms.contains(&room));
    let mut wrong = Vec::new();
    for source in sources("terrace/src") {
        let room = source.path["terrace/src/".len()..]
            .split(['/', '.'])
            .next()
            .expect("a split has a first part");
        if ["lib", "testing", "guide"].contains(&room) {
            continue;
        }
        let own = level(room).unwrap_or_else(|| panic!("{room} is not a room of ROOMS"));
        for used in modules_used(&source.text) {
            let Some(theirs) = level(&used) else { continue };
            // The vocabulary and the face may speak among themselves.
            let sideways = theirs == own && (own == 0 || own == ROOMS.len() - 1);
            if theirs < own || (theirs == own && used != room && !sideways) {
                wrong.push(format!("{} uses {used}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn free_standing_rooms_import_nothing_of_ours() {
    for source in sources("terrace/src") {
        if FREE_STANDING
            .iter()
            .any(|name| source.path == format!("terrace/src/{name}"))
        {
            assert!(!source.text.contains("crate::"), "{}", source.path);
        }
    }
}

#[test]
fn each_word_stands_where_it_belongs() {
    let mut wrong = Vec::new();
    for source in all_sources() {
        let code: String = source.code().collect::<Vec<_>>().join("\n");
        for (word, places) in ONLY_IN {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            if code.contains(word) && !allowed {
                wrong.push(format!("{}: {word}", source.path));
            }
        }
        for word in NOWHERE.iter().filter(|word| code.contains(*word)) {
            wrong.push(format!("{}: {word}", source.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_and_functions_are_of_a_size_to_be_read() {
    let mut wrong = Vec::new();
    let tests = [
        "terrace/tests",
        "terrace/benches",
        "dashboard/tests",
        "market-sim/tests",
        "evidence",
    ];
    let tests = tests.into_iter().flat_map(sources);
    for source in all_sources().into_iter().chain(tests) {
        let lines = source.code().count();
        if lines > MAX_FILE_LINES {
            wrong.push(format!("{}: {lines} lines of code", source.path));
        }
        for (name, lines) in functions(&source) {
            if lines > MAX_FUNCTION_LINES {
                wrong.push(format!("{}: {name} has {lines} lines", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn file_names_say_what_is_inside() {
    let mut wrong = Vec::new();
    for source in all_sources() {
        let path = Path::new(&source.path);
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let depth = path.components().count() - 3;
        if NO_NAME_FOR_A_FILE.contains(&stem) || depth > 2 {
            wrong.push(source.path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_root_holds_what_it_should() {
    let allowed: BTreeSet<&str> = ROOT.iter().copied().collect();
    for entry in fs::read_dir(root()).expect("the workspace can be read") {
        let name = entry.expect("the workspace can be read").file_name();
        let name = name.to_string_lossy();
        assert!(
            allowed.contains(&*name),
            "{name} in the root of the workspace"
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn all_sources() -> Vec<Source> {
    ["terrace/src", "dashboard/src", "market-sim/src"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

fn sources(below: &str) -> Vec<Source> {
    let crates = root().join("crates");
    let mut found = Vec::new();
    let mut folders = vec![crates.join(below)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file can be read");
                let path = path.strip_prefix(&crates).expect("it is below crates/");
                let path = path.to_string_lossy().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    found
}

/// First names below `crate::` in `use` items, single or braced.
fn modules_used(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for after in text.split("use crate::").skip(1) {
        let item = after.split(';').next().unwrap_or_default();
        let Some(list) = item.strip_prefix('{') else {
            used.insert(first_name(item));
            continue;
        };
        let mut depth = 0;
        for part in list.split_inclusive([',', '{', '}']) {
            if depth == 0 {
                used.insert(first_name(part.trim_start()));
            }
            depth += i32::from(part.ends_with('{')) - i32::from(part.ends_with('}'));
        }
    }
    used
}

fn first_name(path: &str) -> String {
    path.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Functions and their code lines, by the indentation that rustfmt gives.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(String, String, usize)> = Vec::new();
    for line in source.code() {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let words = line.trim_start();
        for (_, _, lines) in &mut open {
            *lines += 1;
        }
        let end = open
            .iter()
            .rposition(|(_, own, _)| line == format!("{own}}}"));
        if let Some((name, _, lines)) = end.map(|at| open.remove(at)) {
            found.push((name, lines));
        }
        if let Some((_, name)) = words.split_once("fn ")
            && !words.starts_with("//")
            && !words.ends_with([';', '}'])
            && words.split("fn ").next().is_some_and(|before| {
                before.split_whitespace().all(|word| {
                    word.starts_with("pub")
                        || ["async", "const", "extern", "unsafe"].contains(&word)
                })
            })
        {
            open.push((first_name(name), indent, 1));
        }
    }
    found
}
