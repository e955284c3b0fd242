//! Redis 6.2+ or Valkey, one node, over one multiplexed connection.

mod line;
mod link;
mod vitals;
mod census;
mod news;
mod script;
mod sweep;
pub(crate) mod keys;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Once, Weak},
    time::Duration,
};

use bytes::Bytes;
use redis::Value;
use tokio::time::timeout;

use self::{
    census::{TABLE_SETTING, Table},
    keys::Keys,
    line::Line,
    link::Link,
    script::{Place, Scripts},
    vitals::{Canary, Patience, Vitals},
};
use super::{
    Fill, FillOutcome, Health, Hearing, Heartbeat, Lease, LeaseRequest, Listener, Store,
    StoreFuture, Stored, Writing,
};
use crate::{
    clock::Stopwatch,
    envelope::{self, Token},
    error::Error,
    key::{Slot, check_name},
    pattern::Pattern,
    tag::{Epoch, Mark},
};

const DEFAULT_NAMESPACE: &str = "terrace";
const EPOCH_BYTES: usize = 16;
/// The address may lead to the primary the next time.
const REPLICA_IS_KEPT_FOR: Duration = Duration::from_millis(1_500);

/// The Redis (6.2 and later, or Valkey) store. Feature `redis`, on by default.
///
/// Lazy: it connects at first use, on one multiplexed connection that is
/// replaced when it breaks (10 to 600 ms between attempts, with jitter), and a
/// program starts without Redis. A clone is the same store.
///
/// Redis tells that connection what others change (client-side tracking). A second,
/// idle one finds out whether that arrives.
///
/// Every key begins with `NAMESPACE:v:`, `:l:` or `:t:`; nothing outside the
/// namespace is read, written or deleted. Every key has a TTL.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
    keys: Keys,
    /// As its owner says, for a server that does not.
    table: Option<Table>,
}

struct Shared {
    link: Link,
    scripts: Scripts,
    canary: Canary,
    health: Arc<Health>,
    /// That the size of the server's table of tracked keys is not known.
    complaint: Once,
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
        self.keys = Keys::new(namespace);
        Ok(self)
    }

    /// How many keys the server tracks at most, where it refuses `CONFIG GET`: its
    /// `tracking-table-max-keys`; 0 for no limit. Where it can be asked, its answer counts.
    ///
    /// A server whose table is full drops keys from it, and does not tell a client of
    /// those that its own reads push out. So each heartbeat compares what is tracked with
    /// this size. While it is not known, the link counts as deaf, and what is older than
    /// `max_staleness` is looked at again: one small round trip for an entry and that time.
    /// A size that is too large is worse than none: stale values count as proven.
    ///
    /// ```
    /// // Redis has 1,000,000, unless it was set.
    /// let store = terrace::RedisStore::connect("redis://127.0.0.1:6379")?.tracking_table(1_000_000);
    /// # Ok::<_, terrace::Error>(())
    /// ```
    pub fn tracking_table(mut self, keys: u64) -> Self {
        self.table = Some(Table(keys));
        self
    }

    fn over(link: Link) -> Self {
        Self {
            shared: Arc::new(Shared {
                link,
                scripts: Scripts::new(),
                canary: Canary::new(),
                health: Arc::default(),
                complaint: Once::new(),
            }),
            keys: Keys::new(DEFAULT_NAMESPACE),
            table: None,
        }
    }

    async fn line(&self) -> Result<Line<'_>, Error> {
        Line::open(&self.shared.link).await
    }

    /// Another key's envelope either stands there, put there by somebody, or is the
    /// reply to another question: then nothing that the connection says is to be
    /// trusted. What stands there is found again. (Repaired meanwhile, it is not: that
    /// costs a connection.)
    async fn refuse_stray(
        &self,
        mut line: Line<'_>,
        slot: &Slot,
        bytes: &[u8],
    ) -> Result<(), Error> {
        const ATTEMPT: &str = "reading a value again";
        if !envelope::is_of_another(bytes, slot.full_key()) {
            return Ok(());
        }
        let Range { start, end } = Token::RANGE;
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.keys.value(slot)).arg(start).arg(end - 1);
        let token: Vec<u8> = line.send(ATTEMPT, command).await?;
        if token == bytes[Token::RANGE] {
            return Ok(());
        }
        tracing::warn!(key = ?slot, "redis answered another question");
        line.replace();
        Err(Error::unavailable(ATTEMPT, "replies are out of step"))
    }

    fn complain(&self) {
        self.shared.complaint.call_once(|| {
            let namespace = self.keys.namespace();
            let advice = "RedisStore::tracking_table";
            tracing::warn!(
                namespace,
                setting = TABLE_SETTING,
                advice,
                "redis does not say how many keys it tracks: it is asked again instead"
            );
        });
    }
}

impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "Redis"
    }

    fn health(&self) -> &Arc<Health> {
        &self.shared.health
    }

    fn get<'a>(&'a self, slot: &'a Slot, limit: usize) -> StoreFuture<'a, Option<Stored>> {
        Box::pin(async move {
            let key = self.keys.value(slot);
            let mut commands = redis::pipe();
            // GETRANGE and not GET: a value of 512 MiB must not be read. The two
            // commands need not be atomic: the life counts from the send.
            commands.cmd("GETRANGE").arg(&key).arg(0).arg(limit - 1);
            commands.cmd("PTTL").arg(&key);
            let mut line = self.line().await?;
            let reply = line.send_all("reading a value", commands).await;
            let (bytes, pttl): (Vec<u8>, i64) = match reply {
                Err(error) if link::is_wrong_type(&error) => (vec![0], -1),
                other => other?,
            };
            self.refuse_stray(line, slot, &bytes).await?;
            // An absent key reads as an empty string, and no envelope is empty.
            Ok((!bytes.is_empty()).then(|| stored(bytes, pttl)))
        })
    }

    fn lease<'a>(&'a self, slot: &'a Slot, request: LeaseRequest) -> StoreFuture<'a, Lease> {
        Box::pin(async move {
            let (value, lease) = (self.keys.value(slot), self.keys.lease(slot));
            let mut line = self.line().await?;
            let scripts = &self.shared.scripts;
            let reply = scripts.lease(line.connection(), &value, &lease, request);
            let reply = reply.await;
            let (kind, bytes, pttl): (i64, Vec<u8>, i64) =
                line.settle("asking for a lease", reply)?;
            self.refuse_stray(line, slot, &bytes).await?;
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
            let (value, lease) = (self.keys.value(slot), self.keys.lease(slot));
            let mut line = self.line().await?;
            let scripts = &self.shared.scripts;
            let reply = scripts.force(line.connection(), &value, &lease, token, hold);
            let reply = reply.await;
            let previous: Vec<u8> = line.settle("taking a lease", reply)?;
            Ok(previous.try_into().ok().map(Token::from_bytes))
        })
    }

    fn fill<'a>(&'a self, slot: &'a Slot, fill: Fill) -> StoreFuture<'a, FillOutcome> {
        Box::pin(async move {
            let (value, lease) = (self.keys.value(slot), self.keys.lease(slot));
            let mut line = self.line().await?;
            let scripts = &self.shared.scripts;
            let reply = scripts.fill(line.connection(), &value, &lease, &fill).await;
            let stored: i64 = line.settle("storing a value", reply)?;
            Ok(if stored == 1 {
                FillOutcome::Stored
            } else {
                FillOutcome::Refused
            })
        })
    }

    fn release<'a>(&'a self, slot: &'a Slot, token: Token) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let lease = self.keys.lease(slot);
            let mut line = self.line().await?;
            let scripts = &self.shared.scripts;
            let reply = scripts.release(line.connection(), &lease, token).await;
            let _number: i64 = line.settle("giving a lease back", reply)?;
            Ok(())
        })
    }

    fn remove<'a>(&'a self, slot: &'a Slot) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut command = redis::cmd("DEL");
            command
                .arg(self.keys.value(slot))
                .arg(self.keys.lease(slot));
            // Any other reply than a number is to another question: nothing is done then.
            let _number: i64 = self.line().await?.send("removing a key", command).await?;
            Ok(())
        })
    }

    fn remove_matching<'a>(
        &'a self,
        cache: &'a str,
        pattern: &'a Pattern,
        step: Duration,
    ) -> StoreFuture<'a, u64> {
        Box::pin(sweep::remove_matching(self, cache, pattern, step))
    }

    fn epochs<'a>(&'a self, cache: &'a str, marks: &'a [Mark<'a>]) -> StoreFuture<'a, Vec<Epoch>> {
        const ATTEMPT: &str = "reading epochs";
        Box::pin(async move {
            let place = |mark: &Mark<'_>| Place::new(&self.keys, cache, *mark);
            let places: Vec<_> = marks.iter().map(place).collect();
            let mut commands = redis::pipe();
            for place in &places {
                commands.cmd("GET").arg(&place.key);
            }
            let aging = || places.iter().filter(|place| place.has_short_life());
            for place in aging() {
                commands.cmd("PTTL").arg(&place.key);
            }
            let mut line = self.line().await?;
            let mut found: Vec<Value> = match line.send_all(ATTEMPT, commands).await {
                Err(error) if link::is_wrong_type(&error) => Vec::new(),
                other => other?,
            };
            let lives = found.split_off(found.len().min(marks.len()));
            let is_short = |(place, life): (&Place, &Value)| match life {
                Value::Int(pttl) => place.is_to_be_renewed(*pttl),
                _ => false,
            };
            let is_any_short = aging().zip(&lives).any(is_short);
            if let Some(epochs) = epochs_of(&found, marks.len())
                && !is_any_short
            {
                return Ok(epochs);
            }
            // One is missing, or soon will be: all of them once more, for the order counts.
            let found: Vec<Value> = line.send_all(ATTEMPT, script::epochs(&places)).await?;
            let odd = || Error::unavailable(ATTEMPT, "an odd reply");
            epochs_of(&found, marks.len()).ok_or_else(odd)
        })
    }

    fn renew<'a>(&'a self, cache: &'a str, epochs: &'a [(Mark<'a>, Epoch)]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let placed = |(mark, epoch): &(Mark<'_>, Epoch)| {
                let place = Place::new(&self.keys, cache, *mark);
                (place, *epoch)
            };
            let epochs: Vec<_> = epochs.iter().map(placed).collect();
            let mut line = self.line().await?;
            let _numbers: Vec<i64> = line
                .send_all("writing epochs", script::renew(&epochs))
                .await?;
            Ok(())
        })
    }

    fn heartbeat<'a>(&'a self, cache: &'a str, limit: Duration) -> StoreFuture<'a, Heartbeat> {
        Box::pin(async move {
            let link = &self.shared.link;
            let canary = self.keys.canary(cache, self.shared.canary.id);
            let mut keys = [Mark::Clear, Mark::Clock]
                .map(|mark| self.keys.mark(cache, mark))
                .to_vec();
            keys.push(canary.clone().into_bytes());
            let check = async {
                let mut line = self.line().await?;
                let asked = Stopwatch::start();
                let vitals = vitals::check(line.live(), &keys, self.table).await;
                let patience = Patience::after(asked.elapsed(), limit);
                Ok((line.settle("probing", vitals)?, line, patience))
            };
            let checked = timeout(limit, check).await;
            let (vitals, mut line, patience) =
                checked.unwrap_or_else(|_| Err(Error::store_timeout("probing", limit)))?;
            let place = (self.keys.namespace(), cache);
            match vitals {
                Vitals::Sound(census, table) => {
                    let dropped =
                        link.news().has_moved(place, census.evicted) || census.fills(table);
                    if dropped {
                        return Ok(Heartbeat::new(Hearing::Deaf));
                    }
                }
                Vitals::Untracked => return Ok(Heartbeat::new(Hearing::Deaf)),
                Vitals::TableUnknown => {
                    self.complain();
                    return Ok(Heartbeat::new(Hearing::Deaf));
                }
                Vitals::Replica if line.live().age() < REPLICA_IS_KEPT_FOR => {
                    return Ok(Heartbeat::new(Hearing::Behind).writing(Writing::Refused));
                }
                Vitals::Replica | Vitals::Changed => {
                    line.replace();
                    let cause = "it is not the primary it was";
                    return Err(Error::unavailable("probing", cause));
                }
            }
            let Some(ear) = link.news().canary(place) else {
                return Ok(Heartbeat::new(Hearing::Deaf));
            };
            let canary = (self.shared.canary).sing(link.client(), &canary, ear, patience);
            Ok(canary.await)
        })
    }

    fn overdue(&self) {
        self.shared.link.overdue();
    }

    fn listen(&self, cache: &str, listener: Weak<dyn Listener>) -> bool {
        let news = self.shared.link.news();
        news.listen((self.keys.namespace(), cache), listener)
    }

    fn hush(&self, cache: &str, listener: &Weak<dyn Listener>) {
        let news = self.shared.link.news();
        news.hush((self.keys.namespace(), cache), listener);
    }
}

/// One epoch for each mark, or none at all.
fn epochs_of(found: &[Value], wanted: usize) -> Option<Vec<Epoch>> {
    let epoch = |reply: &Value| match reply {
        Value::BulkString(bytes) => <[u8; EPOCH_BYTES]>::try_from(&bytes[..]).ok(),
        _ => None,
    };
    let epochs = found
        .iter()
        .map(|reply| epoch(reply).map(Epoch::from_bytes));
    let epochs = epochs.collect::<Option<Vec<_>>>();
    epochs.filter(|epochs| epochs.len() == wanted)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("namespace", &self.keys.namespace())
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
