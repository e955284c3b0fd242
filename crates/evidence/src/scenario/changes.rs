//! Keys that are changed or deleted with redis-cli are void in every process.

use std::{path::Path, time::Duration};

use futures_util::future::join_all;
use terrace::BoxError;

use super::{Size, warm};
use crate::{
    clock,
    field::{Field, Plan},
    nemesis::stored_name,
    table::Table,
    worker::wire::{Action, Answer, Key},
};

const KEYS: Key = 10;
const LIMIT: Duration = Duration::from_millis(50);
const GIVE_UP_MILLIS: u64 = 3_000;
/// More need no more proof.
const MOST_MISSED: u64 = 10;

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let changes = size.pick(1_000, 100);
    let field = Field::open(Plan::of(program)).await?;
    let stranger = field.stranger().await?;
    let (mut spans, mut missed) = (Vec::new(), 0);
    for change in 0..changes {
        if missed > MOST_MISSED {
            break;
        }
        let key = change % KEYS;
        warm(&field, key..=key).await?;
        let processes = field
            .places
            .iter()
            .filter_map(|place| place.process.as_ref());
        let voids = processes.map(|process| {
            process.ask(Action::AwaitVoid {
                key,
                limit_millis: GIVE_UP_MILLIS,
            })
        });
        let name = stored_name("v", key);
        let changing = async {
            let began = clock::now();
            match change % 2 {
                0 => {
                    stranger
                        .say::<()>(&["SET", &name, "theirs", "PX", "60000"])
                        .await?;
                }
                _ => stranger.say::<()>(&["DEL", &name]).await?,
            }
            Ok::<_, BoxError>(began)
        };
        let (answers, began) = tokio::join!(join_all(voids), changing);
        let began = began?;
        for answer in answers {
            match answer? {
                Answer::Done { ended, .. } => spans.push(ended.saturating_sub(began)),
                _ => missed += 1,
            }
        }
    }
    spans.sort_unstable();
    let at = |percent: usize| {
        let index = (spans.len() * percent / 100).min(spans.len().saturating_sub(1));
        spans.get(index).copied().unwrap_or_default()
    };
    let mut table = Table::new(format!(
        "{changes} changes by redis-cli, void in three processes"
    ));
    table.note("p50", crate::table::millis(at(50)));
    table.within("p99", at(99), LIMIT);
    table.note("max", crate::table::millis(at(100)));
    table.exactly("never void", missed, 0);
    Ok(table)
}
