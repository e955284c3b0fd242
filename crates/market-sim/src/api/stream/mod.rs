//! Binance's WebSocket streams.

mod channel;
mod pulse;
mod request;
mod session;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::binance;
use super::call::Call;
use crate::wire::Line;
use crate::world::{OpenStream, World};
use request::Subscriptions;
use session::Session;

/// Attempts to open a stream that one address may make.
const MAX_ATTEMPTS: usize = 300;
const ATTEMPTS_WINDOW: Duration = Duration::from_secs(300);
/// Streams that one connection may carry.
const MAX_STREAMS: usize = 1_024;

/// The answer to a handshake; the session begins when it has been sent.
///
/// `connection` is `None` where the routes are called without one, which no stream can do without.
pub(super) fn accepted(
    world: &Arc<World>,
    call: &Call,
    connection: Option<(OnUpgrade, Line)>,
) -> Response {
    let refused = |status: StatusCode| (status, Json(binance::error_body(status))).into_response();
    let now = world.steady();
    if !world.attempts().admits(now, MAX_ATTEMPTS, ATTEMPTS_WINDOW) {
        return refused(StatusCode::TOO_MANY_REQUESTS);
    }
    let names = match call.endpoint {
        "/ws" => call.id.as_str(),
        "/stream" => call.param("streams").unwrap_or_default(),
        _ => return refused(StatusCode::NOT_FOUND),
    };
    let names: Vec<&str> = names.split('/').filter(|name| !name.is_empty()).collect();
    if names.len() > MAX_STREAMS {
        return refused(StatusCode::BAD_REQUEST);
    }
    let Some(accept) = accept_key(call) else {
        return refused(StatusCode::BAD_REQUEST);
    };
    let Some((upgrade, line)) = connection else {
        return refused(StatusCode::UPGRADE_REQUIRED);
    };

    let mut subscriptions = Subscriptions::new(call.endpoint == "/stream");
    names.into_iter().for_each(|name| subscriptions.add(name));
    // Made before the client has its answer: what happens after that is news to the session.
    let stream = OpenStream::new(Arc::clone(world));
    let session = Session::new(stream, subscriptions, line.breakage.clone());
    line.hand_over(Box::pin(async move {
        // An error here is a client that left before the answer arrived.
        if let Ok(upgraded) = upgrade.await {
            session.run(upgraded).await;
        }
    }));
    let headers = [
        (CONNECTION, "upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// What proves to the client that its handshake was understood, if it was one.
fn accept_key(call: &Call) -> Option<String> {
    let says = |name: HeaderName, word: &str| {
        let value = call.headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    let is_handshake = says(CONNECTION, "upgrade")
        && says(UPGRADE, "websocket")
        && says(SEC_WEBSOCKET_VERSION, "13");
    let key = call.headers.get(SEC_WEBSOCKET_KEY)?;
    is_handshake.then(|| derive_accept_key(key.as_bytes()))
}
