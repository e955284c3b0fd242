//! How many keys the server has dropped from under us.
//!
//! A server that evicts a key while it executes a command of ours does not tell us
//! (NOLOOP), nor does it when our reads overflow its table of tracked keys: executed
//! on Redis 7.0.15. So a heartbeat looks at its counters, and at the size that the
//! table has now. While they move, or it is nearly full, nothing that was read before
//! is vouched for by it.

use std::collections::HashMap;

use redis::{FromRedisValue, Value};

/// The setting that says how many keys are tracked.
pub(super) const TABLE_SETTING: &str = "tracking-table-max-keys";
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
    pub(super) fn fills(&self, Table(size): Table) -> bool {
        // 0 stands for no limit.
        size != 0 && self.tracked >= size - size / TABLE_PARTS
    }
}

/// How many keys a server tracks at most; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table(pub(super) u64);

impl Table {
    /// From the reply to `CONFIG GET`; `None` if it was refused, or does not say.
    pub(super) fn read(config: &Value) -> Option<Self> {
        let fields = HashMap::<String, u64>::from_redis_value_ref(config).ok()?;
        fields.get(TABLE_SETTING).copied().map(Self)
    }
}
