//! Runs a scenario under every schedule, up to a number of preemptions.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use loom::thread::{JoinHandle, spawn};

/// Threads are taken off the processor against their will at most so often in a
/// schedule: nearly all known races need one or two.
const PREEMPTIONS: usize = 3;
/// Steps of one schedule; loom's own bound is for smaller things.
const MAX_BRANCHES: usize = 20_000;

/// Builds what it needs, starts threads, joins them, and tells of broken promises.
pub(crate) type Scenario = fn(&Witness);

pub(crate) type Named = (&'static str, Scenario);

/// To whom a scenario tells what it has seen. Nothing panics inside a schedule: a
/// thread that unwinds would meet locks that loom has taken apart already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<Option<String>>>);

impl Witness {
    pub(crate) fn demand(&self, kept: bool, promise: &str) {
        if !kept {
            let mut first = self.0.lock().expect("nobody panics here");
            first.get_or_insert_with(|| promise.to_owned());
        }
    }
}

/// What several threads of a schedule share.
pub(crate) trait Shared: Clone + 'static {
    /// Does something on a thread of its own.
    fn apart(&self, act: impl FnOnce(Self) + 'static) -> JoinHandle<()> {
        let own = self.clone();
        spawn(move || act(own))
    }
}

impl<T: Clone + 'static> Shared for T {}

pub(crate) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("nobody panics");
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Explored {
    pub(crate) schedules: usize,
    /// The first promise that was broken.
    pub(crate) broken: Option<String>,
}

pub(crate) fn explore(scenario: Scenario) -> Explored {
    // On a thread of its own: a schedule that ends in a deadlock is given up by panicking.
    let exploring = std::thread::spawn(move || {
        let (witness, schedules) = (Witness::default(), Arc::new(AtomicUsize::new(0)));
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(PREEMPTIONS);
        builder.max_branches = MAX_BRANCHES;
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let (witness, schedules) = (witness.clone(), Arc::clone(&schedules));
            builder.check(move || {
                schedules.fetch_add(1, Relaxed);
                scenario(&witness);
            });
        }));
        let told = witness.0.lock().expect("nobody panics here").take();
        Explored {
            schedules: schedules.load(Relaxed),
            broken: told.or(ended.err().map(|panic| message(&*panic))),
        }
    });
    exploring.join().expect("panics are caught")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic".to_owned())
}
