//! The listener and its connections, all of which end with the task that runs them.

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::wire::Wire;

/// Serves until the task is aborted, which ends every connection too: with the set they live in.
///
/// Not `axum::serve`: its connections outlive it, and a hung one for ever.
pub(crate) async fn run(listener: TcpListener, routes: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A failed accept concerns one client, which has gone away already.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(converse(stream, routes.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, routes: Router) {
    // Answers are written at once; waiting to fill a segment would only add latency to tests.
    let _ = stream.set_nodelay(true);
    let wire = Wire::new(stream);
    let routes = routes.layer(Extension(wire.breakage()));
    // An error here is a client that left or a fault on order: nobody is left to be told.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(wire), TowerToHyperService::new(routes))
        .await;
}
