//! Whether a connection is what it should be, and tells what it should.
//!
//! A heartbeat asks the server who it is and what it does for this connection: a
//! primary, the same connection as ever, tracking in the mode that we rely on. Any
//! other answer proves nothing: after a planned failover, say, the old primary goes
//! on answering, and tells of nothing (protocol C13).

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, Value,
    aio::MultiplexedConnection,
};
use tokio::time::timeout;

use super::{
    census::{self, Census},
    link::{Identity, Live, to_error},
    news::CanaryEar,
};
use crate::{
    clock::Stopwatch,
    store::{Hearing, Heartbeat, Writing},
};

/// For the second connection, which nobody waits for.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
/// Longer than the pause between two of them; a process that ends leaves nothing.
const CANARY_LIFE_MILLIS: u64 = 60_000;

/// Asks for tracking on a new connection, and who is there. A server that refuses
/// to track is used all the same.
pub(super) async fn identify(
    connection: &mut MultiplexedConnection,
) -> Result<Identity, RedisError> {
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("NOLOOP");
    let tracks = match tracking.query_async::<Value>(connection).await {
        Ok(_) => true,
        Err(error) if error.is_unrecoverable_error() => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "redis does not track what we read: it is asked again instead");
            false
        }
    };
    let hello = hello(redis::cmd("HELLO").query_async(connection).await?)?;
    let identity = Identity {
        id: hello.id,
        tracks,
        is_primary: hello.is_primary,
        table: census::table(connection).await?,
    };
    if !tracks {
        return Ok(identity);
    }
    let mut info = redis::cmd("CLIENT");
    let info = info.arg("TRACKINGINFO").query_async(connection).await;
    let tracks = info.is_ok_and(|info| is_tracking(&info));
    Ok(Identity { tracks, ..identity })
}

struct Hello {
    id: i64,
    is_primary: bool,
}

fn hello(reply: Value) -> Result<Hello, RedisError> {
    // Of the kind that ends a connection: its replies may be out of step.
    let odd = || RedisError::from((ErrorKind::Parse, "an odd reply to HELLO"));
    let Value::Map(fields) = reply else {
        return Err(odd());
    };
    let field = |name: &str| {
        let is_it = |(key, _): &&(Value, Value)| text(key).is_some_and(|key| key == name);
        fields.iter().find(is_it).map(|(_, value)| value)
    };
    let id = match field("id") {
        Some(Value::Int(id)) => *id,
        _ => return Err(odd()),
    };
    let is_primary = field("role").and_then(text).as_deref() == Some("master");
    Ok(Hello { id, is_primary })
}

/// Default mode, without an echo of our own changes, and nothing opted out of.
fn is_tracking(info: &Value) -> bool {
    let Value::Map(fields) = info else {
        return false;
    };
    let flags = fields
        .iter()
        .find(|(key, _)| text(key).as_deref() == Some("flags"));
    let flags: Vec<String> = match flags {
        Some((_, Value::Set(flags) | Value::Array(flags))) => {
            flags.iter().filter_map(text).collect()
        }
        _ => return false,
    };
    let has = |flag: &str| flags.iter().any(|own| own == flag);
    let unwanted = ["bcast", "optin", "optout", "broken_redirect"];
    has("on") && has("noloop") && !unwanted.into_iter().any(has)
}

fn text(value: &Value) -> Option<String> {
    String::from_redis_value_ref(value).ok()
}

/// Asks for a sign of life of a connection: who is there, whether it tracks, what it
/// has dropped, and these keys, so that they stay warm (C19) and tracked.
pub(super) async fn check(live: &mut Live, keys: &[Vec<u8>]) -> Result<Vitals, RedisError> {
    let identity = live.identity();
    let mut commands = redis::pipe();
    commands.cmd("HELLO");
    if identity.tracks {
        commands.cmd("CLIENT").arg("TRACKINGINFO");
        commands.cmd("INFO").arg("stats");
    }
    for key in keys {
        commands.cmd("GET").arg(key);
    }
    let mut replies: Vec<Value> = commands.query_async(live.connection()).await?;
    let hello = hello(std::mem::replace(&mut replies[0], Value::Nil))?;
    let same = (hello.id, hello.is_primary) == (identity.id, identity.is_primary);
    Ok(if !same {
        Vitals::Changed
    } else if !identity.is_primary {
        Vitals::Replica
    } else if !identity.tracks {
        Vitals::Untracked
    } else if !is_tracking(&replies[1]) {
        Vitals::Changed
    } else {
        let census = Census::read(&replies[2]);
        census.map_or(Vitals::Untracked, Vitals::Sound)
    })
}

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vitals {
    Sound(Census),
    /// It never tracked, or does not say what it drops: that was refused.
    Untracked,
    /// It serves reads, and vouches for nothing.
    Replica,
    /// It is not what it was: another server answers, or in another role.
    Changed,
}

