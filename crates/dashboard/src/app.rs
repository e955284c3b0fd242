//! The application: puts the rooms together, listens, and stops in order.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::manager::{CacheError, CacheManager};
use crate::config::Config;
use crate::http::{self, Front, Rooms, listener, ws::Pace};
use crate::live::hub::Hub;
use crate::live::refresher::Refresher;
use crate::market::service::{DataService, ServiceError};

/// What finding out what other instances know may take at the start; the service is to be ready
/// within two seconds, whatever Redis does.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// Why the application could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}")]
    Listen {
        /// What HOST and PORT said.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },
    /// The caches could not be built.
    #[error("building the caches")]
    Cache(#[from] CacheError),
    /// The data service could not be started.
    #[error("starting the data service")]
    Service(#[from] ServiceError),
}

/// The service, listening but not yet answering.
#[derive(Debug)]
pub struct Application {
    listener: TcpListener,
    address: SocketAddr,
    front: Front,
    cache: Arc<CacheManager>,
    refresher: Refresher,
    stop: CancellationToken,
    sessions: TaskTracker,
}

impl Application {
    /// Listens, and starts the refresher. The address is taken first, so that a program
    /// that cannot be reached asks no source anything.
    ///
    /// # Errors
    /// When the address is taken, or a room cannot be built.
    pub async fn build(config: Config) -> Result<Self, BuildError> {
        Self::build_with(config, Pace::default()).await
    }

    /// As [`Application::build`], with another pace for silent WebSocket clients.
    ///
    /// # Errors
    /// As [`Application::build`].
    pub async fn build_with(config: Config, pace: Pace) -> Result<Self, BuildError> {
        let (listener, address) = listen(SocketAddr::new(config.host, config.port)).await?;
        let stop = CancellationToken::new();
        let sessions = TaskTracker::new();
        let cache = Arc::new(CacheManager::build(&config)?);
        let service = DataService::start(&config, Some(Arc::clone(&cache)))?;
        let hub = Hub::new();
        let refresher = Refresher::start(&config, Arc::clone(&service), hub.clone(), stop.clone());
        if timeout(SETTLE_LIMIT, refresher.settled()).await.is_err() {
            tracing::debug!("answering before the board could be read");
        }
        let front = http::front(Rooms {
            config,
            cache: Arc::clone(&cache),
            service,
            hub,
            refresher: refresher.clone(),
            stop: stop.clone(),
            tasks: sessions.clone(),
            pace,
        });
        Ok(Self {
            listener,
            address,
            front,
            cache,
            refresher,
            stop,
            sessions,
        })
    }

    /// Where it listens; the port is the real one, also where PORT was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` ends, then stops: not ready and no new connections at once,
    /// WebSockets closed with 1001, requests under way answered, for ten seconds at most.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let answering = listener::run(self.listener, self.front, self.stop.clone());
        let stopping = async {
            shutdown.await;
            tracing::info!("stopping");
            self.stop.cancel();
        };
        tokio::join!(answering, stopping);
        self.sessions.close();
        if timeout(listener::DRAIN_DEADLINE, self.sessions.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                left = self.sessions.len(),
                "stopped with WebSockets still open"
            );
        }
        if timeout(listener::DRAIN_DEADLINE, self.refresher.ended())
            .await
            .is_err()
        {
            tracing::warn!("stopped with the refresher still at work");
        }
        if timeout(listener::DRAIN_DEADLINE, self.cache.close())
            .await
            .is_err()
        {
            tracing::warn!("stopped with writes to the store still under way");
        }
        tracing::info!("stopped");
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BuildError> {
    let failed = |source| BuildError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Ends at the first SIGTERM or SIGINT. The second one ends the process at once: whoever
/// asks twice does not want to wait for the slowest client.
///
/// # Errors
/// When the system lets us listen for no signals.
pub fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (first, told) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut either = async || {
            tokio::select! {
                _ = terminate.recv() => 143,
                _ = interrupt.recv() => 130,
            }
        };
        either().await;
        // Nobody waits any more: the program is ending by itself.
        let _ = first.send(());
        let code = either().await;
        tracing::warn!("told twice to stop: leaving at once");
        std::process::exit(code);
    });
    Ok(async {
        // The task above never drops its end before it was told.
        let _ = told.await;
    })
}
