//! Redis 6+ or Valkey, one node, over one multiplexed connection.

mod link;
mod script;

use std::{collections::HashSet, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, aio::MultiplexedConnection};

use self::{
    link::{Link, Live},
    script::Scripts,
};
use super::{Fill, FillOutcome, Lease, LeaseRequest, Store, StoreFuture, Stored};
use crate::{
    envelope::Token,
    error::Error,
    key::{Slot, check_name},
};

const DEFAULT_NAMESPACE: &str = "terrace";
/// Keys a SCAN step looks at: 10 ms for other clients at worst with 500,000 keys.
const SCAN_COUNT: usize = 500;

/// The Redis (or Valkey) store. Feature `redis`, on by default.
///
/// Lazy: it connects at first use, on one multiplexed connection that is
/// replaced when it breaks (10 to 600 ms between attempts, with jitter), and a
/// program starts without Redis. A clone is the same store.
///
/// Every key is `NAMESPACE:v:{CACHE:KEY}` or `NAMESPACE:l:{CACHE:KEY}`; nothing
/// outside the namespace is read, written or deleted. Every value has a TTL.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    namespace: Arc<str>,
}

struct Shared {
    link: Link,
    scripts: Scripts,
    /// Names of caches, with their namespace.
    claims: Mutex<HashSet<String>>,
}

impl RedisStore {
    /// A store at `redis://`, `rediss://` (feature `tls`) or `unix://`, in the
    /// namespace `terrace`. Does not connect.
    ///
    /// `rediss://` verifies the server against Mozilla's roots. If the program
    /// has not installed a default rustls crypto provider, ring becomes it.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the URL cannot be used. The message
    /// never holds the URL, which may hold a password.
    ///
    /// ```
    /// let store = terrace::RedisStore::connect("redis://127.0.0.1:6379")?.namespace("shop")?;
    /// assert!(terrace::RedisStore::connect("http://example.org").unwrap_err().is_config());
    /// # Ok::<_, terrace::Error>(())
    /// ```
    pub fn connect(url: &str) -> Result<Self, Error> {
        Ok(Self::over(Link::new(url)?))
    }

    /// As [`connect`](Self::connect), trusting the certificates in `pem` instead of Mozilla's.
    #[cfg(feature = "tls")]
    pub fn connect_with_root(url: &str, pem: &[u8]) -> Result<Self, Error> {
        Ok(Self::over(Link::with_root(url, pem)?))
    }

    /// Puts every key below `namespace`, 1 to 32 of `a-z 0-9 _ -`.
    pub fn namespace(mut self, namespace: &str) -> Result<Self, Error> {
        check_name("namespace", namespace)?;
        self.namespace = Arc::from(namespace);
        Ok(self)
    }

    fn over(link: Link) -> Self {
        Self {
            shared: Arc::new(Shared {
                link,
                scripts: Scripts::new(),
                claims: Mutex::default(),
            }),
            namespace: Arc::from(DEFAULT_NAMESPACE),
        }
    }

    fn value_key(&self, slot: &Slot) -> String {
        format!("{}:v:{{{}}}", self.namespace, slot.full_key())
    }

    fn lease_key(&self, slot: &Slot) -> String {
        format!("{}:l:{{{}}}", self.namespace, slot.full_key())
    }

    fn claim_name(&self, cache: &str) -> String {
        format!("{}:{cache}", self.namespace)
    }

    async fn send<T: FromRedisValue>(&self, attempt: &str, command: Cmd) -> Result<T, Error> {
        let mut live = self.shared.link.live().await?;
        let reply = command.query_async(live.connection()).await;
        self.settle(attempt, &live, reply)
    }

    async fn send_all<T: FromRedisValue>(
        &self,
        attempt: &str,
        commands: Pipeline,
    ) -> Result<T, Error> {
        let mut live = self.shared.link.live().await?;
        let reply = commands.query_async(live.connection()).await;
        self.settle(attempt, &live, reply)
    }

    async fn run<T: FromRedisValue>(
        &self,
        attempt: &str,
        invoke: impl AsyncFnOnce(&Scripts, &mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Error> {
        let mut live = self.shared.link.live().await?;
        let reply = invoke(&self.shared.scripts, live.connection()).await;
        self.settle(attempt, &live, reply)
    }

    fn settle<T>(
        &self,
        attempt: &str,
        live: &Live,
        reply: Result<T, RedisError>,
    ) -> Result<T, Error> {
        self.shared.link.report(live, &reply);
        reply.map_err(|error| link::to_error(attempt, error))
    }

    /// Every key of the pattern, in batches, each handed to `remove`.
    async fn sweep(
        &self,
        pattern: &str,
        step: Duration,
        remove: impl Fn(&[Vec<u8>]) -> Cmd,
    ) -> Result<u64, Error> {
        const ATTEMPT: &str = "scanning the namespace";
        let (mut cursor, mut removed) = (0u64, 0u64);
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern);
            scan.arg("COUNT").arg(SCAN_COUNT);
            let scan = self.in_time(step, self.send(ATTEMPT, scan));
            let (next, keys): (u64, Vec<Vec<u8>>) = scan.await?;
            if !keys.is_empty() {
                let removal = self.send::<u64>(ATTEMPT, remove(&keys));
                self.in_time(step, removal).await?;
                removed += u64::try_from(keys.len()).unwrap_or(u64::MAX);
            }
            if next == 0 {
                return Ok(removed);
            }
            cursor = next;
        }
    }

