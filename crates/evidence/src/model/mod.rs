//! The protocol as a model, searched exhaustively by stateright.
//!
//! One key, one tag, two processes (three in a few scenarios), a Redis with client
//! tracking, and a few calls that may begin at any time. Redis executes a command,
//! the reader takes its reply, the task goes on: three separate steps, so that
//! whatever can come between them does. In each state the promises are checked.
//!
//! ```no_run
//! use evidence::model::{Effort, mutants, prove};
//!
//! let report = prove(Effort::Fast);
//! println!("{report}");
//! assert!(report.passed());
//! assert!(mutants().passed());
//! ```
//!
//! # What stands for what
//!
//! - Tickets and generations: a ticket is alive or dead, no number.
//! - A heartbeat: an empty inbox. What Redis sent has been read; that is what an
//!   answered heartbeat proves.
//! - The lease's time: it runs out last, when nothing else can happen, so that every
//!   ghost is tried; or at any time, as a fault.
//! - RELEASE is that of ADR 0006: it ends the generation and wakes, and leaves L1 as
//!   it is; a lease whose answer was lost is given back by a task of its own, however
//!   late.
//!
//! # What is not promised
//!
//! G5 for a load without a lease. A process whose store did not answer in time loads
//! by itself; nobody tells it of a removal, for it is registered for nothing that
//! exists, and who joins that load is given what it brings, marked unproven. The
//! mutant `BareLoadsSettle` claims the promise and is caught.

mod catalogue;
mod fault;
mod fifo;
mod gate;
mod mixes;
mod mutant;
mod promise;
mod prove;
mod reads;
mod redis;
mod report;
mod scenario;
mod search;
mod state;
mod writes;

use std::io;

pub use catalogue::NOT_MODELLED;
pub use mutant::Mutant;
pub use prove::{Effort, mutants, prove};
pub use report::{Ending, Fate, MutantReport, MutantRow, Report, Row};

/// Searches, tries the mutants, writes both tables. True if all is as it should be.
///
/// # Errors
///
/// If the tables cannot be written.
pub fn run(effort: Effort, out: &mut impl io::Write) -> io::Result<bool> {
    let report = prove(effort);
    writeln!(out, "{report}")?;
    let mutants = mutants();
    writeln!(out, "{mutants}")?;
    writeln!(out, "Not modelled, and what should catch it:")?;
    for (rule, test) in NOT_MODELLED {
        writeln!(out, "  {rule}: {test}")?;
    }
    Ok(report.passed() && mutants.passed())
}
