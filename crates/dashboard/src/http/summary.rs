//! The summary: cached, and on demand.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::market::answer::{Answer, Refreshed};

use super::cacheable::Cacheable;
use super::problem::Problem;
use super::{Site, front};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
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
    cacheable(&answer).answer(request)
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
        Refreshed::Ran(answer) | Refreshed::Recent(answer) => answer,
    };
    let mut response = cacheable(&answer).full();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

fn cacheable(answer: &Answer) -> Cacheable {
    Cacheable::new(answer, answer.value.last_updated(), answer.value.body())
}
