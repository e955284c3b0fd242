//! P9: memory of an L1 entry beside that of the bare engine with the same keys and values.
//!
//! Each side fills itself in a process of its own, whose resident memory is read before
//! and after: what the allocator rounds up counts too.

use std::{io::Write, process::Command, sync::Arc, time::Duration};

use terrace::{Cache, EntryOptions, Policy, RedisStore};

use crate::{
    ratio::{Figure, Target},
    redis_server::RedisServer,
};

const ENTRIES: usize = 100_000;
const ARGUMENT: &str = "--memory=";
/// A loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(5);

type Value = [u64; 4];

/// Who holds the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Quick,
    Moka,
    S3Fifo,
    S3FifoOverRedis,
    TinyLfu,
}

const SIDES: [Side; 5] = [
    Side::Quick,
    Side::Moka,
    Side::S3Fifo,
    Side::S3FifoOverRedis,
    Side::TinyLfu,
];

pub(crate) fn run() -> Vec<Figure> {
    let pairs = [
        ("S3Fifo, L1 only", Side::S3Fifo, Side::Quick),
        ("S3Fifo, over Redis", Side::S3FifoOverRedis, Side::Quick),
        ("TinyLfu, L1 only", Side::TinyLfu, Side::Moka),
    ];
    let figure = |(name, ours, bare): (&str, Side, Side)| Figure {
        id: "P9",
        what: format!("memory an entry, key and value included, {name}"),
        unit: "B",
        ours: ours.measured_apart().into(),
        baseline: bare.measured_apart().into(),
        target: Target::AboveBaselineAtMost(64.0),
    };
    pairs.into_iter().map(figure).collect()
}

impl Side {
    pub(crate) fn of_argument(argument: &str) -> Option<Self> {
        let name = argument.strip_prefix(ARGUMENT)?;
        SIDES.into_iter().find(|side| format!("{side:?}") == name)
    }

    /// Fills this side in this process, and prints the bytes an entry.
    pub(crate) fn print(self) {
        let keys: Vec<String> = (0..ENTRIES).map(|i| format!("quote:{i:09}")).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let bytes = runtime.block_on(self.bytes_each(&keys));
        writeln!(std::io::stdout(), "{bytes}").expect("stdout takes the figure");
    }

    fn measured_apart(self) -> f64 {
        let this = std::env::current_exe().expect("this program has a path");
        let child = Command::new(this)
            .arg(format!("{ARGUMENT}{self:?}"))
            .output();
        let said = child.expect("this program starts once more").stdout;
        let said = String::from_utf8(said).expect("a number is UTF-8");
        said.trim().parse().expect("it prints one number")
    }

    async fn bytes_each(self, keys: &[String]) -> f64 {
        let capacity = ENTRIES * 2;
        match self {
            Self::Quick => {
                let before = resident_bytes();
                let bare = quick_cache::sync::Cache::<Arc<str>, Arc<Value>>::new(capacity);
                for key in keys {
                    bare.insert(Arc::from(key.as_str()), Arc::new([7; 4]));
                }
                grown_each(before, bare.len() as u64)
            }
            Self::Moka => {
                let before = resident_bytes();
                let bare = moka::sync::Cache::<Arc<str>, Arc<Value>>::new(capacity as u64);
                for key in keys {
                    bare.insert(Arc::from(key.as_str()), Arc::new([7; 4]));
                }
                bare.run_pending_tasks();
                grown_each(before, bare.entry_count())
            }
            Self::S3Fifo => alone(Policy::S3Fifo, keys).await,
            Self::TinyLfu => alone(Policy::TinyLfu, keys).await,
            Self::S3FifoOverRedis => over_redis(keys).await,
        }
    }
}

async fn alone(policy: Policy, keys: &[String]) -> f64 {
    let before = resident_bytes();
    let cache = Cache::<Value>::builder("memory")
        .policy(policy)
        .capacity(ENTRIES as u64 * 2)
        .build()
        .expect("valid settings");
    for key in keys {
        cache.set(key, [7; 4]).await.expect("no store to fail");
    }
    grown_each(before, cache.stats().entries)
}

/// One call at a time: with 64 in flight, what they leave behind is most of what is
/// measured (docs/adr/0010).
async fn over_redis(keys: &[String]) -> f64 {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).expect("a valid URL");
    let before = resident_bytes();
    let cache = Cache::<Value>::builder("memory")
        .capacity(ENTRIES as u64 * 2)
        .defaults(EntryOptions::ttl(Duration::from_secs(3_600)))
        .store(store)
        .store_timeout(PATIENCE)
        .build()
        .expect("valid settings");
    for key in keys {
        cache.set(key, [7; 4]).await.expect("the store is up");
    }
    grown_each(before, cache.stats().entries)
}

fn grown_each(before: f64, entries: u64) -> f64 {
    (resident_bytes() - before) / entries as f64
}

/// Of this process. Zero where there is no /proc.
fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|number| number.trim().parse::<f64>().ok())
        .map_or(0.0, |kilobytes| kilobytes * 1024.0)
}
