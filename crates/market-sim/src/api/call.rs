//! A call of a simulated source, read from the request.

use std::collections::HashMap;

use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use bytes::Bytes;

use crate::source::Source;

/// What a path that a source does not have is called in counters.
const UNKNOWN: &str = "(unknown)";

/// A call of a simulated source.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) source: Source,
    /// The documented path, or [`UNKNOWN`].
    pub(super) endpoint: &'static str,
    /// What stands in the path where the documented one has `{id}`; behind `/ws/`, the rest.
    pub(super) id: String,
    pub(super) headers: HeaderMap,
    /// Empty until it was received.
    pub(super) body: Bytes,
    /// Invariant: `None` if the query cannot be read.
    params: Option<HashMap<String, String>>,
}

impl Call {
    /// The call, if its path is below that of a source.
    pub(super) fn of(request: &Parts) -> Option<Self> {
        let path = request.uri.path().strip_prefix('/')?;
        let (prefix, _) = path.split_once('/')?;
        let source = Source::ALL
            .into_iter()
            .find(|source| source.name() == prefix)?;
        let rest = &path[prefix.len()..];
        let (endpoint, id) = source
            .endpoints()
            .iter()
            .find_map(|endpoint| Some((*endpoint, matched(endpoint, rest)?)))
            .unwrap_or((UNKNOWN, ""));
        let params = Query::<HashMap<String, String>>::try_from_uri(&request.uri);
        Some(Self {
            source,
            endpoint,
            id: id.to_owned(),
            headers: request.headers.clone(),
            body: Bytes::new(),
            params: params.ok().map(|Query(params)| params),
        })
    }

    /// The method that the endpoint takes.
    pub(super) fn method(&self) -> Method {
        match self.endpoint {
            "/bulk" => Method::POST,
            _ => Method::GET,
        }
    }

    /// The parameters of the query, if it can be read.
    pub(super) fn params(&self) -> Option<&HashMap<String, String>> {
        self.params.as_ref()
    }

    /// A parameter of the query.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.as_ref()?.get(name).map(String::as_str)
    }

    /// A header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What of the path is free, if it is that of the endpoint; a slash at the end says nothing.
fn matched<'a>(endpoint: &str, path: &'a str) -> Option<&'a str> {
    let path = path.trim_end_matches('/');
    if endpoint == "/ws"
        && let Some(streams) = path.strip_prefix("/ws/")
    {
        return Some(streams);
    }
    let Some((before, after)) = endpoint.split_once("{id}") else {
        return (endpoint.trim_end_matches('/') == path).then_some("");
    };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && !id.contains('/')).then_some(id)
}
