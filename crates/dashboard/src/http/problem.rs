//! Every error answer of the service: RFC 9457 problem details.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An error as the outside may see it: a code, a sentence, never the cause.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Cow<'static, str>,
    incident: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The words of a problem, left on its response so that the front can say the
/// same to a browser as a page.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) title: &'static str,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) incident: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
            incident: None,
            headers: Vec::new(),
        }
    }

    /// 404: no route, or no such thing at this route.
    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            "There is nothing at this address.",
        )
    }

    /// 404: a coin that is not among ours.
    pub(crate) fn unknown_symbol() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-symbol",
            "Unknown symbol",
            "No such coin here; /api/v1/markets lists those there are.",
        )
    }

    /// 422: the data does not make up a value, and none is made up.
    pub(crate) fn no_value(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "no-value",
            "No value",
            detail,
        )
    }

    /// 405; the router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
            "This address does not offer that method; Allow names those it does.",
        )
    }

    /// 413: the request's body is larger than any route takes.
    pub(crate) fn body_too_large(limit_bytes: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            format!("A request body may have at most {limit_bytes} bytes."),
        )
    }

    /// 408: the request's body did not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            "Body too slow",
            "The request body did not arrive in time.",
        )
    }

    /// 400: a header, parameter or body that cannot be understood.
    pub(crate) fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "Bad request",
            detail,
        )
    }

    /// 401: the admin token is missing or wrong.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "Admin token needed",
            "Send the admin token as: Authorization: Bearer <token>.",
        )
        .with(
            axum::http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"dashboard admin\""),
        )
    }

    /// 403: the admin routes are switched off for want of a token.
    pub(crate) fn admin_off() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "admin-off",
            "Admin routes are off",
            "No admin token is configured. Set ADMIN_TOKEN (or ADMIN_TOKEN_FILE) to at least 32 characters and restart.",
        )
    }

    /// 403: a browser page of another site asked for live updates.
    pub(crate) fn foreign_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "Foreign origin",
            "This origin gets no live updates here; ALLOWED_ORIGINS lists those that may.",
        )
    }

    /// 429: too much from one address; `retry_after` in whole seconds, at least one.
    pub(crate) fn too_many(detail: impl Into<Cow<'static, str>>, retry_after_seconds: u64) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            detail,
        )
        .with(RETRY_AFTER, HeaderValue::from(retry_after_seconds.max(1)))
    }

    /// 503: cannot be served just now.
    pub(crate) fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Unavailable",
            detail,
        )
        .with(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 502: what the sources answered is of no use.
    pub(crate) fn bad_gateway(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "bad-gateway",
            "Bad gateway",
            detail,
        )
    }

    /// 504: the sources answered too late, or not at all.
    pub(crate) fn gateway_timeout(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "gateway-timeout",
            "Gateway timeout",
            detail,
        )
    }

    /// 426: `/ws` was asked for without a WebSocket handshake.
    pub(crate) fn upgrade_needed() -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade-needed",
            "WebSocket handshake needed",
            "This address speaks WebSocket (RFC 6455, version 13) only.",
        )
        .with(
            axum::http::header::UPGRADE,
            HeaderValue::from_static("websocket"),
        )
        .with(
            axum::http::header::CONNECTION,
            HeaderValue::from_static("upgrade"),
        )
    }

    /// 500 with an opaque incident id; the cause belongs in the log beside the same id.
    pub(crate) fn internal(incident: String) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "Something failed here. The log knows more under this request_id.",
        );
        problem.incident = Some(incident);
        problem
    }

    /// The same problem; the connection ends with it, since what follows on it cannot be trusted.
    #[must_use]
    pub(crate) fn closing(self) -> Self {
        let close = HeaderValue::from_static("close");
        self.with(axum::http::header::CONNECTION, close)
    }

    /// The same problem with one more response header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: format!("/problems/{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id: self.incident.as_deref(),
        };
        let json = serde_json::to_vec(&body).expect("a struct of strings always encodes");
        let mut response = (self.status, json).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        // A problem is about one moment; no cache may repeat it to somebody else.
        response.headers_mut().insert(
            axum::http::header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        );
        response.extensions_mut().insert(Told {
            title: self.title,
            detail: self.detail,
            incident: self.incident,
        });
        response
    }
}
