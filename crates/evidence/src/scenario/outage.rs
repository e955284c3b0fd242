//! Nobody reaches Redis for a while, and values are removed meanwhile. Redis keeps
//! the old ones; nobody else does, once the outage is over.

use std::{path::Path, time::Duration};

use terrace::BoxError;

use super::{Size, version_read, warm};
use crate::{
    clock,
    field::{Field, Plan, until},
    proxy::{Door, Ending},
    table::Table,
    worker::wire::{Call, Key, Reading, VoidEvent, Workload},
};

const KEYS: Key = 24;
const REMOVER: usize = 0;

/// From the end of the outage until everything removed meanwhile is removed in
/// Redis: the probe that finds out runs every second or so.
const RECOVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let span = size.pick(Duration::from_secs(30), Duration::from_secs(2));
    let mut field = Field::open(Plan::of(program)).await?;
    let mut table = Table::new(format!("an outage of {span:?} with removals during it"));
    warm(&field, 0..KEYS).await?;
    field.load(readers()).await?;
    for place in &field.places {
        place.proxy.door(Door::Refuse);
        place.proxy.cut(Ending::Reset);
    }
    let removed = remove_over(&field, span, &mut table).await?;
    for place in &field.places {
        place.proxy.heal();
    }
    let healed = clock::now();
    let remover = field.worker(REMOVER)?;
    let settled = until("settled", RECOVERY, async || {
        Ok(remover.figure("pending").await? == 0)
    });
    table.within(
        "removed in Redis after",
        settled.await.unwrap_or(Duration::MAX),
        RECOVERY,
    );
    // From here on it is as if they had returned Ok now.
    let settled = VoidEvent {
        floors: removed.clone(),
        ok: true,
        began: healed,
        ended: clock::now(),
        call: Call::Recovery,
    };
    field.log.void(None, &settled);
    tokio::time::sleep(field.max_staleness()).await;
    let mut behind = 0;
    for (key, floor) in &removed {
        for index in 0..field.places.len() {
            let seen = version_read(field.worker(index)?, *key, Reading::Load).await?;
            behind += u64::from(seen < Some(*floor));
        }
    }
    table.exactly("removed values served after Δ, proven or not", behind, 0);
    // Without a pause: reads from here on must see it too.
    tokio::time::sleep(Duration::from_millis(500)).await;
    field.rest().await?;
    table.extend(field.log.check(&field.origin.moves(), ""));
    Ok(table)
}

/// Removes half of the keys, one after another, all through the outage. Answers
/// the floors.
async fn remove_over(
    field: &Field,
    span: Duration,
    table: &mut Table,
) -> Result<Vec<(Key, u64)>, BoxError> {
    let (mut removed, mut reported) = (Vec::new(), 0);
    let until = clock::now() + span;
    let beat = span / (KEYS / 2 + 1);
    for key in (0..KEYS).step_by(2) {
        let (floor, ok) = field.move_on_and_remove(REMOVER, key).await?;
        reported += u64::from(!ok);
        removed.push((key, floor));
        tokio::time::sleep(beat).await;
    }
    tokio::time::sleep(until.saturating_sub(clock::now())).await;
    table.exactly(
        "removals that reported the outage",
        reported,
        removed.len() as u64,
    );
    Ok(removed)
}

fn readers() -> Workload {
    Workload {
        seed: 3,
        keys: KEYS,
        tasks: 3,
        pause_micros: 3_000,
        changes: 0,
        groups: 0,
        required: 20,
    }
}
