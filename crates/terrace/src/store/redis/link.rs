//! One bare multiplexed connection, lazily made, replaced when it breaks.
//!
//! No connection manager: it puts a channel between the socket and the push
//! handler, and sends again what may have been executed (docs/adr/0003).
//!
//! A connection is handed out only after it tracks what we read; before that, and
//! before anybody hears that it is lost, the one before it is out of reach. So
//! whoever took note of the link's epoch and then got a connection knows that they
//! belong together, or finds the epoch passed.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisError, ServerErrorKind, aio::MultiplexedConnection,
};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{news::News, vitals};
use crate::{clock::Stopwatch, error::Error, store::Gap};

/// For all of TCP, TLS, HELLO and whatever we ask first: six trips of 300 ms at most.
/// Nobody is kept waiting by it, callers have deadlines of their own; but a server that
/// swallowed an attempt is tried again so much later.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// With the jitter, and a probe that comes 1.2 s later at worst: used again within 2 s.
const LONGEST_PAUSE: Duration = Duration::from_millis(600);
/// So many calls in a row without an answer, and the connection is replaced:
/// nothing may be coming through it any more although TCP is up.
const OVERDUE_IN_A_ROW: u32 = 3;
/// A connection that is lost sooner counts as a failed attempt.
const STEADY_AFTER: Duration = Duration::from_millis(500);
/// A server that refuses us is named in the log this often at most.
const COMPLAINT_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Link {
    inner: Arc<Inner>,
    maintained: AtomicBool,
    cancel: CancellationToken,
    _cancel_on_drop: DropGuard,
}

struct Inner {
    client: Client,
    news: Arc<News>,
    state: watch::Sender<State>,
    /// Serial of the newest connection.
    serial: AtomicU64,
    /// Serial of the newest connection that is known to be lost. A number and
    /// not a signal: news of an old connection's end must not end the next.
    lost: watch::Sender<u64>,
    overdue: AtomicU32,
}

#[derive(Clone)]
enum State {
    /// Callers wait for the attempt under way, under their own deadline.
    Connecting,
    Up(Live),
    /// The last attempt failed: callers fail at once.
    Down(Error),
}

/// A connection, for one call.
#[derive(Clone)]
pub(super) struct Live {
    connection: MultiplexedConnection,
    serial: u64,
    identity: Identity,
    made: Stopwatch,
}

/// What a connection was when it was made, and must be still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The server's number for the connection.
    pub(super) id: i64,
    /// Whether the server tells us what others change; some refuse to.
    pub(super) tracks: bool,
    /// Whether it is the one that takes writes. Another serves reads, and proves nothing.
    pub(super) is_primary: bool,
    /// Whether it lets us ask how many keys it tracks at most.
    pub(super) tells_table: bool,
}

impl Live {
    pub(super) fn age(&self) -> Duration {
        self.made.elapsed()
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    pub(super) fn connection(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }
}

impl Link {
    pub(super) fn new(url: &str) -> Result<Self, Error> {
        let client = Client::open(connection_info(url)?).map_err(|error| config_error(&error))?;
        Ok(Self::over(client))
    }

    #[cfg(feature = "tls")]
    pub(super) fn with_root(url: &str, pem: &[u8]) -> Result<Self, Error> {
        // Without this, every connection would fail, and nobody would know why.
        const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";
        if !pem.windows(MARK.len()).any(|window| window == MARK) {
            return Err(Error::config("redis root: no certificate in PEM"));
        }
        let certificates = redis::TlsCertificates {
            client_tls: None,
            root_cert: Some(pem.to_vec()),
        };
        let client = Client::build_with_tls(connection_info(url)?, certificates);
        Ok(Self::over(client.map_err(|error| config_error(&error))?))
    }

    fn over(client: Client) -> Self {
        let cancel = CancellationToken::new();
        Self {
            inner: Arc::new(Inner {
                client,
                state: watch::Sender::new(State::Connecting),
                serial: AtomicU64::new(0),
                lost: watch::Sender::new(0),
                news: Arc::default(),
                overdue: AtomicU32::new(0),
            }),
            maintained: AtomicBool::new(false),
            _cancel_on_drop: cancel.clone().drop_guard(),
            cancel,
        }
    }

