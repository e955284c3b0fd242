//! Nobody reaches Redis for a while, and values are removed meanwhile. Redis keeps
//! the old ones; nobody else does, once the outage is over.

use std::{collections::HashMap, path::Path, time::Duration};

use futures_util::future::join_all;
use terrace::BoxError;

use super::{Size, version_read};
use crate::{
    clock,
    field::{Field, Plan, until},
    history::Read,
    proxy::{Door, Ending},
    table::{Table, millis},
    worker::wire::{Call, Key, Reading, VoidEvent, Workload},
};

const REMOVER: usize = 0;

/// Removals that are under way at once; the spans between are spent on reading.
const BURST: usize = 100;

/// From the return of the network until everything removed meanwhile is removed in
/// Redis: a new connection is tried for once a second or so.
const RECOVERY: Duration = Duration::from_secs(2);
const GIVE_UP: Duration = Duration::from_secs(10);

/// Reads go on for so long after Δ.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// The removals must fit the outage.
const OVERTIME: Duration = Duration::from_secs(1);

type Floors = HashMap<Key, u64>;

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let span = size.pick(Duration::from_secs(30), Duration::from_secs(2));
    let keys: Key = size.pick(3_000, 600);
    let mut field = Field::open(Plan::of(program)).await?;
    let title = format!("an outage of {span:?} with {keys} removals during it");
    let mut table = Table::new(title);
    let all: Vec<Key> = (0..keys).collect();
    for index in 0..field.places.len() {
        read_all(&field, index, &all).await?;
    }
    field.load(readers(keys)).await?;
    for place in &field.places {
        place.proxy.door(Door::Refuse);
        place.proxy.cut(Ending::Reset);
    }
    let removed = remove_over(&field, span, &all, &mut table).await?;
    for place in &field.places {
        place.proxy.heal();
    }
    let healed = clock::now();
    let (settled, back) = recover(&field, healed, &mut table).await?;
    // It is as if they had returned Ok then.
    let settled = VoidEvent {
        floors: removed.iter().map(|(key, floor)| (*key, *floor)).collect(),
        ok: true,
        began: healed,
        ended: settled,
        call: Call::Recovery,
    };
    let due = back + field.max_staleness();
    tokio::time::sleep(due.saturating_sub(clock::now())).await;
    for index in 0..field.places.len() {
        read_all(&field, index, &all).await?;
    }
    tokio::time::sleep(AFTERWARDS).await;
    field.rest().await?;
    let since = |from: Duration| {
        let is_old = |read: &Read<Key>| {
            let floor = removed.get(&read.key);
            read.version.is_some_and(|version| floor > Some(&version))
        };
        field.log.count(|read| read.began > from && is_old(read))
    };
    table.note("removed values served between", since(healed));
    table.exactly(
        "removed values served later than Δ after the links were back",
        since(due),
        0,
    );
    let reads = field.log.count(|read| read.began > due);
    table.at_least("reads later than that", reads, 3 * u64::from(keys));
    field.log.void(None, &settled);
    table.extend(field.log.check(&field.origin.moves(), ""));
    Ok(table)
}

/// When nothing was pending any more, and when every process had its link again: who
/// has none serves what it has, as not proven.
async fn recover(
    field: &Field,
    healed: Duration,
    table: &mut Table,
) -> Result<(Duration, Duration), BoxError> {
    let remover = field.worker(REMOVER)?;
    let pending = remover.figure("pending").await?;
    table.note("pending when the network was back", pending);
    let mut workers = Vec::new();
    for index in 0..field.places.len() {
        workers.push(field.worker(index)?);
    }
    let links = workers.into_iter().map(async |worker| {
        let is_back = async || Ok(worker.figure("healthy").await? == 1);
        until("the link is back", GIVE_UP, is_back).await?;
        Ok::<_, BoxError>(clock::now())
    });
    let settling = async {
        let is_settled = async || Ok(remover.figure("pending").await? == 0);
        until("settled", GIVE_UP, is_settled).await?;
        Ok::<_, BoxError>(clock::now())
    };
    let (links, settled) = tokio::join!(join_all(links), settling);
    let links = links.into_iter().collect::<Result<Vec<_>, _>>()?;
    let back = links.iter().copied().max().unwrap_or(healed);
    let since = |at: Duration| at.saturating_sub(healed);
    let told: Vec<String> = links.iter().map(|at| millis(since(*at))).collect();
    table.note("until each process had its link again", told.join(", "));
    let took = settled.as_ref().map_or(Duration::MAX, |at| since(*at));
    table.within("until nothing was pending", took, RECOVERY);
    Ok((settled?, back))
}

/// Removes all keys, in bursts all through the outage. Answers the floors.
async fn remove_over(
    field: &Field,
    span: Duration,
    keys: &[Key],
    table: &mut Table,
) -> Result<Floors, BoxError> {
    let (mut removed, mut reported) = (Floors::new(), 0);
    let began = clock::now();
    let bursts = u32::try_from(keys.len().div_ceil(BURST))?;
    for (burst, keys) in (1..).zip(keys.chunks(BURST)) {
        let removals = keys
            .iter()
            .map(|key| field.move_on_and_remove(REMOVER, *key));
        for (key, outcome) in keys.iter().zip(join_all(removals).await) {
            let (floor, ok) = outcome?;
            reported += u64::from(!ok);
            removed.insert(*key, floor);
        }
        let next = began + span * burst / bursts;
        tokio::time::sleep(next.saturating_sub(clock::now())).await;
    }
    table.exactly(
        "removals that reported the outage",
        reported,
        keys.len() as u64,
    );
    let took = clock::now().saturating_sub(began);
    table.within("the outage took", took, span + OVERTIME);
    Ok(removed)
}

/// A worker reads all of these.
async fn read_all(field: &Field, index: usize, keys: &[Key]) -> Result<(), BoxError> {
    let worker = field.worker(index)?;
    for keys in keys.chunks(BURST) {
        let reads = keys
            .iter()
            .map(|key| version_read(worker, *key, Reading::Load));
        for seen in join_all(reads).await {
            seen?;
        }
    }
    Ok(())
}

fn readers(keys: Key) -> Workload {
    Workload {
        seed: 3,
        keys,
        tasks: 3,
        pause_micros: 3_000,
        changes: 0,
        groups: 0,
        required: 20,
    }
}
