//! What every request passes: counting, panics, security headers, pages for errors.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Version};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tower_service::Service;

use crate::clock;

use super::Site;
use super::page;
use super::problem::{Problem, Told};
use super::sse;
use super::summary;
use super::traffic::Traffic;

/// The most that a request may bring: no route takes more than a few words.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'",
);
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");

/// Who sent a request: the other end of its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

/// The router behind its front.
#[derive(Debug, Clone)]
pub struct Front {
    router: Router,
    traffic: Arc<Traffic>,
    express: Option<Site>,
}

impl Front {
    /// Puts the front before `router`; answers are counted in `traffic`.
    pub(crate) fn new(router: Router, traffic: Arc<Traffic>) -> Self {
        Self {
            router,
            traffic,
            express: None,
        }
    }

    /// The same front, which answers a plain GET of the summary without a walk through the
    /// router: that walk costs as much as the answer. The router has the route too.
    #[must_use]
    pub(crate) fn with_express(mut self, site: Site) -> Self {
        self.express = Some(site);
        self
    }

    /// Answers one request. Never fails: a panic becomes a 500 with an id that the log names too.
    pub async fn answer<B>(&self, mut request: Request<B>, from: SocketAddr) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let started = clock::monotonic();
        let kind = Kind::of(request.uri().path());
        let wants_page = kind == Kind::Page && accepts_html(request.headers());
        // Beside Transfer-Encoding a Content-Length may smuggle a second request into this one
        // (RFC 9112, 6.1). hyper follows the former and hides the latter, so nothing more is
        // read from where either came.
        let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = if let Some(refused) = refusal(&request) {
            refused
        } else {
            if kind.needs_client() {
                request.extensions_mut().insert(Client(from.ip()));
            }
            let work = AssertUnwindSafe(self.work(request)).catch_unwind();
            work.await.unwrap_or_else(|_| internal())
        };
        if wants_page {
            response = as_page(response);
        }
        if is_chunked {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        protect(response.headers_mut());
        if kind != Kind::Health {
            self.traffic.count(started.elapsed());
        }
        response
    }

    async fn work<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match &self.express {
            Some(site)
                if request.method() == Method::GET && request.uri().path() == summary::PATH =>
            {
                summary::answer(site, request.headers()).await
            }
            _ => {
                let answered = self.router.clone().call(request).await;
                answered.unwrap_or_else(|never: Infallible| match never {})
            }
        }
    }
}

/// What sort of route a path belongs to; decides the form of errors and whether it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Health,
    /// Limits and the audit look at who asks.
    Watched,
    Data,
    Page,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            "/health" | "/livez" | "/readyz" | "/metrics" => Self::Health,
            "/clear-cache" | "/ws" | sse::PATH => Self::Watched,
            "/cache-stats" => Self::Data,
            _ if path.starts_with("/api/") => Self::Data,
            _ if path.starts_with("/admin/cache/") => Self::Watched,
            _ => Self::Page,
        }
    }

    /// An extension costs three allocations, which the summary's readers need not pay.
    const fn needs_client(self) -> bool {
        matches!(self, Self::Watched)
    }
}

/// A 500 with a fresh incident id. The panic's own text went to standard error by
/// Rust's hook; the line here ties it to the id that the client holds.
fn internal() -> Response {
    let incident = format!("{:016x}", rand::random::<u64>());
    tracing::error!(request_id = %incident, "a handler panicked");
    Problem::internal(incident).into_response()
}

fn too_large() -> Response {
    // The body will not be read, so the connection cannot be used again.
    Problem::body_too_large(MAX_BODY_BYTES)
        .closing()
        .into_response()
}

/// What a request must not be (RFC 9112, 3.2).
fn refusal<B>(request: &Request<B>) -> Option<Response> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let needs_host = request.version() == Version::HTTP_11;
    let detail = match (hosts.next(), hosts.next()) {
        (None, _) if needs_host => "HTTP/1.1 needs a Host header.",
        (Some(_), Some(_)) => "There may be one Host header only.",
        _ if announces_too_much(headers) => return Some(too_large()),
        _ => return None,
    };
    Some(Problem::bad_request(detail).closing().into_response())
}

fn announces_too_much(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > MAX_BODY_BYTES as u64)
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html"))
    })
}

/// The same error as a page, its headers kept; answers that are no problem pass.
fn as_page(response: Response) -> Response {
    let Some(told) = response.extensions().get::<Told>() else {
        return response;
    };
    let mut shown = page::error(response.status(), told);
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            shown.headers_mut().insert(name, value.clone());
        }
    }
    shown
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, NO_REFERRER);
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, SAME_ORIGIN);
    let is_html = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_html {
        headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        headers.insert(CROSS_ORIGIN_OPENER_POLICY, SAME_ORIGIN);
    }
}

/// Reads a request's body to its end and forgets it, so that the connection stays
/// usable; more than [`MAX_BODY_BYTES`] or too slow is the client's error.
pub(crate) async fn drain(body: Body) -> Result<(), Problem> {
    /// Long enough for a slow phone to send 64 KiB, short enough for a drip not to stay.
    const BODY_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);
    if body.is_end_stream() {
        return Ok(());
    }
    match tokio::time::timeout(BODY_DEADLINE, forget(body)).await {
        Ok(forgotten) => forgotten,
        Err(_) => Err(Problem::body_too_slow().closing()),
    }
}

async fn forget(body: Body) -> Result<(), Problem> {
    let mut chunks = body.into_data_stream();
    let mut size_bytes = 0;
    while let Some(chunk) = chunks.next().await {
        let broken = |_| Problem::bad_request("The body cannot be read to its end.").closing();
        size_bytes += chunk.map_err(broken)?.len();
        if size_bytes > MAX_BODY_BYTES {
            return Err(Problem::body_too_large(MAX_BODY_BYTES).closing());
        }
    }
    Ok(())
}

/// What the router says to an unknown address.
pub(crate) async fn not_found() -> Problem {
    Problem::not_found()
}

/// What the router says to a method that an address does not offer.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    async fn broken() -> &'static str {
        panic!("secret cause")
    }

    fn local() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    fn get(path: &str) -> Request<Body> {
        let request = Request::get(path).header(header::HOST, "x");
        request.body(Body::empty()).expect("a sound request")
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let problem = drain(Body::from_stream(silent)).await;
        let response = problem.expect_err("it never ends").into_response();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(response.headers()[header::CONNECTION], "close");
    }

    fn front() -> Front {
        let router = Router::new()
            .route("/api/panic", axum::routing::get(broken))
            .fallback(not_found);
        Front::new(router, Arc::default())
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_hides_its_cause() {
        let response = front().answer(get("/api/panic"), local()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            body.contains("request_id") && !body.contains("secret cause"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn health_routes_are_not_counted() {
        let front = front();
        for path in ["/health", "/livez", "/readyz", "/elsewhere"] {
            front.answer(get(path), local()).await;
        }
        assert_eq!(front.traffic.reading().answers, 1);
    }
}
