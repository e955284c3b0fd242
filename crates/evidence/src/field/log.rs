//! What all workers of a field saw, for the checker.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    history::{AnsweredBy, History, Read, Verdict, Violation, Void},
    table::{Table, millis},
    worker::wire::{Event, Key, ReadEvent, VoidEvent},
};

/// Of what went wrong by itself, so much is kept to be shown.
const KEPT: usize = 20;

/// Shared by all that listen to workers.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    max_staleness: Duration,
    history: History<Key>,
    invalid: Vec<String>,
    invalid_count: u64,
    failed: Vec<String>,
    failed_count: u64,
    complaints: Vec<String>,
    checked: u64,
    first_violation: Option<Duration>,
}

impl Log {
    pub(crate) fn new(max_staleness: Duration) -> Self {
        Self(Arc::new(Mutex::new(Book {
            max_staleness,
            history: History::new(max_staleness),
            invalid: Vec::new(),
            invalid_count: 0,
            failed: Vec::new(),
            failed_count: 0,
            complaints: Vec::new(),
            checked: 0,
            first_violation: None,
        })))
    }

    pub(super) fn take(&self, process: u32, events: Vec<Event>) {
        let mut book = self.book();
        for event in events {
            match event {
                Event::Read(read) => book.history.read(of_read(process, &read)),
                Event::Void(void) => book.void(Some(process), &void),
                Event::Invalid(what) => {
                    book.invalid_count += 1;
                    keep(&mut book.invalid, what);
                }
                Event::ReadFailed(why) => {
                    book.failed_count += 1;
                    keep(&mut book.failed, why);
                }
            }
        }
    }

    pub(super) fn complaint(&self, process: u32, line: &str) {
        self.book()
            .complaints
            .push(format!("worker {process}: {line}"));
    }

    /// A removal that the field itself made or asked for.
    pub(crate) fn void(&self, process: Option<u32>, void: &VoidEvent) {
        self.book().void(process, void);
    }

    /// How many reads yielded this version, of those not checked yet.
    pub(crate) fn saw(&self, version: u64) -> u64 {
        self.count(|read| read.version == Some(version))
    }

    /// How many reads are such, of those not checked yet.
    pub(crate) fn count(&self, is_such: impl Fn(&Read<Key>) -> bool) -> u64 {
        let book = self.book();
        book.history
            .reads()
            .iter()
            .filter(|read| is_such(read))
            .count() as u64
    }

    /// The longest read that is such, of those not checked yet.
    pub(crate) fn slowest(&self, is_such: impl Fn(&Read<Key>) -> bool) -> Duration {
        let book = self.book();
        let such = book.history.reads().iter().filter(|read| is_such(read));
        let spans = such.map(|read| read.ended.saturating_sub(read.began));
        spans.max().unwrap_or_default()
    }

    /// Reads that went through the checker so far.
    pub(crate) fn reads_checked(&self) -> u64 {
        self.book().checked
    }

    /// When the first read began that broke a promise, as far as it was checked.
    pub(crate) fn first_violation(&self) -> Option<Duration> {
        self.book().first_violation
    }

    /// Lines of standard error that tell of a panic.
    pub(crate) fn panics(&self) -> Vec<String> {
        let book = self.book();
        let panics = book
            .complaints
            .iter()
            .filter(|line| line.contains("panicked"));
        panics.cloned().collect()
    }

    /// What the checker says of all that was recorded, as rows.
    pub(crate) fn check(&self, moves: &[(Key, u64, Duration)], title: &str) -> Table {
        let mut book = self.book();
        let max_staleness = book.max_staleness;
        let mut history = std::mem::replace(&mut book.history, History::new(max_staleness));
        for (key, version, began) in moves {
            history.reached(*key, *version, *began);
        }
        let verdict = history.check();
        book.checked += verdict.reads;
        let violations = verdict.violations.iter().map(|one| one.read.began);
        book.first_violation = book.first_violation.or(violations.min());
        let mut table = rows_of(&verdict, title, max_staleness);
        if let Some(first) = verdict.violations.first() {
            table.remark("around the first violation:");
            for line in trace_of(&history, first) {
                table.remark(line);
            }
        }
        table.exactly("values that nobody wrote", book.invalid_count, 0);
        table.exactly("reads that failed", book.failed_count, 0);
        for line in book.invalid.iter().chain(&book.failed) {
            table.remark(line);
        }
        table
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn void(&mut self, process: Option<u32>, void: &VoidEvent) {
        for (key, floor) in &void.floors {
            self.history.void(Void {
                process,
                key: *key,
                floor: *floor,
                call: void.call.label(),
                ok: void.ok,
                began: void.began,
                ended: void.ended,
            });
        }
    }
}

fn keep(lines: &mut Vec<String>, line: String) {
    if lines.len() < KEPT {
        lines.push(line);
    }
}

fn of_read(process: u32, read: &ReadEvent) -> Read<Key> {
    Read {
        process,
        key: read.key,
        version: read.version,
        by: read.by.into(),
        proven: read.proven,
        alone: read.alone,
        began: read.began,
        ended: read.ended,
    }
}

fn rows_of(verdict: &Verdict<Key>, title: &str, max_staleness: Duration) -> Table {
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
fn trace_of(history: &History<Key>, violation: &Violation<Key>) -> Vec<String> {
    let broken = &violation.read;
    let start = violation
        .void
        .as_ref()
        .map_or(broken.began, |void| void.began);
    let start = start.saturating_sub(TRACE_BEFORE);
    let within = |began: Duration, ended: Duration| ended >= start && began <= broken.ended;
    let reads = history.reads().iter().filter(|read| {
        read.key == broken.key
            && within(read.began, read.ended)
            && (read.by != AnsweredBy::Local || read.began == broken.began)
    });
    let voids = history.voids().iter();
    let voids = voids.filter(|void| void.key == broken.key && within(void.began, void.ended));
    let mut lines: Vec<_> = reads
        .map(|read| (read.began, read.ended, told_read(read)))
        .chain(voids.map(|void| (void.began, void.ended, told_void(void))))
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
        "{who}: {} of key {}, floor {}, {outcome}",
        void.call, void.key, void.floor
    )
}
