//! Many callers of one cold key in three processes: one load. The loading process
//! is killed in the middle: one more, within the lease time.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use terrace::BoxError;

use super::Size;
use crate::{
    clock,
    field::{Field, Plan, until},
    table::Table,
    worker::wire::{Action, Answer, Key, Reading},
};

const COLD: Key = 0;
const ORPHANED: Key = 1;

/// Keys of the quick rounds.
const QUICK: Key = 100;
const QUICK_ROUNDS: Key = 40;
const QUICK_CALLERS: u32 = 100;

/// `load_timeout` of the workers and the second that a lease lasts longer.
const LEASE: Duration = Duration::from_secs(4);

/// Until a waiter looks again after the lease has ended.
const MARGIN: Duration = Duration::from_millis(500);

const GATHER: Duration = Duration::from_secs(30);

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let callers = size.pick(10_000, 1_500);
    let mut field = Field::open(Plan {
        // Scheduling ten thousand tasks is not what this is about.
        store_timeout: Duration::from_secs(2),
        ..Plan::of(program)
    })
    .await?;
    let mut table = Table::new(format!("one load for {callers} callers in three processes"));
    quick(&field, &mut table).await?;
    together(&field, callers, &mut table).await?;
    killed(&mut field, &mut table).await?;
    Ok(table)
}

/// Loads that end at once, the first of them on a Redis that has nothing at all.
async fn quick(field: &Field, table: &mut Table) -> Result<(), BoxError> {
    let keys = QUICK..QUICK + QUICK_ROUNDS;
    for key in keys.clone() {
        let count = QUICK_CALLERS;
        let calls = (0..3).map(|index| async move {
            let worker = field.worker(index)?;
            worker.must(Action::Callers { key, count }).await
        });
        for answer in join_all(calls).await {
            answer?;
        }
        if field.origin.loads(key) != 1 {
            table.remark(format!("key {key}: {} loads", field.origin.loads(key)));
            for index in 0..field.places.len() {
                let stats = field.worker(index)?.must(Action::Stats).await?;
                table.remark(format!("  worker {index}: {stats:?}"));
            }
        }
    }
    let loads: Vec<u64> = keys.map(|key| field.origin.loads(key)).collect();
    table.exactly(
        format!("loads of {QUICK_ROUNDS} keys that take no time, one after another"),
        loads.iter().sum(),
        QUICK_ROUNDS.into(),
    );
    Ok(())
}

async fn together(field: &Field, callers: u32, table: &mut Table) -> Result<(), BoxError> {
    field.origin.hold_loads(true);
    let before = joined(field).await?;
    let workers = [field.worker(0)?, field.worker(1)?, field.worker(2)?];
    let shares = [callers / 3, callers / 3, callers - 2 * (callers / 3)];
    let call = |index: usize| {
        workers[index].must(Action::Callers {
            key: COLD,
            count: shares[index],
        })
    };
    let gather = async {
        // All but the three that lead a flight wait for one of these.
        let waiting = until("everybody waits", GATHER, async || {
            let joined = joined(field).await? - before;
            Ok(joined == u64::from(callers) - 3 && field.origin.loads(COLD) > 0)
        });
        let waiting = waiting.await;
        let loads = field.origin.loads(COLD);
        field.origin.hold_loads(false);
        waiting.map(|_| loads)
    };
    let (one, two, three, loads) = tokio::join!(call(0), call(1), call(2), gather);
    let mut answered = 0;
    for answer in [one?, two?, three?] {
        if let Answer::Called {
            answered: count, ..
        } = answer
        {
            answered += u64::from(count);
        }
    }
    table.exactly("loads while everybody waits", loads?, 1);
    table.exactly("loads in all", field.origin.loads(COLD), 1);
    table.exactly("callers answered", answered, callers.into());
    Ok(())
}

/// Callers who waited for somebody else's load so far, in all processes.
async fn joined(field: &Field) -> Result<u64, BoxError> {
    let mut joined = 0;
    for index in 0..field.places.len() {
        joined += field.worker(index)?.figure("joined").await?;
    }
    Ok(joined)
}

async fn killed(field: &mut Field, table: &mut Table) -> Result<(), BoxError> {
    field.origin.hold_loads(true);
    let origin = &field.origin;
    let loads_are = |count: u64, within: Duration| {
        until("a load", within, async move || {
            Ok(origin.loads(ORPHANED) == count)
        })
    };
    let ask = Action::Read(ORPHANED, Reading::Load);
    let doomed = field.worker(0)?;
    tokio::select! {
        _ = doomed.ask(ask.clone()) => return Err("a held load that answers".into()),
        arrived = loads_are(1, GATHER) => arrived?,
    };
    let process = field.places[0].process.take().ok_or("worker 0 is down")?;
    let (one, two) = (field.worker(1)?, field.worker(2)?);
    let second = async {
        let killed = clock::now();
        process.kill().await;
        let took = loads_are(2, LEASE * 3).await;
        field.origin.hold_loads(false);
        took.map(|_| clock::now().saturating_sub(killed))
    };
    let (one, two, took) = tokio::join!(one.must(ask.clone()), two.must(ask), second);
    table.within(
        "the next load after the loading process was killed (lease)",
        took?,
        LEASE + MARGIN,
    );
    for answer in [one?, two?] {
        let version = match answer {
            Answer::Read(read) => read.version.unwrap_or(0),
            _ => 0,
        };
        table.exactly("who waited reads", version, field.origin.version(ORPHANED));
    }
    table.exactly(
        "loads in all, the killed one included",
        field.origin.loads(ORPHANED),
        2,
    );
    Ok(())
}
