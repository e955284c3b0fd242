//! The summary: cached, and on demand.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::clock;
use crate::market::answer::{Answer, Refreshed, Tier};

use super::problem::Problem;
use super::{Site, etag, front};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PUBLIC: HeaderValue =
    HeaderValue::from_static("public, max-age=5, stale-while-revalidate=30, stale-if-error=300");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// When `/cached` was declared old (RFC 9745).
const DEPRECATED: HeaderValue = HeaderValue::from_static("@1795305600");
const SUCCESSOR: HeaderValue =
    HeaderValue::from_static("</api/crypto/dashboard-summary>; rel=\"successor-version\"");

/// Where the summary is.
pub(crate) const PATH: &str = "/api/crypto/dashboard-summary";

/// `GET /api/crypto/dashboard-summary`.
///
/// It takes the request whole: an extractor of headers would copy them all.
pub(crate) async fn current(State(site): State<Site>, request: Request) -> Response {
    answer(&site, request.headers()).await
}

/// The summary, or that the client has it already.
pub(crate) async fn answer(site: &Site, request: &HeaderMap) -> Response {
    let answer = site.service.fetch_dashboard_summary().await;
    cacheable(&answer, request)
}

/// `GET /api/crypto/dashboard-summary/cached`: the same under its older name.
pub(crate) async fn cached(site: State<Site>, request: Request) -> Response {
    let mut response = current(site, request).await;
    response.headers_mut().insert(DEPRECATION, DEPRECATED);
    response.headers_mut().insert(header::LINK, SUCCESSOR);
    response
}

/// `GET` or `POST /api/crypto/dashboard-summary/refresh`: a new round now, or the last
/// one if that was less than ten seconds ago.
pub(crate) async fn refresh(
    State(site): State<Site>,
    request: Request,
) -> Result<Response, Problem> {
    front::drain(request.into_body()).await?;
    let answer = match site.service.refresh_dashboard_summary().await {
        Refreshed::Ran(answer) => {
            site.hub
                .publish("refresh", answer.summary.clone(), clock::now());
            answer
        }
        Refreshed::Recent(answer) => answer,
    };
    let mut response = full(&answer, answer.summary.body());
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

fn cacheable(answer: &Answer, request: &HeaderMap) -> Response {
    let body = answer.summary.body();
    let tag = tag(answer, body.len());
    let mut response = if etag::is_known(request, &tag) {
        not_modified(answer)
    } else {
        full(answer, body)
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, PUBLIC);
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits in quotes are visible ASCII");
    headers.insert(header::ETAG, tag);
    response
}

fn not_modified(answer: &Answer) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    describe(answer, response.headers_mut());
    response
}

fn full(answer: &Answer, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    // What is put in here, in `cacheable` and by the front, without growing on the way.
    response.headers_mut().reserve(12);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    describe(answer, response.headers_mut());
    response
}

/// The version is the moment the summary was made, the same on every instance that
/// serves it. Weak, because a proxy may compress.
fn tag(answer: &Answer, length: usize) -> String {
    let made = answer.summary.last_updated().as_millisecond();
    format!("W/\"{made:x}-{length:x}\"")
}

fn describe(answer: &Answer, headers: &mut HeaderMap) {
    headers.insert(header::AGE, HeaderValue::from(answer.age.as_secs()));
    headers.insert(X_CACHE, HeaderValue::from_static(x_cache(answer)));
    headers.insert(CACHE_STATUS, HeaderValue::from_static(cache_status(answer)));
}

fn x_cache(answer: &Answer) -> &'static str {
    match (answer.tier, answer.is_stale) {
        (Tier::Local | Tier::Store, false) => "HIT",
        (Tier::Local | Tier::Store, true) => "STALE",
        (Tier::Loader, _) => "MISS",
        (Tier::Uncached, _) => "BYPASS",
    }
}

/// RFC 9211; the tier nearest to the source is named first.
fn cache_status(answer: &Answer) -> &'static str {
    match (answer.tier, answer.is_stale) {
        (Tier::Local, false) => "l1; hit",
        (Tier::Local, true) => "l1; hit; ttl=-1",
        (Tier::Store, false) => "l2; hit, l1; fwd=miss",
        (Tier::Store, true) => "l2; hit; ttl=-1, l1; fwd=miss",
        // Not "stored": the answer goes out before the stores have said whether they keep it.
        (Tier::Loader, _) => "l1; fwd=miss",
        (Tier::Uncached, _) => "l1; fwd=bypass",
    }
}
