//! The accept loop: connections in, a bounded number of them, and out again at the end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::front::Front;
use super::patience::{Idle, lasting};

/// Connections at once. Above it new ones wait in the kernel's queue. It leaves room for
/// WS_MAX_CLIENTS and stays below the usual hard limit of 20,000 descriptors.
const MAX_CONNECTIONS: usize = 16_384;

/// How much of a head is read, and how many headers it may have: 431 above.
const HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// The pause after a failed accept (no descriptors left, usually): without it the loop spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the other end may leave unconfirmed, or find no room for, what was sent. A host that has
/// vanished says nothing, and the system would go on trying for a quarter of an hour.
#[cfg(target_os = "linux")]
const TAKE_DEADLINE: Duration = Duration::from_secs(10);

/// What the system keeps of one connection that the other end has no room for. It would keep some
/// megabytes, which nobody wants any more when they arrive (ADR 0018).
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 16 * 1024;

/// How long requests under way may take once the service stops.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Accepts until `stop`, then lets what is under way end, for [`DRAIN_DEADLINE`] at most.
pub async fn run(listener: TcpListener, front: Front, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let work = serve(stream, from, front.clone(), stop.clone());
                connections.spawn(async move {
                    work.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closing the listener first lets a successor bind while the last answers go out.
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_DEADLINE, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            left = connections.len(),
            "stopped with requests still under way"
        );
    }
}

async fn serve(stream: TcpStream, from: SocketAddr, front: Front, stop: CancellationToken) {
    // Each connection has its own handle: requests of different threads do not count up and
    // down in one place.
    let (front, idle) = (Arc::new(front), Arc::new(Idle::new()));
    let own = Arc::clone(&idle);
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (front, idle) = (Arc::clone(&front), Arc::clone(&own));
        async move {
            let _busy = idle.busy();
            Ok::<_, Infallible>(lasting(front.answer(request, from).await, &idle))
        }
    });
    prepare(&stream);
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    tokio::pin!(connection);
    // Waiting on token and timer directly would ask both at each turn of the connection, the
    // token under a lock that all connections share; a set asks only what was woken.
    let end = async {
        tokio::select! {
            () = stop.cancelled() => End::Stopping,
            () = idle.too_long() => End::Idle,
        }
    };
    let mut end: FuturesUnordered<_> = [end].into_iter().collect();
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        end = end.next() => match end {
            Some(End::Stopping) => {
                connection.as_mut().graceful_shutdown();
                // hyper would wait for the rest of a head that was begun; nobody else does.
                tokio::select! {
                    biased;
                    ended = &mut connection => ended,
                    () = idle.over() => return,
                }
            }
            Some(End::Idle) | None => return,
        },
    };
    if let Err(error) = ended {
        // A client that goes away or talks nonsense is its own affair.
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// What the system is to do. If it cannot, things are late at worst.
fn prepare(stream: &TcpStream) {
    // What is flushed is meant to go out now.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        let _ = socket.set_tcp_user_timeout(Some(TAKE_DEADLINE));
        let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    }
}

/// Why a connection ends that its client would have kept.
enum End {
    Stopping,
    Idle,
}