    /// The connection, or why there is none. Waits while one is being made.
    pub(super) async fn live(&self) -> Result<Live, Error> {
        if !self.maintained.swap(true, Relaxed) {
            let maintain = maintain(Arc::clone(&self.inner));
            let cancel = self.cancel.clone();
            tokio::spawn(async move { cancel.run_until_cancelled(maintain).await });
        }
        let mut states = self.inner.state.subscribe();
        let settled = states
            .wait_for(|state| !matches!(state, State::Connecting))
            .await
            .map_err(|_| Error::unavailable("connecting", "the store is gone"))?;
        match &*settled {
            State::Up(live) => Ok(live.clone()),
            State::Down(error) => Err(error.clone()),
            State::Connecting => unreachable!("waited until it was something else"),
        }
    }

    pub(super) fn news(&self) -> &Arc<News> {
        &self.inner.news
    }

    /// For connections of another kind to the same server.
    pub(super) fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The connection is not what it should be: another takes its place.
    pub(super) fn replace(&self, used: &Live) {
        self.inner.lost(used.serial);
    }

    /// What a call says about the connection that it used.
    pub(super) fn report<T>(&self, used: &Live, reply: &Result<T, RedisError>) {
        match reply {
            Err(error) if error.is_unrecoverable_error() => self.inner.lost(used.serial),
            _ => self.inner.overdue.store(0, Relaxed),
        }
    }

    /// A call had no answer in time. That says something of a connection only if there is one.
    pub(super) fn overdue(&self) {
        let serial = match &*self.inner.state.borrow() {
            State::Up(live) => live.serial,
            State::Connecting | State::Down(_) => return,
        };
        if self.inner.overdue.fetch_add(1, Relaxed) + 1 >= OVERDUE_IN_A_ROW {
            self.inner.overdue.store(0, Relaxed);
            self.inner.lost(serial);
        }
    }
}

impl Inner {
    /// The connection of this serial is of no use any more. Nobody gets it from here
    /// on, and only then is it told that news may be missing.
    fn lost(&self, serial: u64) {
        let was_up = self.state.send_if_modified(|state| {
            let is_this = matches!(state, State::Up(live) if live.serial == serial);
            if is_this {
                *state = State::Connecting;
            }
            is_this
        });
        if was_up {
            self.news.gap(Gap::Lasting);
        }
        self.lost.send_if_modified(|lost| {
            let news = serial > *lost;
            *lost = serial.max(*lost);
            news
        });
    }

    /// Hands the connection out until it is lost. Whether it lived long enough to
    /// be worth another attempt at once.
    async fn hold(&self, live: Live) -> bool {
        let serial = live.serial;
        let mut lost = self.lost.subscribe();
        self.overdue.store(0, Relaxed);
        // A new connection is a gap, and it is over before anybody gets it.
        let is_primary = live.identity.is_primary;
        self.news
            .gap(if is_primary { Gap::Over } else { Gap::Lasting });
        self.state.send_replace(State::Up(live));
        let at_once = tokio::time::timeout(STEADY_AFTER, lost.wait_for(|lost| *lost >= serial));
        if at_once.await.is_ok() {
            // It may have been lost before it was up.
            self.lost(serial);
            return false;
        }
        tracing::info!(connection = serial, "redis is connected");
        // The sender is our own, so that the wait ends with a loss only.
        let _ = lost.wait_for(|lost| *lost >= serial).await;
        tracing::warn!(connection = serial, "redis connection is lost");
        true
    }

