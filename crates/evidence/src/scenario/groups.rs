//! A group is removed while its members are being loaded in another process. Who
//! asks afterwards never gets what those loads bring.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use terrace::BoxError;

use super::{Size, version_read};
use crate::{
    field::{Field, Plan, Process, until},
    table::Table,
    worker::wire::{Action, Key, PREFIXES, Reading, TAGS, prefix_of, tag_of},
};

const LOADER: usize = 1;
const REMOVER: usize = 0;
const MEMBERS: usize = 8;
const GATHER: Duration = Duration::from_secs(10);

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let rounds = size.pick(25, 4);
    let field = Field::open(Plan::of(program)).await?;
    let mut table = Table::new(format!(
        "groups removed while {MEMBERS} members are being loaded elsewhere, {rounds} rounds"
    ));
    let mut next = 0;
    let mut fresh_keys = |tag: bool| -> Vec<Key> {
        // Of one tag, or of one prefix, and never used before.
        let first = next;
        next += PREFIXES * TAGS * u32::try_from(MEMBERS).unwrap_or(u32::MAX);
        let step = if tag { PREFIXES * TAGS } else { PREFIXES };
        (first..).step_by(step as usize).take(MEMBERS).collect()
    };
    type Removal = fn(Key) -> Action;
    let removals: [(&str, Removal); 4] = [
        ("remove_tag", |key| Action::RemoveTag(tag_of(key))),
        ("clear", |_| Action::Clear),
        ("remove_prefix", |key| Action::RemovePrefix(prefix_of(key))),
        ("remove_matching", |key| {
            Action::RemoveMatching(format!("{}*", prefix_of(key)))
        }),
    ];
    for (name, removal) in removals {
        let mut old = 0;
        for _ in 0..rounds {
            let keys = fresh_keys(name == "remove_tag");
            old += round(&field, &keys, removal(keys[0])).await?;
        }
        table.exactly(format!("{name}: old values handed out afterwards"), old, 0);
    }
    Ok(table)
}

async fn round(field: &Field, keys: &[Key], removal: Action) -> Result<u64, BoxError> {
    field.origin.hold_loads(true);
    let loader = field.worker(LOADER)?;
    let overlapping = keys
        .iter()
        .map(|key| version_read(loader, *key, Reading::Load));
    let removing = async {
        let gathered = until("the loads have read", GATHER, async || {
            Ok(keys.iter().all(|key| field.origin.loads(*key) > 0))
        });
        let outcome = match gathered.await {
            Ok(_) => {
                for key in keys {
                    field.origin.next(*key);
                }
                field.worker(REMOVER)?.must(removal).await.map(drop)
            }
            Err(error) => Err(error),
        };
        field.origin.hold_loads(false);
        outcome
    };
    let (overlapped, removed) = tokio::join!(join_all(overlapping), removing);
    removed?;
    for answer in overlapped {
        // These overlapped the removal: they may have either.
        answer?;
    }
    let mut old = 0;
    for place in &field.places {
        let process: &Process = place.process.as_ref().ok_or("a worker is down")?;
        for key in keys {
            let seen = version_read(process, *key, Reading::Load).await?;
            old += u64::from(seen < Some(field.origin.version(*key)));
        }
    }
    Ok(old)
}
