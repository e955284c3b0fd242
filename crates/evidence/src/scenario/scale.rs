//! Groups of a million keys beside half a million that belong to somebody else.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use terrace::BoxError;

use super::Size;
use crate::{
    clock,
    field::{Field, Plan, Stranger},
    proxy::Flow,
    table::{Table, millis},
    worker::wire::{Action, Answer, Change, Key, prefix_of},
};

/// Each way. A call of one round trip takes two of them, one of two takes four.
const DELAY: Duration = Duration::from_millis(40);

const MOST_STALL: Duration = Duration::from_millis(20);

/// Keys that the cache itself wrote, among those that were planted.
const REAL: Key = 400;

/// A batch of planting, short enough for a script.
const BATCH: u64 = 20_000;

pub(super) async fn run(program: &Path, size: Size) -> Result<Table, BoxError> {
    let (own, foreign) = size.pick((1_000_000, 500_000), (20_000, 10_000));
    let field = Field::open(Plan {
        workers: 1,
        store_timeout: Duration::from_secs(1),
        ..Plan::of(program)
    })
    .await?;
    let stranger = field.stranger().await?;
    let mut table = Table::new(format!("{own} own keys beside {foreign} foreign ones"));
    for key in 0..REAL {
        field
            .worker(0)?
            .must(Action::Set(key, Change::To(5)))
            .await?;
    }
    // Each as terrace names its values, and of a size of its own.
    let planted = format!("terrace:v:{{field:{}planted", prefix_of(0));
    plant(&stranger, &planted, "}", own).await?;
    plant(&stranger, "somebody:else:", "", foreign).await?;
    for (name, action) in [
        ("clear", Action::Clear),
        ("remove_tag", Action::RemoveTag("t0".to_owned())),
    ] {
        one_round_trip(&field, name, action, &mut table).await?;
    }
    remove_prefix(&field, &mut table).await?;
    let left = count(&stranger, &format!("{planted}*")).await?;
    table.exactly("own keys left after remove_prefix", left, 0);
    let theirs = count(&stranger, "somebody:else:*").await?;
    table.exactly("foreign keys left", theirs, foreign);
    Ok(table)
}

/// Measured by a network that makes trips long, and by the commands that pass.
async fn one_round_trip(
    field: &Field,
    name: &str,
    action: Action,
    table: &mut Table,
) -> Result<(), BoxError> {
    // Redis has its script afterwards.
    field.worker(0)?.must(action.clone()).await?;
    let scans = field.proxy(0).commands("SCAN");
    field.proxy(0).to_server(Flow::Delay(DELAY));
    field.proxy(0).to_client(Flow::Delay(DELAY));
    let took = match field.worker(0)?.must(action).await? {
        Answer::Done { began, ended } => ended.saturating_sub(began),
        other => return Err(format!("{name}: {other:?}").into()),
    };
    field.proxy(0).heal();
    let trips = took.as_secs_f64() / (2.0 * DELAY.as_secs_f64());
    table.demand(
        format!("{name}, round trips"),
        format!("{trips:.2}"),
        "< 2",
        (1.0..2.0).contains(&trips),
    );
    let scans = field.proxy(0).commands("SCAN") - scans;
    table.exactly(format!("{name}, walks through the keyspace"), scans, 0);
    Ok(())
}

async fn remove_prefix(field: &Field, table: &mut Table) -> Result<(), BoxError> {
    let done = Arc::new(AtomicBool::new(false));
    let pinging = {
        // On a thread of its own: what the proxies of this process are busy with is
        // not Redis's doing.
        let (done, port) = (Arc::clone(&done), field.redis.port());
        std::thread::spawn(move || slowest_ping(port, &done))
    };
    let removal = Action::RemovePrefix(prefix_of(0));
    let removed = field.worker(0)?.must(removal).await;
    done.store(true, Relaxed);
    let (longest, pings) = pinging
        .join()
        .map_err(|_| "the pinging thread panicked")??;
    if let Answer::Done { began, ended } = removed? {
        table.note("remove_prefix took", millis(ended.saturating_sub(began)));
    }
    table.within(
        format!("another client's slowest PING of {pings} meanwhile"),
        longest,
        MOST_STALL,
    );
    Ok(())
}

/// Pings every millisecond until it is told to stop: the longest wait, and how many.
fn slowest_ping(port: u16, done: &AtomicBool) -> io::Result<(Duration, u64)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let (mut longest, mut pings, mut reply) = (Duration::ZERO, 0, [0; 7]);
    while !done.load(Relaxed) {
        let sent = clock::now();
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut reply)?;
        longest = longest.max(clock::now().saturating_sub(sent));
        pings += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok((longest, pings))
}

/// Writes many keys without a client in between: names of numbers.
async fn plant(stranger: &Stranger, before: &str, after: &str, keys: u64) -> Result<(), BoxError> {
    let script = "for i = tonumber(ARGV[3]), tonumber(ARGV[4]) do \
        redis.call('SET', ARGV[1] .. i .. ARGV[2], ARGV[5], 'PX', 3600000) end";
    let body = "x".repeat(64);
    for from in (1..=keys).step_by(usize::try_from(BATCH)?) {
        let to = keys.min(from + BATCH - 1);
        let (from, to) = (from.to_string(), to.to_string());
        let words = ["EVAL", script, "0", before, after, &from, &to, &body];
        stranger.say::<()>(&words).await?;
    }
    Ok(())
}

async fn count(stranger: &Stranger, pattern: &str) -> Result<u64, BoxError> {
    let script = "local n, c = 0, '0' repeat \
        local page = redis.call('SCAN', c, 'MATCH', ARGV[1], 'COUNT', 10000) \
        c, n = page[1], n + #page[2] until c == '0' return n";
    stranger.say(&["EVAL", script, "0", pattern]).await
}
