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
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::front::Front;

/// Connections at once. Above it new ones wait in the kernel's queue. It leaves room for
/// WS_MAX_CLIENTS and stays below the usual hard limit of 20,000 descriptors.
const MAX_CONNECTIONS: usize = 16_384;

/// How long a request's head may take; also how long an idle connection is kept.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// How much of a head is read, and how many headers it may have: 431 above.
const HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// The pause after a failed accept (no descriptors left, usually): without it the loop spins.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long requests under way may take once the service stops.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// Accepts until `stop`, then lets what is under way end, for [`DRAIN_DEADLINE`] at most.
pub async fn run(listener: TcpListener, front: Front, stop: CancellationToken) {
    let front = Arc::new(front);
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
                let work = serve(stream, from, Arc::clone(&front), stop.clone());
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

async fn serve(stream: TcpStream, from: SocketAddr, front: Arc<Front>, stop: CancellationToken) {
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.answer(request, from).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer)
        .with_upgrades();
    tokio::pin!(connection);
    // Waiting on the token itself would take its lock, which all connections share, at each
    // turn of each of them; the set asks it only after it was woken.
    let mut told: FuturesUnordered<_> = [stop.cancelled()].into_iter().collect();
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        _ = told.next() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // A client that goes away or talks nonsense is its own affair.
        tracing::debug!(%error, "a connection ended badly");
    }
}
