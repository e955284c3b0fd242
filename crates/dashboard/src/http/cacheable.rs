//! JSON that caches may keep: its validator, its age, and who had it.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::Timestamp;

use crate::market::answer::{Answer, Tier};

use super::etag;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PUBLIC: HeaderValue =
    HeaderValue::from_static("public, max-age=5, stale-while-revalidate=30, stale-if-error=300");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// A body and what stands in the headers beside it.
#[derive(Debug)]
pub(crate) struct Cacheable {
    body: Bytes,
    /// The moment that the body is of: the same on every instance that serves it.
    version: Timestamp,
    age: Duration,
    is_stale: bool,
    tier: Tier,
}

impl Cacheable {
    pub(crate) fn new<T>(answer: &Answer<T>, version: Timestamp, body: Bytes) -> Self {
        Self {
            body,
            version,
            age: answer.age,
            is_stale: answer.is_stale,
            tier: answer.tier,
        }
    }

    /// The body, or that the client has it already.
    pub(crate) fn answer(self, request: &HeaderMap) -> Response {
        let tag = self.tag();
        let mut response = if etag::is_known(request, &tag) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            self.describe(response.headers_mut());
            response
        } else {
            self.full()
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, PUBLIC);
        let tag =
            HeaderValue::try_from(tag).expect("hexadecimal digits in quotes are visible ASCII");
        headers.insert(header::ETAG, tag);
        response
    }

    /// The body, whatever the client has, and nothing said of caching it.
    pub(crate) fn full(self) -> Response {
        let mut response = Response::new(self.body.clone().into());
        // What is put in here, in `answer` and by the front, without growing on the way.
        response.headers_mut().reserve(12);
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        self.describe(response.headers_mut());
        response
    }

    /// Weak, because a proxy may compress. A body that has become stale says so, in as many letters.
    fn tag(&self) -> String {
        let (made, length) = (self.version.as_millisecond(), self.body.len());
        let stale = if self.is_stale { "-stale" } else { "" };
        format!("W/\"{made:x}-{length:x}{stale}\"")
    }

    fn describe(&self, headers: &mut HeaderMap) {
        headers.insert(header::AGE, HeaderValue::from(self.age.as_secs()));
        headers.insert(X_CACHE, HeaderValue::from_static(self.x_cache()));
        headers.insert(CACHE_STATUS, HeaderValue::from_static(self.cache_status()));
    }

    fn x_cache(&self) -> &'static str {
        match (self.tier, self.is_stale) {
            (Tier::Local | Tier::Store, false) => "HIT",
            (Tier::Local | Tier::Store, true) => "STALE",
            (Tier::Loader, _) => "MISS",
            (Tier::Uncached, _) => "BYPASS",
        }
    }

    /// RFC 9211; the tier nearest to the source is named first.
    fn cache_status(&self) -> &'static str {
        match (self.tier, self.is_stale) {
            (Tier::Local, false) => "l1; hit",
            (Tier::Local, true) => "l1; hit; ttl=-1",
            (Tier::Store, false) => "l2; hit, l1; fwd=miss",
            (Tier::Store, true) => "l2; hit; ttl=-1, l1; fwd=miss",
            // Not "stored": the answer goes out before the stores have said whether they keep it.
            (Tier::Loader, _) => "l1; fwd=miss",
            (Tier::Uncached, _) => "l1; fwd=bypass",
        }
    }
}
