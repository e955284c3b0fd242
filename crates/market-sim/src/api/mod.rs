//! The HTTP face: one door for all simulated sources, and the control routes.

mod call;
mod gate;

mod binance;
mod stream;

mod cmc;
mod coinbase;
mod coingecko;
mod finnhub;
mod fng;
mod kraken;
mod taapi;

mod moment;

mod breakdown;
mod refusal;
mod spoil;

mod bomb;
mod odd_body;

mod about;
mod control;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::world::World;

pub(crate) use binance::Meter;

/// All routes. Sources are told apart in the gate, so that a path nobody knows is counted too.
pub(crate) fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/control", get(about::description))
        .route("/control/calls", get(control::calls))
        .route(
            "/control/faults",
            get(control::faults)
                .post(control::inject)
                .delete(control::clear),
        )
        .route(
            "/control/streams",
            get(control::streams).post(control::order_streams),
        )
        .route("/control/reset", post(control::reset))
        .route(
            "/control/clock",
            get(control::clock).post(control::set_clock),
        )
        .fallback(gate::answer)
        .with_state(world)
}
