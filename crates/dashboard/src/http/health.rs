//! How the service is doing. No upstream is asked to find out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::cache::manager::CacheStats;

use super::Site;
use super::problem::Problem;

const NO_STORE: [(HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// How the service is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Healthy,
    /// Something that is configured fails; requests are answered all the same.
    Degraded,
    /// Nothing can be answered from any tier, or nobody renews the figures.
    Unhealthy,
}

impl Health {
    const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// `GET /health`.
pub(crate) async fn health(State(site): State<Site>) -> Response {
    let stats = site.cache.stats();
    let health = judge(&site, &stats);
    let status = match health {
        Health::Healthy | Health::Degraded => StatusCode::OK,
        Health::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let traffic = site.traffic.reading();
    let body = json!({
        "status": health.word(),
        "cache_system": {
            "type": "unified_multi_tier",
            "l1_entries": stats.l1_entries,
            "l1_hit_count": stats.l1_hits,
            "l1_miss_count": stats.l1_misses,
            "l1_hit_rate": rate(stats.l1_hits, stats.l1_misses),
            "l2_healthy": stats.l2_is_healthy(),
            "overall_healthy": health != Health::Unhealthy,
        },
        "metrics": {
            "cache_size": stats.l1_entries,
            "cache_hit_rate": rate(stats.answered, stats.unanswered),
            "total_requests": traffic.answers,
            "avg_response_time_ms": traffic.mean_ms,
        },
    });
    (status, NO_STORE, Json(body)).into_response()
}

/// `GET /livez`: the process runs.
pub(crate) async fn live() -> Response {
    (NO_STORE, "alive\n").into_response()
}

/// `GET /readyz`: requests are welcome. Redis down is ready, stopping is not.
pub(crate) async fn ready(State(site): State<Site>) -> Result<Response, Problem> {
    if site.stop.is_cancelled() {
        return Err(Problem::unavailable("The service is stopping."));
    }
    Ok((NO_STORE, "ready\n").into_response())
}

/// `GET /cache-stats`.
pub(crate) async fn cache_stats(State(site): State<Site>) -> Response {
    (NO_STORE, Json(tiers(&site, &site.cache.stats()))).into_response()
}

/// The figures of `/cache-stats`.
pub(crate) fn tiers(site: &Site, stats: &CacheStats) -> Value {
    json!({
        "cache_system": "Unified Multi-Tier (L1: In-Memory + L2: Redis)",
        "l1_cache": {
            "type": stats.l1_kind,
            "entry_count": stats.l1_entries,
            "hit_count": stats.l1_hits,
            "miss_count": stats.l1_misses,
            "hit_rate_percent": rate(stats.l1_hits, stats.l1_misses),
            "max_capacity": stats.l1_capacity,
            "ttl_seconds": site.config.l1_ttl.as_secs(),
            "healthy": can_answer(site),
        },
        "l2_cache": {
            "type": stats.l2_kind(),
            "ttl_seconds": site.config.l2_ttl.as_secs(),
            "healthy": stats.l2_is_healthy(),
            "status": stats.l2_status(),
        },
        // No report is kept yet; the members stay, so that readers need not change.
        "report_cache": {
            "entry_count": 0,
            "hit_rate_percent": 0.0,
            "latest_report_id": null,
        },
    })
}

/// Whether there is a figure to answer with. Before the first round has ended nothing speaks
/// against it: a first round that never ends is a dead refresher's.
fn can_answer(site: &Site) -> bool {
    let newest = site.hub.latest();
    newest.is_none_or(|update| update.summary.has_value())
}

/// What is not configured never degrades.
fn judge(site: &Site, stats: &CacheStats) -> Health {
    if !site.refresher.is_alive() || !can_answer(site) {
        return Health::Unhealthy;
    }
    let store_fails = stats.l2_status() == "unavailable";
    let source_fails = site
        .service
        .sources()
        .iter()
        .any(|source| source.last_error.is_some());
    if store_fails || source_fails {
        Health::Degraded
    } else {
        Health::Healthy
    }
}

/// Hits in percent of all, one decimal; 0.0 where nothing was counted.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn rate(hits: u64, misses: u64) -> f64 {
    let all = hits + misses;
    if all == 0 {
        return 0.0;
    }
    (hits as f64 * 1000.0 / all as f64).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)]
    fn a_rate_is_a_percentage_with_one_decimal() {
        assert_eq!(rate(0, 0), 0.0);
        assert_eq!(rate(1, 2), 33.3);
        assert_eq!(rate(2, 1), 66.7);
        assert_eq!(rate(5, 0), 100.0);
    }
}
