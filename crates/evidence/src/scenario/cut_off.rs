//! One process hears nothing any more, another is stopped and goes on later, and a
//! third keeps removing what they hold. Nothing proven is older than Δ.

use std::{path::Path, time::Duration};

use terrace::BoxError;

use super::Size;
use crate::{
    clock,
    field::{Field, Plan},
    proxy::Flow,
    table::Table,
    worker::wire::{Key, Workload},
};

const KEYS: Key = 8;
const CUT_OFF: usize = 1;
const STOPPED: usize = 2;

/// Between two removals.
const BEAT: Duration = Duration::from_millis(60);

/// A read of the process that is cut off may take this long: the store's deadline
/// a few times over, on a machine that does other things too.
const SLOWEST: Duration = Duration::from_millis(750);

/// How a process is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing arrives in either direction, TCP stays up.
    Silence,
    /// Everything arrives but pushes.
    Pushes,
}

pub(super) async fn run(program: &Path, size: Size, kind: Kind) -> Result<Table, BoxError> {
    let span = size.pick(Duration::from_secs(10), Duration::from_secs(3));
    let plan = Plan {
        max_staleness: size.pick(Duration::from_secs(1), Duration::from_millis(400)),
        ..Plan::of(program)
    };
    let mut field = Field::open(plan).await?;
    field.load(readers()).await?;
    remove_for(&field, Duration::from_millis(500)).await?;
    let began = clock::now();
    match kind {
        Kind::Silence => {
            field.proxy(CUT_OFF).to_server(Flow::Swallow);
            field.proxy(CUT_OFF).to_client(Flow::Swallow);
            field.worker(STOPPED)?.freeze();
        }
        Kind::Pushes => field.proxy(CUT_OFF).to_client(Flow::DropPushes),
    }
    remove_for(&field, span).await?;
    let ended = clock::now();
    if kind == Kind::Silence {
        field.worker(STOPPED)?.thaw();
    }
    field.proxy(CUT_OFF).heal();
    remove_for(&field, Duration::from_secs(2)).await?;
    field.rest().await?;
    let what = match kind {
        Kind::Silence => "half-open link and SIGSTOP",
        Kind::Pushes => "lost pushes",
    };
    let number = field.worker(CUT_OFF)?.number();
    let during = move |read: &crate::history::Read<Key>| {
        read.process == number && read.began > began && read.ended < ended
    };
    let (count, slowest) = (field.log.count(during), field.log.slowest(during));
    let mut table = field
        .log
        .check(&field.origin.moves(), &format!("{what} for {span:?}"));
    table.at_least("reads answered while cut off", count, span.as_secs() * 20);
    table.within("the slowest of them", slowest, SLOWEST);
    Ok(table)
}

/// Worker 0 goes on removing.
async fn remove_for(field: &Field, span: Duration) -> Result<(), BoxError> {
    let (until, mut key) = (clock::now() + span, 0);
    while clock::now() < until {
        field.move_on_and_remove(0, key).await?;
        key = (key + 1) % KEYS;
        tokio::time::sleep(BEAT).await;
    }
    Ok(())
}

fn readers() -> Workload {
    Workload {
        seed: 2,
        keys: KEYS,
        tasks: 3,
        pause_micros: 2_000,
        changes: 0,
        groups: 0,
        required: 30,
    }
}
