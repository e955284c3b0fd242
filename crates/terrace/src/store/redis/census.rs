//! How many keys the server has dropped from under us.
//!
//! A server that evicts a key while it executes a command of ours does not tell us
//! (NOLOOP), nor does it when our reads overflow its table of tracked keys: executed
//! on Redis 7.0.15. So a heartbeat looks at its counters. While they move, nothing
//! that was read before is vouched for by it.

use std::collections::HashMap;

use redis::{FromRedisValue, RedisError, Value, aio::MultiplexedConnection};

/// What a server that does not say has by default.
const DEFAULT_TABLE: u64 = 1_000_000;
/// So many parts of the table; when less than one of them is free, it may have overflowed.
const TABLE_PARTS: u64 = 16;

/// The counters, as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) evicted: u64,
    tracked: u64,
}

impl Census {
    /// From the reply to `INFO stats`; `None` if it does not say.
    pub(super) fn read(info: &Value) -> Option<Self> {
        let text = match info {
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
            Value::VerbatimString { text, .. } => text,
            _ => return None,
        };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        Some(Self {
            evicted: field("evicted_keys:")?,
            tracked: field("tracking_total_keys:")?,
        })
    }

    /// Whether the table of tracked keys is so full that keys may have fallen out.
    pub(super) fn is_table_full(&self, table: u64) -> bool {
        self.tracked >= table - table / TABLE_PARTS
    }
}

/// The size of the server's table of tracked keys.
pub(super) async fn table(connection: &mut MultiplexedConnection) -> Result<u64, RedisError> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("tracking-table-max-keys");
    match command.query_async::<Value>(connection).await {
        Err(error) if error.is_unrecoverable_error() => Err(error),
        // Not allowed to ask, as a rule.
        Err(_) => Ok(DEFAULT_TABLE),
        Ok(reply) => {
            let fields = HashMap::<String, u64>::from_redis_value(reply).unwrap_or_default();
            let limit = fields.into_values().next().unwrap_or(DEFAULT_TABLE);
            // 0 stands for no limit.
            Ok(if limit == 0 { u64::MAX } else { limit })
        }
    }
}
