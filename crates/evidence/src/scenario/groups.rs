//! A group is removed while its members are being loaded in another process. Who
//! asks afterwards never gets what those loads bring, whether they still run or not,
//! and does not have to wait for them. Half of the members have no tag: what has one is
//! not stored when any tag was removed meanwhile, whatever became of the leases.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use futures_util::future::join_all;
use terrace::BoxError;

use super::{Size, version_read};
use crate::{
    field::{Field, Plan, until},
    table::Table,
    worker::wire::{Action, Key, PREFIXES, Reading, TAGS, prefix_of, tag_near},
};

const LOADER: usize = 1;
const REMOVER: usize = 0;
const MEMBERS: usize = 8;
const LAST: usize = 2;
const GATHER: Duration = Duration::from_secs(10);
/// Until who asks after a removal leads a load of its own. The held loads may take 3 s.
const OWN_LOAD: Duration = Duration::from_millis(900);
const A_WHILE: Duration = Duration::from_millis(30);

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let rounds = size.pick(25, 4);
    let field = Field::open(Plan::of(program)).await?;
    let mut table = Table::new(format!(
        "groups removed while {MEMBERS} members are being loaded elsewhere, {rounds} rounds"
    ));
    let mut next = 0;
    // Every second block of so many keys has tags.
    let blocks = 2 * PREFIXES * TAGS;
    let mut fresh_keys = |tag: bool| -> Vec<Key> {
        // Of one tag, or of one prefix, and never used before.
        let first = next;
        next += blocks * u32::try_from(MEMBERS + 1).unwrap_or(u32::MAX);
        let step = if tag { blocks } else { PREFIXES };
        (first..).step_by(step as usize).take(MEMBERS + 1).collect()
    };
    type Removal = fn(Key) -> Action;
    let removals: [(&str, Leases, Removal); 4] = [
        ("remove_tag", Leases::Kept, |key| {
            Action::RemoveTag(tag_near(key))
        }),
        ("clear", Leases::Freed, |_| Action::Clear),
        ("remove_prefix", Leases::Freed, |key| {
            Action::RemovePrefix(prefix_of(key))
        }),
        ("remove_matching", Leases::Freed, |key| {
            Action::RemoveMatching(format!("{}*", prefix_of(key)))
        }),
    ];
    for (name, leases, removal) in removals {
        let mut found = Found::default();
        for _ in 0..rounds {
            let keys = fresh_keys(name == "remove_tag");
            let (witness, keys) = keys.split_first().ok_or("no keys")?;
            let removed = Removed {
                witness: *witness,
                keys,
                removal: removal(*witness),
                leases,
            };
            removed.round(&field, &mut found).await?;
        }
        found.add_to(&mut table, name, leases);
    }
    Ok(table)
}

/// What a removal does about leases of loads under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leases {
    /// They are taken away, or given back at once: who asks afterwards loads.
    Freed,
    /// They stay, and who asks afterwards waits until they are given back.
    Kept,
}

/// What went wrong in a round, summed up over rounds.
#[derive(Default)]
struct Found {
    asked: u64,
    old_meanwhile: u64,
    stuck: u64,
    old_afterwards: u64,
}

impl Found {
    fn add_to(&self, table: &mut Table, name: &str, leases: Leases) {
        let asked = self.asked;
        let what = format!("{name}: old values of {asked} asked for while the loads were held");
        table.exactly(what, self.old_meanwhile, 0);
        let what = match leases {
            Leases::Freed => "keys that nobody loaded meanwhile, although asked for",
            Leases::Kept => "rounds that did not load when the leases were given back",
        };
        table.exactly(format!("{name}: {what}"), self.stuck, 0);
        let what = format!("{name}: old values handed out afterwards");
        table.exactly(what, self.old_afterwards, 0);
    }
}

/// One removal and what it concerns.
struct Removed<'a> {
    /// A member that every process has: gone, where the removal has been heard of.
    witness: Key,
    /// Members that are being loaded.
    keys: &'a [Key],
    removal: Action,
    leases: Leases,
}

