//! Walks the keyspace, in steps that other clients hardly notice.

use std::time::Duration;

use redis::Cmd;

use super::RedisStore;
use crate::{error::Error, pattern::Pattern, store::Store};

/// Keys a SCAN step looks at: 10 ms for other clients at worst with 500,000 keys.
const SCAN_COUNT: usize = 500;
const ATTEMPT: &str = "scanning the namespace";

/// Leases first: whatever is filled while the values are walked has a lease that is
/// younger than this call.
pub(super) async fn remove_matching(
    store: &RedisStore,
    cache: &str,
    pattern: &Pattern,
    step: Duration,
) -> Result<u64, Error> {
    let leases = Walk {
        store,
        cache,
        pattern,
        step,
        family: 'l',
    };
    leases
        .remove(|keys| redis::cmd("DEL").arg(keys).take())
        .await?;
    let values = Walk {
        family: 'v',
        ..leases
    };
    let unlink = |keys: &[Vec<u8>]| {
        let mut command = redis::cmd("UNLINK");
        for key in keys {
            command.arg(key).arg(store.keys.lease_of_value(key));
        }
        command
    };
    values.remove(unlink).await
}

struct Walk<'a> {
    store: &'a RedisStore,
    cache: &'a str,
    pattern: &'a Pattern,
    step: Duration,
    family: char,
}

impl Walk<'_> {
    /// Hands every key of the pattern to `remove`, in batches; tells how many.
    async fn remove(&self, remove: impl Fn(&[Vec<u8>]) -> Cmd) -> Result<u64, Error> {
        let keys = &self.store.keys;
        let candidates = keys.candidates(self.family, self.cache, self.pattern);
        let is_meant = |key: &Vec<u8>| {
            let key = keys.user_key(self.cache, key);
            key.is_some_and(|key| self.pattern.matches(key))
        };
        let (mut cursor, mut removed) = (0u64, 0u64);
        // One connection for the whole walk: a cursor means nothing to another server.
        let mut line = self.in_time(self.store.line()).await?;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&candidates);
            scan.arg("COUNT").arg(SCAN_COUNT);
            let scan = self.in_time(line.send(ATTEMPT, scan));
            let (next, mut found): (u64, Vec<Vec<u8>>) = scan.await?;
            found.retain(is_meant);
            if !found.is_empty() {
                let removal = line.send(ATTEMPT, remove(&found));
                let gone: u64 = self.in_time(removal).await?;
                removed += gone.min(u64::try_from(found.len()).unwrap_or(u64::MAX));
            }
            if next == 0 {
                return Ok(removed);
            }
            cursor = next;
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let answer = tokio::time::timeout(self.step, call).await;
        answer.unwrap_or_else(|_| {
            self.store.overdue();
            Err(Error::store_timeout(ATTEMPT, self.step))
        })
    }
}
