//! P8: what a crowd at `/ws` costs, in time and in memory.
//!
//! The service is a program of its own, before a simulator in here; so are its clients. An update
//! is as old as it is when a client has its frame, by the timestamp in it and the one clock of this
//! machine: publishing, encoding, sending and the client's own turn are all in it. One client alone
//! is the baseline. Memory is what the program's VmRSS grew by; the kernel's own is printed beside it.

mod crowd;
mod program;
mod report;

use std::time::{Duration, Instant};

use market_sim::{SimOptions, Simulator};
use tokio::runtime::Runtime;

use crowd::{Crowd, Stuck, quick};
use program::Program;
use report::Figure;

/// A second is the shortest interval that can be set.
const BUSY: &str = "1";
const UPDATES: usize = 40;
const IDLE: usize = 2_000;
const STUCK: usize = 50;
const MORE: usize = 5_000;

fn main() {
    Runtime::new().expect("a runtime").block_on(async {
        let simulator = Simulator::start(SimOptions::default()).await;
        let simulator = simulator.expect("the simulator starts");
        let mut figures = crowded(&simulator).await;
        figures.push(stuck_at_the_default_pace(&simulator).await);
        report::print(&figures);
    });
}

/// One client alone, then two thousand around it, then five thousand.
async fn crowded(simulator: &Simulator) -> Vec<Figure> {
    let program = Program::start(simulator, Some(BUSY)).await;
    let alone = quick(program.address, UPDATES).await;
    let empty = program.memory();

    let mut crowd = Crowd::default();
    crowd.grow(program.address, IDLE).await;
    let idle = program.memory();
    let stuck = Stuck::join(program.address, STUCK).await;
    let (beside, all) = crowd.around(quick(program.address, UPDATES)).await;
    program.seats_are(IDLE).await;
    drop(stuck);

    crowd.grow(program.address, MORE - IDLE).await;
    let more = program.memory();
    let (among, all_more) = crowd.around(quick(program.address, UPDATES)).await;
    assert_eq!(crowd.len(), MORE, "nobody who reads was closed");
    drop(crowd);
    program.seats_are(0).await;

    let mut others = Crowd::default();
    others.grow(program.address, MORE).await;
    let again = program.memory();

    vec![
        Figure::delay("quick, 2,000 idle, 50 stuck", &beside, &alone),
        Figure::delay("each of the 2,000", &all, &alone),
        Figure::delay("quick, 5,000 idle", &among, &alone),
        Figure::delay("each of the 5,000", &all_more, &alone),
        Figure::memory("a client of 2,000", empty, idle, IDLE),
        Figure::memory("a client of 5,000", empty, more, MORE),
        Figure::memory("a client of 5,000 others after them", empty, again, MORE),
    ]
}

/// As the service comes: a round each ten seconds.
async fn stuck_at_the_default_pace(simulator: &Simulator) -> Figure {
    let program = Program::start(simulator, None).await;
    let stuck = Stuck::join(program.address, STUCK).await;
    // The update that they do not take.
    quick(program.address, 1).await;
    let published = Instant::now();
    program.seats_are(0).await;
    let took = published.elapsed();
    drop(stuck);
    Figure::closed(STUCK, took)
}

/// What anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);