    async fn in_time<T>(
        &self,
        step: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::time::timeout(step, call).await.unwrap_or_else(|_| {
            self.overdue();
            Err(Error::store_timeout("scanning the namespace", step))
        })
    }

    /// The lease key that belongs to a value key of ours.
    fn lease_of_value(&self, value_key: &[u8]) -> Vec<u8> {
        let mut key = value_key.to_vec();
        key[self.namespace.len() + 1] = b'l';
        key
    }
}

impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "Redis"
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        Box::pin(async move {
            let key = self.value_key(slot);
            let mut commands = redis::pipe();
            // GETRANGE and not GET: a value of 512 MiB must not be read. The two
            // commands need not be atomic: the life counts from the send.
            commands.cmd("GETRANGE").arg(&key).arg(0).arg(limit - 1);
            commands.cmd("PTTL").arg(&key);
            let reply = self.send_all("reading a value", commands).await;
            let (bytes, pttl): (Vec<u8>, i64) = match reply {
                Err(error) if link::is_wrong_type(&error) => (vec![0], -1),
                other => other?,
            };
            // An absent key reads as an empty string, and no envelope is empty.
            Ok((!bytes.is_empty()).then(|| stored(bytes, pttl)))
        })
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            let (value, lease) = (self.value_key(slot), self.lease_key(slot));
            let (kind, bytes, pttl): (i64, Vec<u8>, i64) = self
                .run("asking for a lease", async |scripts, connection| {
                    scripts.lease(connection, &value, &lease, request).await
                })
                .await?;
            Ok(match kind {
                0 => Lease::Value(stored(bytes, pttl)),
                1 => Lease::Held(millis(pttl).unwrap_or(Duration::ZERO)),
                _ => Lease::Yours,
            })
        })
    }

    fn force<'a>(
        &'a self,
        slot: &'a Slot,
        token: Token,
        hold: Duration,
    ) -> StoreFuture<'a, Option<Token>> {
        Box::pin(async move {
            let (value, lease) = (self.value_key(slot), self.lease_key(slot));
            let previous: Vec<u8> = self
                .run("taking a lease", async |scripts, connection| {
                    scripts.force(connection, &value, &lease, token, hold).await
                })
                .await?;
            Ok(previous.try_into().ok().map(Token::from_bytes))
        })
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        Box::pin(async move {
            let (value, lease) = (self.value_key(slot), self.lease_key(slot));
            let stored: i64 = self
                .run("storing a value", async |scripts, connection| {
                    scripts.fill(connection, &value, &lease, &fill).await
                })
                .await?;
            Ok(if stored == 1 {
                FillOutcome::Stored
            } else {
                FillOutcome::Refused
            })
        })
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let lease = self.lease_key(slot);
            self.run("giving a lease back", async |scripts, connection| {
                scripts.release(connection, &lease, token).await
            })
            .await
        })
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("DEL");
            command.arg(self.value_key(slot)).arg(self.lease_key(slot));
            self.send("removing a key", command).await
        })
    }

    fn clear<'a>(&'a self, cache: &'a str, step: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            // Neither a namespace nor a name has a character that MATCH knows.
            let pattern = |family| format!("{}:{family}:{{{cache}:*", self.namespace);
            // Leases first: whatever is filled while the values are walked has a
            // lease younger than this call.
            let del = |keys: &[Vec<u8>]| redis::cmd("DEL").arg(keys).take();
            self.sweep(&pattern('l'), step, del).await?;
            let unlink = |keys: &[Vec<u8>]| {
                let mut command = redis::cmd("UNLINK");
                for key in keys {
                    command.arg(key).arg(self.lease_of_value(key));
                }
                command
            };
            self.sweep(&pattern('v'), step, unlink).await
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let reply: String = self.send("probing", redis::cmd("PING")).await?;
            if reply == "PONG" {
                return Ok(());
            }
            Err(Error::unavailable("probing", "an odd reply to PING"))
        })
    }

    fn overdue(&self) {
        self.shared.link.overdue();
    }

    fn claim(&self, cache: &str) -> bool {
        self.shared.claims.lock().insert(self.claim_name(cache))
    }

    fn disclaim(&self, cache: &str) {
        self.shared.claims.lock().remove(&self.claim_name(cache));
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

fn stored(bytes: Vec<u8>, pttl: i64) -> Stored {
    Stored {
        bytes: Bytes::from(bytes),
        remaining: millis(pttl),
    }
}

/// PTTL's reply: -1 is a key without an end, -2 one that has just gone.
fn millis(pttl: i64) -> Option<Duration> {
    match pttl {
        -2 => Some(Duration::ZERO),
        other => u64::try_from(other).ok().map(Duration::from_millis),
    }
}
