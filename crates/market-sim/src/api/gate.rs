//! The door every simulated call comes through: counted, met by its faults, then answered.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;

use super::breakdown::Breakdown;
use super::call::Call;
use super::{binance, cmc, coinbase, coingecko, finnhub, fng, kraken, stream, taapi};
use crate::queue::Fate;
use crate::scene::Scene;
use crate::source::Source;
use crate::wire::Line;
use crate::world::World;

/// More than any documented request has.
const MAX_BODY_BYTES: usize = 65_536;

pub(super) async fn answer(State(world): State<Arc<World>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(mut call) = Call::of(&parts) else {
        return (
            StatusCode::NOT_FOUND,
            "no such source; GET /control describes what there is\n",
        )
            .into_response();
    };
    world.count(call.source, call.endpoint);
    if parts.method != call.method() {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    call.body = match to_bytes(body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let Fate {
        delay,
        behind,
        percent,
        fault,
    } = world.fate(call.source, call.endpoint);
    world.delay(delay).await;

    // Absent where the router is called without a connection.
    let line = parts.extensions.remove::<Line>();
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    let breakage = line.as_ref().map(|line| line.breakage.clone());
    let right = || match call.source {
        Source::BinanceWs => stream::accepted(&world, &call, upgrade.zip(line)),
        _ => plain(&world, &call, &world.scene(percent).ago(behind)),
    };
    match fault {
        None => right(),
        Some(fault) => {
            let breakdown = Breakdown {
                fault,
                source: call.source,
                breakage,
                world: Arc::clone(&world),
            };
            breakdown.played(right).await
        }
    }
}

/// The right answer of a source that is asked and answers.
fn plain(world: &World, call: &Call, scene: &Scene<'_>) -> Response {
    match call.source {
        Source::Binance => binance::answer(world, scene, call),
        // Handed over to its own door before.
        Source::BinanceWs => StatusCode::NOT_FOUND.into_response(),
        Source::CoinGecko => coingecko::answer(scene, call),
        Source::Fng => fng::answer(scene, call),
        Source::Taapi => taapi::answer(scene, call),
        Source::Cmc => cmc::answer(scene, call),
        Source::Finnhub => finnhub::answer(scene, call),
        Source::Coinbase => coinbase::answer(scene, call),
        Source::Kraken => kraken::answer(scene, call),
    }
}