impl Removed<'_> {
    async fn round(&self, field: &Field, found: &mut Found) -> Result<(), BoxError> {
        let origin = &field.origin;
        // A load that met the removal of the round before is stored nowhere, and a witness
        // that is not held tells nothing.
        for index in 0..=LAST {
            let worker = field.worker(index)?;
            until("the witness is held", GATHER, async || {
                version_read(worker, self.witness, Reading::Load).await?;
                let held = version_read(worker, self.witness, Reading::Peek).await?;
                Ok(held.is_some())
            })
            .await?;
        }
        origin.hold_loads(true);
        let overlapping = ask(field, LOADER..=LOADER, self.keys);
        let rest = async {
            let outcome = self.remove_and_ask(field, found).await;
            // Whatever failed: nobody is left waiting.
            origin.hold_loads(false);
            outcome
        };
        let (overlapped, outcome) = tokio::join!(overlapping, rest);
        // These overlapped the removal: they may have either.
        overlapped?;
        outcome?;
        for (key, seen) in ask(field, 0..=LAST, self.keys).await? {
            found.old_afterwards += u64::from(seen < Some(origin.version(key)));
        }
        Ok(())
    }

    /// Removes while the first loads are held. Then asks, as soon as everybody has heard
    /// of it: news of other processes may take Δ.
    async fn remove_and_ask(&self, field: &Field, found: &mut Found) -> Result<(), BoxError> {
        let origin = &field.origin;
        self.loads_are(1, GATHER, field).await?;
        for key in self.keys {
            origin.next(*key);
        }
        field.worker(REMOVER)?.must(self.removal.clone()).await?;
        for index in 0..=LAST {
            let heard = Action::AwaitVoid {
                key: self.witness,
                limit_millis: u64::try_from(field.max_staleness().as_millis())?,
            };
            field.worker(index)?.must(heard).await?;
        }
        let asking = ask(field, 0..=LAST, self.keys);
        let (answers, ()) = tokio::join!(asking, self.let_go(field, found));
        for (key, seen) in answers? {
            found.asked += 1;
            found.old_meanwhile += u64::from(seen < Some(origin.version(key)));
        }
        Ok(())
    }

    /// Lets the first loads end, and only after them those of who asked after the
    /// removal: whatever a first load can still store is there before anything newer.
    async fn let_go(&self, field: &Field, found: &mut Found) {
        let origin = &field.origin;
        if self.leases == Leases::Freed {
            // What does not come is counted below.
            let _ = self.loads_are(2, OWN_LOAD, field).await;
        } else {
            // Who waits for the lease is there by then; it costs nothing if not.
            tokio::time::sleep(A_WHILE).await;
        }
        let own = self.keys.iter().filter(|key| origin.loads(**key) >= 2);
        let stuck = self.keys.len() - own.count();
        origin.free_loads(1);
        let came = self.loads_are(2, OWN_LOAD, field).await;
        found.stuck += match self.leases {
            Leases::Freed => stuck as u64,
            Leases::Kept => came.is_err().into(),
        };
        // Time for what the first loads store to land before anything newer does.
        tokio::time::sleep(A_WHILE).await;
        origin.hold_loads(false);
    }

    async fn loads_are(
        &self,
        count: u64,
        within: Duration,
        field: &Field,
    ) -> Result<Duration, BoxError> {
        until("the loads have read", within, async || {
            Ok(self
                .keys
                .iter()
                .all(|key| field.origin.loads(*key) >= count))
        })
        .await
    }
}

/// Everybody in these places asks for all of the keys at once.
async fn ask(
    field: &Field,
    places: RangeInclusive<usize>,
    keys: &[Key],
) -> Result<Vec<(Key, Option<u64>)>, BoxError> {
    let mut calls = Vec::new();
    for index in places {
        let worker = field.worker(index)?;
        calls.extend(keys.iter().map(|key| async move {
            let seen = version_read(worker, *key, Reading::Load).await?;
            Ok::<_, BoxError>((*key, seen))
        }));
    }
    join_all(calls).await.into_iter().collect()
}
