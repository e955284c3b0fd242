//! Routes for the operator, behind the admin token.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::cache::manager::{CacheStats, Cleared};
use crate::clock;

use super::Site;
use super::front::{self, Client};
use super::problem::Problem;
use super::{health, market};

/// When the GET form of clear was declared old (RFC 9745).
const DEPRECATED: HeaderValue = HeaderValue::from_static("@1795305600");
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const NO_STORE: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The admin token as it is kept: its digest, so that comparing takes the same time
/// whatever the length of a guess, and a memory dump shows no token.
pub(crate) struct Token([u8; 32]);

impl Token {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret()).into())
    }

    fn is(&self, guess: &str) -> bool {
        let guess: [u8; 32] = Sha256::digest(guess).into();
        self.0.ct_eq(&guess).into()
    }
}

/// Lets a request with the token pass.
///
/// # Errors
/// 403 where no token is configured, 429 after too many wrong ones, 401 otherwise.
fn admit(site: &Site, headers: &HeaderMap, client: Client, action: &str) -> Result<(), Problem> {
    let Some(token) = &site.token else {
        return Err(Problem::admin_off());
    };
    let now = clock::monotonic().into_std();
    if let Some(wait) = site.throttle.wait(client.0, now) {
        tracing::warn!(address = %client.0, action, "admin: refused, too many wrong tokens");
        return Err(Problem::too_many(
            "Too many wrong tokens from this address.",
            wait.as_secs() + 1,
        ));
    }
    match bearer(headers) {
        Some(guess) if token.is(guess) => Ok(()),
        Some(_) => {
            site.throttle.failed(client.0, now);
            tracing::warn!(address = %client.0, action, "admin: wrong token");
            Err(Problem::unauthorized())
        }
        None => Err(Problem::unauthorized()),
    }
}

/// The token of `Authorization: Bearer …`; no other place is looked at, a query least
/// of all: it ends up in logs and histories.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `POST /clear-cache`.
pub(crate) async fn clear_all(
    State(site): State<Site>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, Problem> {
    admit(&site, request.headers(), client, "clear")?;
    let is_asked_for_more = request.uri().query().is_some_and(|query| !query.is_empty());
    front::drain(request.into_body()).await?;
    if is_asked_for_more {
        return Err(Problem::bad_request(
            "This address clears everything and takes no query.",
        ));
    }
    Ok(clear(&site, client).await)
}

/// What may be asked of a clear. A misspelt name must not clear everything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    pattern: Option<String>,
}

/// `GET` or `POST /admin/cache/clear`.
pub(crate) async fn clear_selected(
    State(site): State<Site>,
    Extension(client): Extension<Client>,
    selection: Result<Query<Selection>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    admit(&site, request.headers(), client, "clear")?;
    if request.method() == Method::HEAD {
        // The router hands HEAD to GET's handler. Asking for headers must change nothing.
        return Err(
            Problem::method_not_allowed().with(header::ALLOW, HeaderValue::from_static("GET,POST"))
        );
    }
    let is_get = request.method() == Method::GET;
    front::drain(request.into_body()).await?;
    let Query(selection) = selection
        .map_err(|_| Problem::bad_request("The query may hold pattern, once, and no more."))?;
    let mut response = match selection.pattern {
        Some(pattern) => clear_matching(&site, client, &pattern).await?,
        None => clear(&site, client).await,
    };
    if is_get {
        response.headers_mut().insert(DEPRECATION, DEPRECATED);
        response.headers_mut().insert(
            header::LINK,
            HeaderValue::from_static("</clear-cache>; rel=\"successor-version\""),
        );
    }
    Ok(response)
}

/// `GET /admin/cache/stats`.
pub(crate) async fn stats(
    State(site): State<Site>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&site, &headers, client, "stats")?;
    let stats = site.cache.stats();
    let mut body = health::tiers(&site, &stats);
    body["caches"] = detail(&stats);
    body["sources"] = site.service.sources().iter().map(market::source).collect();
    // Event streams take the same places.
    body["websockets"] = json!({
        "open": site.admission.open(),
        "max_clients": site.config.ws_max_clients,
        "max_per_address": site.config.ws_max_per_address,
    });
    body["refresher"] = json!({
        "alive": site.refresher.is_alive(),
        "leads": site.service.leads(),
        "rounds": site.refresher.rounds(),
    });
    body["last_update_seq"] = json!(site.hub.latest().map(|update| update.seq));
    Ok(([NO_STORE], Json(body)).into_response())
}

/// Empties every tier. The service forgets first: a round in between could put its last
/// good figures back.
async fn clear(site: &Site, client: Client) -> Response {
    site.service.forget();
    let cleared = site.cache.clear().await;
    site.service.glance().await;
    told(client, "clear", &cleared)
}

/// What was cleared, for whoever asked and for the log.
fn told(client: Client, action: &str, cleared: &Cleared) -> Response {
    let is_complete = cleared.is_complete();
    tracing::info!(
        address = %client.0,
        action,
        is_complete,
        operations = ?cleared.operations,
        "admin: cleared"
    );
    let (status, message) = if is_complete {
        (
            StatusCode::OK,
            "Everything that was asked for was cleared; the next read asks the sources.",
        )
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "Not every tier could be cleared; try again.",
        )
    };
    let body = json!({
        "success": is_complete,
        "message": message,
        "operations": cleared.operations,
        "failures": cleared.failures,
        "timestamp": clock::now(),
    });
    (status, [NO_STORE], Json(body)).into_response()
}

/// Removes what matches from every tier of every cache. The sources' last good figures stay.
async fn clear_matching(site: &Site, client: Client, pattern: &str) -> Result<Response, Problem> {
    let cleared = site.cache.clear_pattern(pattern).await.map_err(|_| {
        Problem::bad_request(
            "A pattern is a glob of 1 to 128 bytes: *, ?, [a-z], \\ before a character.",
        )
    })?;
    Ok(told(client, "clear by pattern", &cleared))
}

/// Each cache's own counters; terrace says what each one means.
fn detail(stats: &CacheStats) -> Value {
    let caches = stats.caches.iter().map(|(name, stats)| {
        let figures = json!({
            "entries": stats.entries,
            "capacity": stats.capacity,
            "hits": stats.hits,
            "stale_hits": stats.stale_hits,
            "misses": stats.misses,
            "store_hits": stats.store_hits,
            "store_misses": stats.store_misses,
            "store_errors": stats.store_errors,
            "store_timeouts": stats.store_timeouts,
            "store_skipped": stats.store_skipped,
            "store_damaged": stats.store_damaged,
            "loads": stats.loads,
            "load_failures": stats.load_failures,
            "joined": stats.joined,
            "stale_on_error": stats.stale_on_error,
            "fills": stats.fills,
            "refused": stats.refused,
            "removals": stats.removals,
            "store_breaker_open": stats.store.map(|store| store.breaker_open),
        });
        ((*name).to_owned(), figures)
    });
    Value::Object(caches.collect())
}
