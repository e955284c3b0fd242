//! What must be shown, one scenario for each promise of the issue. Each runs at
//! two sizes: in full for `scripts/prove`, brief for the tests.

mod changes;
mod cut_off;
mod groups;
mod late_write;
mod one_load;
mod outage;
mod scale;

use std::path::Path;

use clap::ValueEnum;
use terrace::BoxError;

use crate::{
    field::{Field, Process},
    table::Table,
    worker::wire::{Action, Answer, Key, Reading},
};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A set that is held in the network while others write is never seen.
    LateWrite,
    /// A half-open link, a stopped process: nothing proven is older than Δ.
    CutOff,
    /// The same where only pushes vanish.
    LostPushes,
    /// A change by redis-cli is void everywhere.
    Changes,
    /// 10,000 callers of one cold key, one load; and one more if its process dies.
    OneLoad,
    /// Removals during an outage hold afterwards.
    Outage,
    /// Groups removed while members are being loaded elsewhere.
    Groups,
    /// Groups of a million keys, beside foreign ones.
    Scale,
}

impl Scenario {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::LateWrite,
        Self::CutOff,
        Self::LostPushes,
        Self::Changes,
        Self::OneLoad,
        Self::Outage,
        Self::Groups,
        Self::Scale,
    ];

    /// Runs it.
    ///
    /// # Errors
    ///
    /// If processes or Redis do not do what they are told. What terrace does not
    /// keep is a row that falls short.
    pub async fn run(self, program: &Path, size: Size) -> Result<Table, BoxError> {
        match self {
            Self::LateWrite => late_write::run(program, size).await,
            Self::CutOff => cut_off::run(program, size, cut_off::Kind::Silence).await,
            Self::LostPushes => cut_off::run(program, size, cut_off::Kind::Pushes).await,
            Self::Changes => changes::run(program, size).await,
            Self::OneLoad => one_load::run(program, size).await,
            Self::Outage => outage::run(program, size).await,
            Self::Groups => groups::run(program, size).await,
            Self::Scale => scale::run(program, size).await,
        }
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As the issue demands.
    Full,
    /// As a fast test can.
    Brief,
}

impl Size {
    fn pick<T>(self, full: T, brief: T) -> T {
        match self {
            Self::Full => full,
            Self::Brief => brief,
        }
    }
}

/// What a worker reads now.
async fn version_read(
    worker: &Process,
    key: Key,
    reading: Reading,
) -> Result<Option<u64>, BoxError> {
    match worker.must(Action::Read(key, reading)).await? {
        Answer::Read(read) => Ok(read.version),
        other => Err(format!("a read: {other:?}").into()),
    }
}

/// Every worker has every one of these keys in its local tier.
async fn warm(field: &Field, keys: impl Iterator<Item = Key> + Clone) -> Result<(), BoxError> {
    for index in 0..field.places.len() {
        for key in keys.clone() {
            field
                .worker(index)?
                .must(Action::Read(key, Reading::Load))
                .await?;
        }
    }
    Ok(())
}
