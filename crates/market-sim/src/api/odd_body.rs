//! Bodies that no sound server sends.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{once, unfold};

use crate::world::World;

/// The oversized body: a number inside an array that does not end.
const CHUNK: Bytes = Bytes::from_static(&[b'1'; 65_536]);
const CHUNKS: usize = 128;

/// Half of the body, and then the end.
pub(super) fn first_half(whole: &Bytes) -> Body {
    let half = whole.slice(..whole.len() / 2);
    Body::from_stream(unfold(Some(half), |part| async {
        let Some(part) = part else {
            // Lets the connection flush the half before it learns that there is no more.
            tokio::task::yield_now().await;
            return None;
        };
        Some((Ok::<_, Infallible>(part), None))
    }))
}

/// The body, a byte at a time.
pub(super) fn dripping(whole: Bytes, pause: Duration, world: Arc<World>) -> Body {
    Body::from_stream(unfold(
        (whole, world),
        move |(mut rest, world)| async move {
            if rest.is_empty() {
                return None;
            }
            world.delay(pause).await;
            let drop = rest.split_to(1);
            Some((Ok::<_, Infallible>(drop), (rest, world)))
        },
    ))
}

/// An array that goes on for megabytes.
pub(super) fn endless_array() -> Body {
    Body::from_stream(unfold(0, |sent| async move {
        let chunk = if sent == 0 {
            Bytes::from_static(b"[1")
        } else {
            CHUNK
        };
        (sent <= CHUNKS).then_some((Ok::<_, Infallible>(chunk), sent + 1))
    }))
}

/// What a reset connection is to a reader where there is no connection.
pub(super) fn cut_off() -> impl Stream<Item = io::Result<Bytes>> {
    once(async { Err(io::ErrorKind::ConnectionReset.into()) })
}
