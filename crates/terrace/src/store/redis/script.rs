//! The scripts that are fences. Each touches one slot; each ends with a read of
//! what it wrote, so that client-side tracking stays registered.

use std::time::Duration;

use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ServerErrorKind,
    aio::MultiplexedConnection,
};

use super::keys::Keys;
use crate::{
    envelope::{HEADER_BYTES, Token},
    store::{Fill, LeaseRequest},
    tag::{Epoch, Mark},
};

/// Value unless its token is refused; else the lease that is there; else a new one.
/// A value of another type, or too short to be an envelope, counts as absent; so
/// does a lease without an end, which nobody of ours has made.
const LEASE: &str = r"
local value = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[4] - 1)
if type(value) == 'string' and #value >= tonumber(ARGV[5])
   and (ARGV[3] == '' or string.sub(value, 9, 24) ~= ARGV[3]) then
  return {0, value, redis.call('PTTL', KEYS[1])}
end
local left = redis.call('PTTL', KEYS[2])
if left >= 0 then return {1, '', left} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('EXISTS', KEYS[2])
return {2, '', 0}";

/// Takes the lease from whoever has it; the value stays, its token is told.
const FORCE: &str = r"
local token = redis.pcall('GETRANGE', KEYS[1], 8, 23)
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
if type(token) == 'string' then return token end
return ''";

/// Stores under the lease. The value is written before the lease is dropped: an
/// out-of-memory error must not cost the lease.
const FILL: &str = r"
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  redis.call('DEL', KEYS[2])
  redis.call('EXISTS', KEYS[1])
  return 1
end
if ARGV[4] ~= '' then
  local token = redis.pcall('GETRANGE', KEYS[1], 8, 23)
  if token == ARGV[4] then redis.call('DEL', KEYS[1]) end
end
return 0";

const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// The epoch that is there, or else this new one. One that has less than half of its
/// life left gets a whole one. Ends with a read, so that the next change by anybody is
/// told: a new end of its life ends the registration as a new value does (C6).
const EPOCH: &str = r"
local epoch = redis.pcall('GET', KEYS[1])
if type(epoch) == 'string' and #epoch == 16 then
  if redis.call('PTTL', KEYS[1]) < ARGV[2] / 2 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return redis.call('GET', KEYS[1])";

/// A new epoch, and the read that keeps it tracked: without it, one's own write
/// would end the registration, and the next removal elsewhere go unheard (C6).
const RENEW: &str = r"
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('EXISTS', KEYS[1])";

/// Of the epochs that each entry carries. Longer than any entry lives; an epoch that
/// runs out takes its entries with it.
const EPOCH_LIFE: Duration = Duration::from_secs(3 * 31_536_000);
/// Of a tag's. There may be a tag for each user, and nothing tells when the last
/// member of one has gone. Whoever stores a member asks for the epoch first, so at
/// least half of this is left then.
const TAG_LIFE: Duration = Duration::from_secs(31 * 86_400);

/// Where an epoch stands, and for how long.
pub(super) struct Place {
    pub(super) key: Vec<u8>,
    life: Duration,
}

impl Place {
    pub(super) fn new(keys: &Keys, cache: &str, mark: Mark<'_>) -> Self {
        Self {
            key: keys.mark(cache, mark),
            life: match mark {
                Mark::Tag(_) => TAG_LIFE,
                Mark::Clear | Mark::Clock => EPOCH_LIFE,
            },
        }
    }

    /// Whether an epoch with so much left (as PTTL says it) is given a new life.
    pub(super) fn is_to_be_renewed(&self, pttl: i64) -> bool {
        u64::try_from(pttl).is_ok_and(|left| left < millis(self.life / 2))
    }

    /// Whether that is asked each time. The others are renewed by each `clear` and each
    /// removal of a tag, and are asked for with every read of a new process.
    pub(super) fn has_short_life(&self) -> bool {
        self.life == TAG_LIFE
    }
}

/// By their texts and not by hash: a script that Redis had forgotten would be
/// skipped, and the one after it would not.
pub(super) fn epochs(places: &[Place]) -> Pipeline {
    in_order(EPOCH, places.iter().map(|place| (place, Epoch::random())))
}

/// Writes these epochs, in order.
pub(super) fn renew(epochs: &[(Place, Epoch)]) -> Pipeline {
    in_order(RENEW, epochs.iter().map(|(place, epoch)| (place, *epoch)))
}

fn in_order<'a>(script: &str, epochs: impl Iterator<Item = (&'a Place, Epoch)>) -> Pipeline {
    let mut commands = redis::pipe();
    for (Place { key, life }, epoch) in epochs {
        let command = commands.cmd("EVAL").arg(script).arg(1).arg(key);
        command.arg(epoch.as_bytes()).arg(millis(*life));
    }
    commands
}

pub(super) struct Scripts {
    lease: Fence,
    force: Fence,
    fill: Fence,
    release: Fence,
}

struct Fence {
    code: &'static str,
    hash: String,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            lease: Fence::new(LEASE),
            force: Fence::new(FORCE),
            fill: Fence::new(FILL),
            release: Fence::new(RELEASE),
        }
    }

    pub(super) async fn lease<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        value: &str,
        lease: &str,
        request: LeaseRequest,
    ) -> Result<T, RedisError> {
        let refuse = request.refuse.as_ref().map_or(&[][..], |t| t.as_bytes());
        let arguments = |command: &mut Cmd| {
            command.arg(2).arg(value).arg(lease);
            command
                .arg(request.token.as_bytes())
                .arg(millis(request.hold));
            command.arg(refuse).arg(request.limit).arg(HEADER_BYTES);
        };
        self.lease.run(connection, arguments).await
    }

    pub(super) async fn force<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        value: &str,
        lease: &str,
        token: Token,
        hold: Duration,
    ) -> Result<T, RedisError> {
        let arguments = |command: &mut Cmd| {
            command.arg(2).arg(value).arg(lease);
            command.arg(token.as_bytes()).arg(millis(hold));
        };
        self.force.run(connection, arguments).await
    }

    pub(super) async fn fill<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        value: &str,
        lease: &str,
        fill: &Fill,
    ) -> Result<T, RedisError> {
        let replaces = fill.replaces.as_ref().map_or(&[][..], |t| t.as_bytes());
        let arguments = |command: &mut Cmd| {
            command.arg(2).arg(value).arg(lease);
            command.arg(fill.token.as_bytes()).arg(&fill.bytes[..]);
            command.arg(millis(fill.life)).arg(replaces);
        };
        self.fill.run(connection, arguments).await
    }

    pub(super) async fn release<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        lease: &str,
        token: Token,
    ) -> Result<T, RedisError> {
        let arguments = |command: &mut Cmd| {
            command.arg(1).arg(lease).arg(token.as_bytes());
        };
        self.release.run(connection, arguments).await
    }
}

impl Fence {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: Script::new(code).get_hash().to_owned(),
        }
    }

    /// By hash; if Redis has forgotten the script, once by its text. Nothing had
    /// been executed then, so this is no second attempt of anything.
    async fn run<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        arguments: impl Fn(&mut Cmd),
    ) -> Result<T, RedisError> {
        let mut by_hash = redis::cmd("EVALSHA");
        by_hash.arg(&self.hash);
        arguments(&mut by_hash);
        match by_hash.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let mut by_text = redis::cmd("EVAL");
                by_text.arg(self.code);
                arguments(&mut by_text);
                by_text.query_async(connection).await
            }
            reply => reply,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
