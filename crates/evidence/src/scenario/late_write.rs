//! The bytes of a set wait in the network while another process sets twice, or
//! removes. When they arrive they are worth nothing.

use std::{path::Path, time::Duration};

use terrace::BoxError;

use super::{Size, version_read};
use crate::{
    field::{Field, Plan, until},
    proxy::Flow,
    table::Table,
    worker::wire::{Action, Answer, Change, Key, Reading, Workload},
};

const KEY: Key = 0;
const FIRST: u64 = 10;
/// The version that nobody may ever see.
const HELD: u64 = 1_000;
const LATER: [u64; 2] = [11, 12];

/// Reads go on for so long after the bytes have arrived.
const AFTERWARDS: Duration = Duration::from_secs(1);

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let hold = size.pick(Duration::from_secs(3), Duration::from_millis(700));
    let mut table = Table::new(format!(
        "late write: a set held in the network for {hold:?}"
    ));
    for removes in [false, true] {
        let mut field = Field::open(Plan::of(program)).await?;
        let what = match removes {
            false => "others set twice",
            true => "others set and remove",
        };
        case(&mut field, hold, removes, what, &mut table).await?;
    }
    Ok(table)
}

async fn case(
    field: &mut Field,
    hold: Duration,
    removes: bool,
    what: &str,
    table: &mut Table,
) -> Result<(), BoxError> {
    field
        .worker(0)?
        .must(Action::Set(KEY, Change::To(FIRST)))
        .await?;
    field.load(readers()).await?;
    field.proxy(0).to_server(Flow::Hold);
    let outcome = field
        .worker(0)?
        .ask(Action::Set(KEY, Change::To(HELD)))
        .await?;
    let told = u64::from(matches!(outcome, Answer::Failed { .. }));
    table.exactly(format!("{what}: the held set is reported"), told, 1);
    for version in LATER {
        field
            .worker(1)?
            .must(Action::Set(KEY, Change::To(version)))
            .await?;
    }
    if removes {
        field.worker(1)?.must(Action::Remove(KEY)).await?;
    }
    // Nothing is awaited: this is how long the network keeps them.
    tokio::time::sleep(hold).await;
    field.proxy(0).to_server(Flow::Pass);
    let writer = field.worker(0)?;
    let limit = Duration::from_secs(10);
    let settled = until("settled", limit, async || {
        Ok(writer.figure("pending").await? == 0)
    });
    let settled = settled.await.unwrap_or(Duration::MAX);
    table.within(format!("{what}: settled after"), settled, limit);
    tokio::time::sleep(AFTERWARDS).await;
    field.rest().await?;
    table.exactly(format!("{what}: reads that saw it"), field.log.saw(HELD), 0);
    table.at_least(format!("{what}: reads"), field.log.count(|_| true), 1_000);
    for index in 0..field.places.len() {
        let seen = version_read(field.worker(index)?, KEY, Reading::Load).await?;
        let expected = match removes {
            false => [Some(LATER[1]), Some(field.origin.version(KEY))],
            true => [Some(field.origin.version(KEY)); 2],
        };
        // The recovery of the held set may have evicted the newer value: a miss.
        table.demand(
            format!("{what}: at last worker {index} reads"),
            format!("{seen:?}"),
            format!("{expected:?}"),
            expected.contains(&seen),
        );
    }
    Ok(())
}

fn readers() -> Workload {
    Workload {
        seed: 1,
        keys: 1,
        tasks: 2,
        pause_micros: 2_000,
        changes: 0,
        groups: 0,
        required: 0,
    }
}