    async fn connect(self: &Arc<Self>) -> Result<Live, RedisError> {
        let serial = self.serial.fetch_add(1, Relaxed) + 1;
        let weak = Arc::downgrade(self);
        let on_push = move |push: PushInfo| {
            if let Some(inner) = weak.upgrade() {
                inner.heard(serial, &push);
            }
            Ok::<(), std::convert::Infallible>(())
        };
        let config = AsyncConnectionConfig::new()
            // The limit is around everything, and not for each part.
            .set_connection_timeout(None)
            // The deadline of a call is the cache's, around everything.
            .set_response_timeout(None)
            .set_push_sender(on_push);
        let client = &self.client;
        let connect = async {
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            let mut connection = connection.await?;
            let identity = vitals::identify(&mut connection).await?;
            Ok::<_, RedisError>((connection, identity))
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
        let (connection, identity) = connected.map_err(|_| silent())??;
        Ok(Live {
            connection,
            serial,
            identity,
            made: Stopwatch::start(),
        })
    }

    /// In the reader of the connection. A panic here (a value's `drop`, say) would
    /// end the reader without a word.
    fn heard(&self, serial: u64, push: &PushInfo) {
        if push.kind == PushKind::Disconnection {
            return self.lost(serial);
        }
        let told = std::panic::catch_unwind(AssertUnwindSafe(|| self.news.tell(push)));
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!(
                connection = serial,
                "redis told something that is not understood"
            );
            self.lost(serial);
        }
    }
}

fn silent() -> RedisError {
    let cause = std::io::Error::from(std::io::ErrorKind::TimedOut);
    RedisError::from(cause)
}

/// Keeps a connection for as long as the store lives.
async fn maintain(inner: Arc<Inner>) {
    let mut pause = Pause::default();
    loop {
        let state = match inner.connect().await {
            Ok(live) => {
                if inner.hold(live).await {
                    pause = Pause::default();
                    State::Connecting
                } else {
                    let cause = "each connection is lost at once";
                    State::Down(Error::unavailable("connecting to redis", cause))
                }
            }
            Err(error) => State::Down(to_error("connecting to redis", error)),
        };
        if let State::Down(error) = &state {
            pause.complain(error);
        }
        inner.state.send_replace(state);
        pause.sleep().await;
    }
}

/// The time between two attempts, growing, and when the log last heard of it.
struct Pause {
    next: Duration,
    quiet_for: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self {
            next: FIRST_PAUSE,
            quiet_for: Duration::MAX,
        }
    }
}

impl Pause {
    fn complain(&mut self, error: &Error) {
        if self.quiet_for >= COMPLAINT_EVERY {
            tracing::warn!(%error, "redis is not connected");
            self.quiet_for = Duration::ZERO;
        }
    }

    async fn sleep(&mut self) {
        let jittered = self.next.mul_f64(rand::random_range(0.8..1.2));
        tokio::time::sleep(jittered).await;
        self.quiet_for = self.quiet_for.saturating_add(jittered);
        self.next = (self.next * 2).min(LONGEST_PAUSE);
    }
}

fn connection_info(url: &str) -> Result<ConnectionInfo, Error> {
    let info = url
        .into_connection_info()
        .map_err(|error| config_error(&error))?;
    let is_tls = match info.addr() {
        ConnectionAddr::TcpTls { insecure: true, .. } => {
            return Err(Error::config("redis URL: TLS without verification"));
        }
        ConnectionAddr::TcpTls { .. } => true,
        _ => false,
    };
    if is_tls {
        prepare_tls()?;
    }
    let settings = info.redis_settings().clone();
    // RESP3 carries pushes, which is also how the end of a connection is told.
    Ok(info.set_redis_settings(settings.set_protocol(ProtocolVersion::RESP3)))
}

/// `redis` turns rustls on without a crypto provider, and would panic at the
/// first connection of a program that has not installed one.
#[cfg(feature = "tls")]
fn prepare_tls() -> Result<(), Error> {
    let provider = rustls::crypto::ring::default_provider();
    // An error means that there is one already: the program's choice stands.
    let _ = provider.install_default();
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn prepare_tls() -> Result<(), Error> {
    Err(Error::config(
        "redis URL: rediss:// needs terrace's feature `tls`",
    ))
}

/// Never with the crate's own text: it may quote the URL, and so a password.
fn config_error(error: &RedisError) -> Error {
    Error::config(match error.kind() {
        ErrorKind::InvalidClientConfig => {
            "redis URL: redis://, rediss:// or unix://, as HOST:PORT/DB or a path"
        }
        _ => "redis URL: it cannot be used",
    })
}

/// Whether Redis said no, or could not be asked.
pub(super) fn to_error(attempt: &str, error: RedisError) -> Error {
    let refused = match error.kind() {
        ErrorKind::Server(kind) => !matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
        ),
        ErrorKind::Extension => !has_code(&error, "BUSY"),
        _ => false,
    };
    if refused {
        Error::rejected(attempt, error)
    } else {
        Error::unavailable(attempt, error)
    }
}

pub(super) fn is_wrong_type(error: &Error) -> bool {
    error
        .load_error::<RedisError>()
        .is_some_and(|error| has_code(error, "WRONGTYPE"))
}

/// Of a command or of any command of a pipeline, whose error has no code itself.
fn has_code(error: &RedisError, code: &str) -> bool {
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == code))
}
