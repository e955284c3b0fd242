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
    census::{Census, TABLE_SETTING, Table},
    link::{CONNECT_TIMEOUT, Identity, Live, to_error},
    news::CanaryEar,
};
use crate::{
    clock::Stopwatch,
    store::{Hearing, Heartbeat, Writing},
};

/// Longer than the pause between two of them; a process that ends leaves nothing.
const CANARY_LIFE_MILLIS: u64 = 60_000;
/// News takes as long as an answer, or so; this many times as long may be chance.
const ANSWERS_A_SONG: u32 = 3;

/// Asks for tracking on a new connection, and who is there, in one trip: behind a slow
/// link callers are waiting. A server that refuses to track is used all the same.
pub(super) async fn identify(
    connection: &mut MultiplexedConnection,
) -> Result<Identity, RedisError> {
    let mut commands = redis::pipe();
    commands
        .cmd("CLIENT")
        .arg("TRACKING")
        .arg("ON")
        .arg("NOLOOP");
    commands.cmd("HELLO");
    commands.cmd("CLIENT").arg("TRACKINGINFO");
    commands.cmd("CONFIG").arg("GET").arg(TABLE_SETTING);
    // Each reply is looked at by itself.
    let replies = commands.ignore_errors().query_async(connection).await?;
    let (tracking, greeting, info, config): (Value, Value, Value, Value) = replies;
    let tracks = match answered(tracking) {
        Ok(_) => is_tracking(&info),
        Err(error) if error.is_unrecoverable_error() => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "redis does not track what we read: it is asked again instead");
            false
        }
    };
    let Hello { id, is_primary } = hello(answered(greeting)?)?;
    Ok(Identity {
        id,
        tracks,
        is_primary,
        tells_table: Table::read(&config).is_some(),
    })
}

/// A reply of a pipeline whose errors stand among its replies.
fn answered(reply: Value) -> Result<Value, RedisError> {
    match reply {
        Value::ServerError(error) => Err(error.into()),
        other => Ok(other),
    }
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
/// has dropped, and these keys, so that they stay warm (C19) and tracked. `told` is the
/// size of the table of tracked keys, for a server that does not tell.
pub(super) async fn check(
    live: &mut Live,
    keys: &[Vec<u8>],
    told: Option<Table>,
) -> Result<Vitals, RedisError> {
    let identity = live.identity();
    let mut commands = redis::pipe();
    commands.cmd("HELLO");
    for key in keys {
        commands.cmd("GET").arg(key);
    }
    if identity.tracks {
        commands.cmd("CLIENT").arg("TRACKINGINFO");
        commands.cmd("INFO").arg("stats");
    }
    // Each time, for it can be set at any time. Not where it was refused once: each
    // refusal would stand in the server's log.
    if identity.tracks && identity.tells_table {
        commands.cmd("CONFIG").arg("GET").arg(TABLE_SETTING);
    }
    commands.ignore_errors();
    let replies: Vec<Value> = commands.query_async(live.connection()).await?;
    let mut replies = replies.into_iter();
    let mut reply = || answered(replies.next().unwrap_or(Value::Nil));
    let hello = hello(reply()?)?;
    for _key in keys {
        // An error is no proof.
        reply()?;
    }
    let still_tracks = reply().is_ok_and(|info| is_tracking(&info));
    // Whoever refuses to tell these two goes on serving.
    let census = reply().ok().and_then(|info| Census::read(&info));
    let table = reply().ok().and_then(|config| Table::read(&config));
    let same = (hello.id, hello.is_primary) == (identity.id, identity.is_primary);
    Ok(if !same {
        Vitals::Changed
    } else if !identity.is_primary {
        Vitals::Replica
    } else if !identity.tracks {
        Vitals::Untracked
    } else if !still_tracks {
        Vitals::Changed
    } else {
        match (census, table.or(told)) {
            (Some(census), Some(table)) => Vitals::Sound(census, table),
            (Some(_), None) => Vitals::TableUnknown,
            (None, _) => Vitals::Untracked,
        }
    })
}

/// What a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vitals {
    Sound(Census, Table),
    /// It never tracked, or does not say what it drops: that was refused.
    Untracked,
    /// It tracks, but neither it nor anybody else says how many keys.
    TableUnknown,
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
    /// The last attempt to make it failed.
    Failed,
    Connecting {
        /// The attempt before this one failed.
        again: bool,
    },
    Ready(MultiplexedConnection),
}

