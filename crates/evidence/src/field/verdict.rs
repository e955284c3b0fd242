//! The checker's verdict as rows, and what happened around a violation.

use std::time::Duration;

use crate::{
    history::{AnsweredBy, Read, Verdict, Violation, Void},
    table::{Table, millis},
    worker::wire::{Call, Key},
};

pub(super) fn rows_of(verdict: &Verdict<Key>, title: &str, max_staleness: Duration) -> Table {
    use crate::history::Promise::{BoundedStaleness, FencedFills, NoInvention, OwnWrites};
    let mut table = Table::new(title);
    table.note("reads checked", verdict.reads);
    table.note("removals and sets, one for each key", verdict.voids);
    for (promise, name) in [
        (OwnWrites, "G1, G4 broken"),
        (FencedFills, "G2 broken"),
        (BoundedStaleness, "G3, G5 broken"),
        (NoInvention, "values from nowhere"),
    ] {
        let of = |counts: &std::collections::BTreeMap<_, u64>| {
            counts.get(&promise).copied().unwrap_or(0)
        };
        let what = format!("{name} (tried on {} reads)", of(&verdict.tried));
        table.exactly(what, of(&verdict.broken), 0);
    }
    table.note("proven reads", verdict.proven);
    table.within(
        "largest staleness of a proven read",
        verdict.largest_staleness,
        max_staleness,
    );
    for violation in &verdict.violations {
        table.remark(line_of(violation));
    }
    table
}

/// Events of the key shown around a violation.
const TRACE_LINES: usize = 60;

/// So long before the void that was not seen.
const TRACE_BEFORE: Duration = Duration::from_millis(300);

/// What happened to a key around the first violation; local reads are left out,
/// but for the one that broke the promise.
pub(super) fn trace_of(
    reads: &[Read<Key>],
    voids: &[(Void<Key>, Call)],
    violation: &Violation<Key>,
) -> Vec<String> {
    let broken = &violation.read;
    let start = violation
        .void
        .as_ref()
        .map_or(broken.began, |void| void.began);
    let start = start.saturating_sub(TRACE_BEFORE);
    let within = |began: Duration, ended: Duration| ended >= start && began <= broken.ended;
    let reads = reads.iter().filter(|read| {
        read.key == broken.key
            && within(read.began, read.ended)
            && (read.by != AnsweredBy::Local || read.began == broken.began)
    });
    let voids = voids.iter();
    let voids = voids.filter(|(void, _)| void.key == broken.key && within(void.began, void.ended));
    let mut lines: Vec<_> = reads
        .map(|read| (read.began, read.ended, told_read(read)))
        .chain(voids.map(|(void, call)| {
            (
                void.began,
                void.ended,
                format!("{call:?}: {}", told_void(void)),
            )
        }))
        .collect();
    lines.sort();
    let skipped = lines.len().saturating_sub(TRACE_LINES);
    let lines = lines.into_iter().skip(skipped);
    lines
        .map(|(began, ended, what)| {
            let at = began.saturating_sub(start);
            let took = ended.saturating_sub(began);
            format!("  +{} took {}: {what}", millis(at), millis(took))
        })
        .collect()
}

fn line_of(violation: &Violation<Key>) -> String {
    let read = &violation.read;
    let Some(void) = &violation.void else {
        return format!("{:?}: {}", violation.promise, told_read(read));
    };
    let age = millis(read.began.saturating_sub(void.ended));
    let (read, void) = (told_read(read), told_void(void));
    format!("{:?}: {read}, {age} after {void}", violation.promise)
}

fn told_read(read: &Read<Key>) -> String {
    format!(
        "worker {} reads key {}: version {:?} by {:?}{}{}",
        read.process,
        read.key,
        read.version,
        read.by,
        if read.proven { ", proven" } else { "" },
        if read.alone { ", alone" } else { "" },
    )
}

fn told_void(void: &Void<Key>) -> String {
    let who = void.process.map_or("a stranger".to_owned(), |process| {
        format!("worker {process}")
    });
    let outcome = if void.ok { "Ok" } else { "Err" };
    format!(
        "{who} voids key {}, floor {}, {outcome}",
        void.key, void.floor
    )
}
