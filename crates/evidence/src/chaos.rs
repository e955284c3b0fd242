//! Everything goes wrong for a while, at random; then all is well again, and what
//! must be true afterwards is looked at.

use std::{path::Path, time::Duration};

use terrace::BoxError;

use crate::{
    clock,
    field::{Field, Footprint, Plan, until},
    history_run::{LOADS_TAKE, add_faults},
    nemesis::{Menu, Nemesis},
    table::Table,
    worker::wire::{Action, Answer, Key, Reading, Workload},
};

/// The worker that is never killed: its memory and descriptors tell of leaks.
const SPARED: usize = 2;

/// Until everything that was pending has been settled after the last fault.
const RECOVERY: Duration = Duration::from_secs(15);

/// On top of Δ, for a machine that does other things too.
const MARGIN: Duration = Duration::from_millis(500);

/// Memory is watched after this, in runs that are long enough.
const WARM_UP: Duration = Duration::from_secs(300);
const LONG_ENOUGH: Duration = Duration::from_secs(720);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Descriptors may come back to so many more than before.
const SPARE_DESCRIPTORS: u64 = 5;

/// A sample of the spared worker.
type Sample = (Duration, Footprint);

/// Runs for so long.
///
/// # Errors
///
/// If processes or Redis do not do what they are told.
pub async fn run(program: &Path, span: Duration, seed: u64) -> Result<Table, BoxError> {
    let mut field = Field::open(Plan::of(program)).await?;
    let calls = Workload {
        pause_micros: 6_000,
        ..crate::history_run::calls(seed)
    };
    let keys = calls.keys;
    field.origin.pace(LOADS_TAKE);
    field.load(calls).await?;
    // Connections and buffers of the first moments are part of the baseline.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let began = clock::now();
    let baseline = footprint(&field)?;
    let mut samples: Vec<Sample> = vec![(Duration::ZERO, baseline)];
    let mut nemesis = Nemesis::new(seed, Menu::All, Some(SPARED));
    let since = |began: Duration| clock::now().saturating_sub(began);
    while since(began) < span {
        nemesis.strike(&mut field).await?;
        if samples
            .last()
            .is_none_or(|(at, _)| since(began) > *at + LOOK_EVERY)
        {
            samples.push((since(began), footprint(&field)?));
        }
    }
    field.rest().await?;
    let title = format!("chaos: three processes for {span:?}, seed {seed}");
    let mut table = Table::new(title);
    settle(&field, &mut table).await?;
    converge(&field, keys, &mut table).await?;
    leftovers(&field, &mut table).await?;
    memory(&samples, footprint(&field)?, &mut table);
    table.extend(field.log.check(&field.origin.moves(), ""));
    table.at_least(
        "reads checked",
        field.log.reads_checked(),
        span.as_secs() * 100,
    );
    add_faults(&mut table, &nemesis, field.log.first_violation());
    Ok(table)
}

fn footprint(field: &Field) -> Result<Footprint, BoxError> {
    let footprint = field.worker(SPARED)?.footprint();
    footprint.ok_or_else(|| "the spared worker has gone".into())
}

/// Everything that was left undone is done after a while.
async fn settle(field: &Field, table: &mut Table) -> Result<(), BoxError> {
    for index in 0..field.places.len() {
        let worker = field.worker(index)?;
        let settled = until("settled", RECOVERY, async || {
            Ok(worker.figure("healthy").await? == 1 && worker.figure("pending").await? == 0)
        });
        let took = settled.await.unwrap_or(Duration::MAX);
        let what = format!("worker {index}: healthy and nothing pending after");
        table.within(what, took, RECOVERY);
    }
    Ok(())
}

/// A removal of every key reaches everybody within Δ.
async fn converge(field: &Field, keys: u32, table: &mut Table) -> Result<(), BoxError> {
    for key in 0..keys {
        for index in 0..field.places.len() {
            field
                .worker(index)?
                .must(Action::Read(key, Reading::Load))
                .await?;
        }
        field.origin.next(key);
        let remover = field.worker(usize::try_from(key)? % field.places.len())?;
        remover.must(Action::Remove(key)).await?;
    }
    tokio::time::sleep(field.max_staleness() + MARGIN).await;
    let mut behind = 0;
    for key in 0..keys {
        for index in 0..field.places.len() {
            let read = field
                .worker(index)?
                .must(Action::Read(key, Reading::Load))
                .await?;
            behind += u64::from(!is_current(field, key, &read));
        }
    }
    table.exactly("keys and processes that are behind after Δ", behind, 0);
    Ok(())
}

fn is_current(field: &Field, key: Key, answer: &Answer) -> bool {
    matches!(answer, Answer::Read(read) if read.version == Some(field.origin.version(key)))
}

/// Keys without a life, panics, descriptors.
async fn leftovers(field: &Field, table: &mut Table) -> Result<(), BoxError> {
    let stranger = field.stranger().await?;
    let immortal = "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do \
        if redis.call('PTTL', k) < 0 then n = n + 1 end end return n";
    let immortal: u64 = stranger.say(&["EVAL", immortal, "0"]).await?;
    table.exactly("keys without a ttl", immortal, 0);
    let panics = field.log.panics();
    table.exactly("panics", panics.len() as u64, 0);
    for panic in panics {
        table.remark(panic);
    }
    Ok(())
}

fn memory(samples: &[Sample], last: Footprint, table: &mut Table) {
    let baseline = samples.first().map_or(0, |(_, first)| first.descriptors);
    table.demand(
        "descriptors of the spared worker",
        last.descriptors,
        format!("<= {baseline} + {SPARE_DESCRIPTORS}"),
        last.descriptors <= baseline + SPARE_DESCRIPTORS,
    );
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    table.note(
        "resident at last, MiB",
        format!("{:.1}", mebibytes(last.resident_bytes)),
    );
    let warm: Vec<&Sample> = samples.iter().filter(|(at, _)| *at >= WARM_UP).collect();
    let (Some((from, first)), Some((until, _))) = (warm.first(), warm.last()) else {
        return;
    };
    if *until < LONG_ENOUGH {
        return;
    }
    let slope = slope(&warm) * 600.0;
    table.demand(
        format!("resident, MiB more in 10 minutes, from {from:.0?} on"),
        format!("{:.2}", mebibytes(1) * slope),
        "<= 1",
        mebibytes(1) * slope <= 1.0,
    );
    let ratio = last.resident_bytes as f64 / first.resident_bytes.max(1) as f64;
    table.demand(
        "resident against warm",
        format!("{ratio:.2}"),
        "<= 1.15",
        ratio <= 1.15,
    );
}

/// Least squares, in bytes a second.
fn slope(samples: &[&Sample]) -> f64 {
    let count = samples.len().max(1) as f64;
    let points = || {
        let point = |(at, footprint): &&Sample| (at.as_secs_f64(), footprint.resident_bytes as f64);
        samples.iter().map(point)
    };
    let (x, y) = points().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (over, under) = points().fold((0.0, 0.0), |(over, under), point| {
        let step = point.0 - x;
        (over + step * (point.1 - y), under + step * step)
    });
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_of_a_byte_a_second_has_that_slope() {
        let samples: Vec<Sample> = (0..100)
            .map(|second| {
                let footprint = Footprint {
                    resident_bytes: 1_000 + second,
                    descriptors: 0,
                };
                (Duration::from_secs(second), footprint)
            })
            .collect();
        let slope = slope(&samples.iter().collect::<Vec<_>>());
        assert!((slope - 1.0).abs() < 1e-9, "{slope}");
    }
}