/// How long a heartbeat waits for its canary.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    in_all: Duration,
    for_news: Duration,
}

impl Patience {
    /// After a question that was answered so soon. Behind a quick link a missing song is
    /// missed soon; behind a slow one it is given the time that it takes.
    pub(super) fn after(answer: Duration, limit: Duration) -> Self {
        Self {
            in_all: limit,
            for_news: (answer * ANSWERS_A_SONG).clamp(limit / 2, limit),
        }
    }
}

/// What came of changing the canary's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Song {
    Sung,
    /// It may have been, or may be later.
    Perhaps,
    Refused,
    /// The second connection is being made.
    NotYet,
    /// There is no way to change it: no second connection can be had.
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
    /// counts as deaf, and is known to have missed something when it hears again. So
    /// does a link whose canary may have sung, time and again, and was never heard.
    pub(super) async fn sing(
        &self,
        client: &Client,
        key: &str,
        ear: CanaryEar,
        patience: Patience,
    ) -> Heartbeat {
        let CanaryEar { mut heard, sung } = ear;
        let begin = Stopwatch::start();
        // One that was given up, and was heard after all, must not stand in for this one.
        let before = sung.times.load(Relaxed).max(*heard.borrow());
        sung.times.store(before + 1, Relaxed);
        let song = timeout(patience.in_all, self.change(client, key)).await;
        let song = song.unwrap_or_else(|_| {
            // Nothing may come through it any more although it is up.
            *self.outside.lock() = Outside::Absent;
            Song::Perhaps
        });
        // If nothing can be changed, nothing can be told: the server's word has to do.
        let word = Heartbeat::new(Hearing::Complete);
        if matches!(song, Song::Sung | Song::Perhaps) {
            let left = match song {
                Song::Sung => patience.in_all.saturating_sub(begin.elapsed()),
                _ => Duration::ZERO,
            };
            let news = heard.wait_for(|heard| *heard > before);
            if let Ok(Ok(_)) = timeout(left.min(patience.for_news), news).await {
                sung.in_vain.store(0, Relaxed);
                return word.lag(begin.elapsed());
            }
        } else {
            sung.times.store(before, Relaxed);
        }
        match song {
            Song::Refused => return word.writing(Writing::Refused),
            Song::NotYet | Song::Mute if before == 0 => return word,
            Song::NotYet => {}
            Song::Sung | Song::Perhaps | Song::Mute => {
                sung.in_vain.fetch_add(1, Relaxed);
            }
        }
        if !sung.is_deaf() {
            return Heartbeat::new(Hearing::Unclear);
        }
        // It could sing once, and was given a moment to find its voice again.
        if song == Song::Mute {
            return word;
        }
        sung.times.store(*heard.borrow(), Relaxed);
        Heartbeat::new(Hearing::Deaf)
    }

    async fn change(&self, client: &Client, key: &str) -> Song {
        let mut connection = match self.outside(client) {
            Ok(connection) => connection,
            Err(song) => return song,
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

    /// The second connection, or why there is none: nobody waits while it is made.
    fn outside(&self, client: &Client) -> Result<MultiplexedConnection, Song> {
        let mut outside = self.outside.lock();
        let excuse = |again| if again { Song::Mute } else { Song::NotYet };
        let again = match &*outside {
            Outside::Ready(connection) => return Ok(connection.clone()),
            Outside::Connecting { again } => return Err(excuse(*again)),
            Outside::Absent => false,
            Outside::Failed => true,
        };
        *outside = Outside::Connecting { again };
        let (place, client) = (Arc::clone(&self.outside), client.clone());
        tokio::spawn(async move {
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(None);
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            *place.lock() = connection.await.map_or(Outside::Failed, Outside::Ready);
        });
        Err(excuse(again))
    }
}
