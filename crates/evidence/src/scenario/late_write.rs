//! The bytes of a set wait in the network while another process sets twice, or
//! removes. When they arrive they are worth nothing.
//!
//! What is held is the fill: the force before it was answered, so that nothing but
//! its token stands against it. The late writer is stopped before its bytes arrive, and
//! goes on after everybody has looked: what it does to recover would hide them.

use std::{path::Path, time::Duration};

use terrace::BoxError;

use super::{Size, version_read};
use crate::{
    field::{Field, Plan, Stranger, until},
    nemesis::stored_name,
    proxy::Flow,
    table::Table,
    worker::wire::{Action, Answer, Change, Key, Reading, Workload},
};

const KEY: Key = 0;
/// The version that nobody may ever see. The source never has it.
const HELD: u64 = 1_000;
const LATE: usize = 0;
const OTHER: usize = 1;

/// Reads go on for so long after the bytes have arrived.
const AFTERWARDS: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(10);

/// What waits in the network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bytes {
    /// Everything from the force on: the fill is never sent.
    Force,
    /// The fill, after the reply to the force.
    Fill,
}

#[derive(Clone, Copy)]
struct Case {
    what: &'static str,
    bytes: Bytes,
    removes: bool,
    hold: Duration,
}

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let hold = size.pick(Duration::from_secs(3), Duration::from_millis(700));
    let mut table = Table::new(format!(
        "late write: a set held in the network for {hold:?}"
    ));
    for (what, bytes, removes) in [
        ("fill held, others set twice", Bytes::Fill, false),
        ("fill held, others set and remove", Bytes::Fill, true),
        ("force held, others set twice", Bytes::Force, false),
    ] {
        let mut field = Field::open(Plan::of(program)).await?;
        let case = Case {
            what,
            bytes,
            removes,
            hold,
        };
        case.run(&mut field, &mut table).await?;
    }
    Ok(table)
}

impl Case {
    async fn run(self, field: &mut Field, table: &mut Table) -> Result<(), BoxError> {
        let (what, stranger) = (self.what, field.stranger().await?);
        // Redis has both scripts afterwards: each is one EVALSHA from now on.
        let set = Action::Set(KEY, Change::Next);
        field.worker(LATE)?.must(set.clone()).await?;
        for index in 0..field.places.len() {
            if index != LATE {
                field.worker(index)?.must(Action::Start(readers())).await?;
            }
        }
        self.send_late(field, &stranger, table).await?;
        for _ in 0..2 {
            field.worker(OTHER)?.must(set.clone()).await?;
        }
        if self.removes {
            field.move_on_and_remove(OTHER, KEY).await?;
        }
        // Nothing is awaited: this is how long the network keeps them.
        tokio::time::sleep(self.hold).await;
        field.worker(LATE)?.freeze();
        let before = fences(&stranger).await?;
        field.proxy(LATE).to_server(Flow::Pass);
        let arrived = until("the late bytes arrive", LIMIT, async || {
            Ok(fences(&stranger).await? > before)
        });
        let arrived = u64::from(arrived.await.is_ok());
        table.exactly(format!("{what}: they arrived"), arrived, 1);
        tokio::time::sleep(AFTERWARDS).await;
        let at_last = "before its writer goes on, worker";
        self.all_read_the_latest(field, OTHER, at_last, table)
            .await?;
        field.worker(LATE)?.thaw();
        self.recover(field, table).await
    }

    /// Sends the set, and has its bytes kept.
    async fn send_late(
        self,
        field: &Field,
        stranger: &Stranger,
        table: &mut Table,
    ) -> Result<(), BoxError> {
        let proxy = field.proxy(LATE);
        proxy.to_server(match self.bytes {
            Bytes::Force => Flow::Hold,
            Bytes::Fill => Flow::HoldFrom {
                command: "EVALSHA",
                nth: 2,
            },
        });
        let set = Action::Set(KEY, Change::To(HELD));
        let outcome = field.worker(LATE)?.ask(set).await?;
        // New connections wait as well: nothing is repaired behind the late bytes.
        proxy.to_server(Flow::Hold);
        let told = u64::from(matches!(outcome, Answer::Failed { .. }));
        table.exactly(format!("{}: the held set is reported", self.what), told, 1);
        if self.bytes == Bytes::Fill {
            let lease = stored_name("l", KEY);
            let forced: u64 = stranger.say(&["EXISTS", &lease]).await?;
            let what = format!("{}: forced, and the fill on its way", self.what);
            table.exactly(what, forced.min(proxy.traffic().held), 1);
        }
        Ok(())
    }

    /// The late writer goes on, and reads with the others.
    async fn recover(self, field: &mut Field, table: &mut Table) -> Result<(), BoxError> {
        let what = self.what;
        let writer = field.worker(LATE)?;
        writer.must(Action::Start(readers())).await?;
        let settled = until("settled", LIMIT, async || {
            Ok(writer.figure("healthy").await? == 1 && writer.figure("pending").await? == 0)
        });
        let settled = settled.await.unwrap_or(Duration::MAX);
        table.within(format!("{what}: settled after"), settled, LIMIT);
        tokio::time::sleep(AFTERWARDS / 2).await;
        field.rest().await?;
        table.exactly(format!("{what}: reads that saw it"), field.log.saw(HELD), 0);
        table.at_least(format!("{what}: reads"), field.log.count(|_| true), 1_000);
        self.all_read_the_latest(field, LATE, "at last worker", table)
            .await
    }

    /// Whether it is there or must be loaded: the source has what was set last.
    async fn all_read_the_latest(
        self,
        field: &Field,
        from: usize,
        when: &str,
        table: &mut Table,
    ) -> Result<(), BoxError> {
        for index in from..field.places.len() {
            let seen = version_read(field.worker(index)?, KEY, Reading::Load).await?;
            let what = format!("{}: {when} {index} reads", self.what);
            table.exactly(what, seen.unwrap_or(0), field.origin.version(KEY));
        }
        Ok(())
    }
}

/// Scripts that Redis has run by their hash.
async fn fences(stranger: &Stranger) -> Result<u64, BoxError> {
    let counts: String = stranger.ask("INFO commandstats").await?;
    let line = counts
        .lines()
        .find(|line| line.contains("cmdstat_evalsha:"));
    let calls = line.and_then(|line| line.split("calls=").nth(1)?.split(',').next());
    Ok(calls.map_or(Ok(0), str::parse)?)
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
