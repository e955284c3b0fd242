//! What all workers of a field saw, for the checker.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::verdict::{rows_of, trace_of};
use crate::{
    history::{History, Read, Void},
    table::Table,
    worker::wire::{Call, Event, Key, ReadEvent, VoidEvent},
};

/// Of what went wrong by itself, so much is kept to be shown.
const KEPT: usize = 20;

/// Shared by all that listen to workers.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    max_staleness: Duration,
    reads: Vec<Read<Key>>,
    voids: Vec<(Void<Key>, Call)>,
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
            reads: Vec::new(),
            voids: Vec::new(),
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
                Event::Read(read) => book.reads.push(of_read(process, &read)),
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
        book.reads.iter().filter(|read| is_such(read)).count() as u64
    }

    /// The longest read that is such, of those not checked yet.
    pub(crate) fn slowest(&self, is_such: impl Fn(&Read<Key>) -> bool) -> Duration {
        let book = self.book();
        let such = book.reads.iter().filter(|read| is_such(read));
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
        let mut reads = std::mem::take(&mut book.reads);
        // Then the first violation that is kept is the first that happened.
        reads.sort_by_key(|read| read.began);
        let voids = std::mem::take(&mut book.voids);
        let mut history = History::new(max_staleness);
        for (void, _) in &voids {
            history.void(void.clone());
        }
        for (key, version, began) in moves {
            history.reached(*key, *version, *began);
        }
        for read in reads {
            history.read(read);
        }
        let verdict = history.check();
        book.checked += verdict.reads;
        let first = verdict.violations.first();
        book.first_violation = book.first_violation.or(first.map(|one| one.read.began));
        let mut table = rows_of(&verdict, title, max_staleness);
        if let Some(first) = first {
            table.remark("around the first violation:");
            for line in trace_of(history.reads(), &voids, first) {
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
            let one = Void {
                process,
                key: *key,
                floor: *floor,
                deletes: void.call.deletes(),
                ok: void.ok,
                began: void.began,
                ended: void.ended,
            };
            self.voids.push((one, void.call));
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