/// Finds out whether news arrives: something is changed from outside of the
/// connection, which has read it, and must be told.
pub(super) struct Canary {
    pub(super) id: u64,
    /// A connection of its own: what one changes oneself is not told.
    outside: Arc<Mutex<Outside>>,
}

enum Outside {
    Absent,
    Connecting,
    Ready(MultiplexedConnection),
}

/// What came of changing the canary's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Song {
    Sung,
    /// It may have been, or may be later.
    Perhaps,
    Refused,
    /// There is no way to change it for now.
    Mute,
}

impl Canary {
    pub(super) fn new() -> Self {
        Self {
            id: rand::random(),
            outside: Arc::new(Mutex::new(Outside::Absent)),
        }
    }

    /// The canary's key has been read by the connection that is to hear of it.
    ///
    /// Whatever is sung is counted, and whatever is heard. One that comes late has not
    /// been lost; until it has come nothing is vouched for. If it never comes, the link
    /// counts as deaf, and is known to have missed something when it hears again.
    pub(super) async fn sing(
        &self,
        client: &Client,
        key: &str,
        ear: CanaryEar,
        limit: Duration,
    ) -> Heartbeat {
        let CanaryEar { mut heard, sung } = ear;
        let begin = Stopwatch::start();
        let before = sung.times.fetch_add(1, Relaxed);
        let song = timeout(limit, self.change(client, key)).await;
        let song = song.unwrap_or_else(|_| {
            // Nothing may come through it any more although it is up.
            *self.outside.lock() = Outside::Absent;
            Song::Perhaps
        });
        // If nothing can be changed, nothing can be told: the server's word has to do.
        let word = Heartbeat::new(Hearing::Complete);
        match song {
            Song::Sung => {
                let all = |heard: &u64| *heard > before;
                if matches!(timeout(limit, heard.wait_for(all)).await, Ok(Ok(_))) {
                    sung.in_vain.store(0, Relaxed);
                    return word.lag(begin.elapsed());
                }
                if sung.is_unclear() {
                    return Heartbeat::new(Hearing::Unclear);
                }
                sung.times.store(*heard.borrow(), Relaxed);
                Heartbeat::new(Hearing::Deaf)
            }
            Song::Perhaps if sung.is_unclear() => Heartbeat::new(Hearing::Unclear),
            Song::Perhaps => {
                sung.times.store(*heard.borrow(), Relaxed);
                word
            }
            Song::Refused => {
                sung.times.store(before, Relaxed);
                word.writing(Writing::Refused)
            }
            Song::Mute => {
                sung.times.store(before, Relaxed);
                // It could sing once: it is given a moment to find its voice again.
                let is_new = before == 0;
                if !is_new && sung.is_unclear() {
                    return Heartbeat::new(Hearing::Unclear);
                }
                word
            }
        }
    }

    async fn change(&self, client: &Client, key: &str) -> Song {
        let Some(mut connection) = self.outside(client) else {
            return Song::Mute;
        };
        let mut command = redis::cmd("SET");
        command.arg(key).arg(1).arg("PX").arg(CANARY_LIFE_MILLIS);
        match command.query_async::<()>(&mut connection).await {
            Ok(()) => Song::Sung,
            Err(error) if error.is_unrecoverable_error() => {
                *self.outside.lock() = Outside::Absent;
                Song::Perhaps
            }
            Err(error) if to_error("probing", error.clone()).is_refusal() => Song::Refused,
            Err(_) => Song::Mute,
        }
    }

    /// The second connection, or none while it is being made: nobody waits for it.
    fn outside(&self, client: &Client) -> Option<MultiplexedConnection> {
        let mut outside = self.outside.lock();
        match &*outside {
            Outside::Ready(connection) => return Some(connection.clone()),
            Outside::Connecting => return None,
            Outside::Absent => *outside = Outside::Connecting,
        }
        let (place, client) = (Arc::clone(&self.outside), client.clone());
        tokio::spawn(async move {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(None);
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            *place.lock() = connection.await.map_or(Outside::Absent, Outside::Ready);
        });
        None
    }
}
