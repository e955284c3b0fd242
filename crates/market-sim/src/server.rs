//! The listener and its connections, all of which end with the task that runs them.

use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::wire::{Line, Wire};

/// Long enough not to spin while no connection can be accepted, too short for a client to notice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves until the task is aborted, which ends every connection too: with the set they live in.
///
/// Not `axum::serve`: its connections outlive it, and a hung one for ever.
pub(crate) async fn run(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(converse(stream, routes.clone()));
                    }
                    // One client that has gone away already, or no descriptors left for any.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, routes: Router) {
    // Answers are written at once; waiting to fill a segment would only add latency to tests.
    let _ = stream.set_nodelay(true);
    let line = Line::default();
    let wire = Wire::new(stream, line.breakage.clone());
    let routes = routes.layer(Extension(line.clone()));
    // An error here is a client that left or a fault on order: nobody is left to be told.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(wire), TowerToHyperService::new(routes))
        .with_upgrades()
        .await;
    if let Some(afterlife) = line.afterlife() {
        afterlife.await;
    }
}
