//! The door every simulated call comes through: counted, met by its faults, then answered.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::{binance, breakdown, coingecko, fng};
use crate::fault::Source;
use crate::wire::Breakage;
use crate::world::World;

/// What a path that a source does not have is called in counters.
const UNKNOWN: &str = "(unknown)";

/// A call of a simulated source.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) source: Source,
    /// The documented path, or [`UNKNOWN`].
    pub(super) endpoint: &'static str,
    pub(super) uri: Uri,
}

impl Call {
    fn of(uri: Uri) -> Option<Self> {
        let path = uri.path().strip_prefix('/')?;
        let (prefix, _) = path.split_once('/')?;
        let source = Source::ALL
            .into_iter()
            .find(|source| source.name() == prefix)?;
        let rest = &path[prefix.len()..];
        let is_rest = |endpoint: &str| endpoint.trim_end_matches('/') == rest.trim_end_matches('/');
        let known = source.endpoints().iter().copied();
        let endpoint = known
            .into_iter()
            .find(|endpoint| is_rest(endpoint))
            .unwrap_or(UNKNOWN);
        Some(Self {
            source,
            endpoint,
            uri,
        })
    }
}

pub(super) async fn answer(
    State(world): State<Arc<World>>,
    Extension(breakage): Extension<Breakage>,
    method: Method,
    uri: Uri,
) -> Response {
    let Some(call) = Call::of(uri) else {
        return (
            StatusCode::NOT_FOUND,
            "no such source; GET /control describes what there is\n",
        )
            .into_response();
    };
    world.count(call.source, call.endpoint);
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let fate = world.fate(call.source, call.endpoint);
    if !fate.delay.is_zero() {
        tokio::time::sleep(fate.delay).await;
    }
    let right = || match call.source {
        Source::Binance => binance::answer(&world, &call),
        Source::CoinGecko => coingecko::answer(&world, &call),
        Source::Fng => fng::answer(&world, &call),
    };
    match fate.fault {
        None => right(),
        Some(fault) => {
            breakdown::Breakdown {
                fault,
                call: &call,
                breakage,
            }
            .played(right)
            .await
        }
    }
}
