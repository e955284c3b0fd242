//! The random calls of a worker, each reported with what it saw.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use terrace::{BoxError, Error};
use tokio::task::JoinSet;

use super::{
    Outbox,
    tiers::{Tiers, Unread},
    wire::{
        Call, Event, Key, PREFIXES, Reading, TAGS, VoidEvent, Workload, prefix_of, tag_near, tag_of,
    },
};
use crate::clock;

/// A workload that runs.
#[derive(Debug)]
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(workload: &Workload, tiers: &Tiers, outbox: &Outbox) -> Self {
        let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for task in 0..workload.tasks {
            let mut caller = Caller {
                workload: workload.clone(),
                random: StdRng::seed_from_u64(workload.seed ^ (u64::from(task) << 32)),
                tiers: tiers.clone(),
                outbox: outbox.clone(),
            };
            let stop = Arc::clone(&stop);
            tasks.spawn(async move {
                while !stop.load(Relaxed) {
                    caller.step().await;
                }
            });
        }
        Self { stop, tasks }
    }

    /// Ends when the last call has returned.
    pub(crate) async fn rest(mut self) {
        self.stop.store(true, Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

fn report_failure(unread: Option<Unread>, outbox: &Outbox) {
    match unread {
        None => {}
        Some(Unread::Invalid(what)) => outbox.event(Event::Invalid(what)),
        Some(Unread::Failed(error)) => outbox.event(Event::ReadFailed(error.to_string())),
    }
}

/// One task of a workload.
struct Caller {
    workload: Workload,
    random: StdRng,
    tiers: Tiers,
    outbox: Outbox,
}

impl Caller {
    async fn step(&mut self) {
        let key = self.random.random_range(0..self.workload.keys);
        if self.random.random_range(0..10_000) < self.workload.changes {
            // A source that has gone ends the process soon; nothing to report.
            let _ = self.change(key).await;
        } else {
            self.read(key).await;
        }
        if self.workload.pause_micros > 0 {
            let pause = self.random.random_range(0..=self.workload.pause_micros);
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
    }

    async fn read(&mut self, key: Key) {
        let required = self.random.random_range(0..100) < self.workload.required;
        let reading = match self.random.random_range(0..1_000) {
            _ if required => Reading::LoadRequired,
            0..780 => Reading::Load,
            780..940 => Reading::Get,
            940..985 => Reading::Peek,
            _ => Reading::Refresh,
        };
        match self.tiers.read(key, reading).await {
            Ok(read) => self.outbox.event(Event::Read(read)),
            Err(unread) => report_failure(Some(unread), &self.outbox),
        }
    }

    async fn change(&mut self, key: Key) -> Result<(), BoxError> {
        if self.random.random_range(0..100) < self.workload.groups {
            return self.remove_group(key).await;
        }
        if self.random.random_range(0..10) < 6 {
            let floor = self.tiers.source().next(key).await?;
            let began = clock::now();
            let outcome = self.tiers.remove(key).await;
            self.report(Call::Remove, vec![(key, floor)], began, &outcome);
        } else {
            // Under the source's lock: a set that the source overtakes brings an
            // old value back by its caller's wish, which no cache can help.
            let floor = self.tiers.source().lock(key).await?;
            let began = clock::now();
            let outcome = self.tiers.set(key, floor).await;
            self.report(Call::Set, vec![(key, floor)], began, &outcome);
            self.tiers.source().unlock(key).await?;
        }
        Ok(())
    }

    async fn remove_group(&mut self, key: Key) -> Result<(), BoxError> {
        for _ in 0..3 {
            let moved = self.random.random_range(0..self.workload.keys);
            self.tiers.source().next(moved).await?;
        }
        let (tag, prefix) = (tag_near(key), prefix_of(key));
        let choice = self.random.random_range(0..100);
        let touches = |other: &Key| match choice {
            0..50 => tag_of(*other).as_deref() == Some(&*tag),
            50..85 => prefix_of(*other) == prefix,
            _ => true,
        };
        let members: Vec<Key> = (0..self.workload.keys).filter(touches).collect();
        let versions = self.tiers.source().versions(members.clone()).await?;
        let floors = members.into_iter().zip(versions).collect();
        let began = clock::now();
        let (call, outcome) = match choice {
            0..50 => (Call::RemoveTag, self.tiers.remove_tag(&tag).await),
            50..75 => (Call::RemovePrefix, self.tiers.remove_prefix(&prefix).await),
            75..85 => {
                let glob = format!("{prefix}*");
                (
                    Call::RemoveMatching,
                    self.tiers.remove_matching(&glob).await,
                )
            }
            _ => (Call::Clear, self.tiers.clear().await),
        };
        self.report(call, floors, began, &outcome);
        Ok(())
    }

    fn report(
        &self,
        call: Call,
        floors: Vec<(Key, u64)>,
        began: Duration,
        outcome: &Result<(), Error>,
    ) {
        self.outbox.event(Event::Void(VoidEvent {
            floors,
            ok: outcome.is_ok(),
            began,
            ended: clock::now(),
            call,
        }));
    }
}

// Every group has members in every workload that is large enough to be one.
const _: () = assert!(PREFIXES > 1 && TAGS > 1);
