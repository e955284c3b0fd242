//! The HTTP face: one door for all simulated sources, and the control routes.

mod gate;

mod binance;
mod klines;
mod query;
mod ticker;
mod weight;

mod coingecko;
mod fng;

mod breakdown;
mod control;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::world::World;

pub(crate) use weight::Meter;

/// All routes. Sources are told apart in the gate, so that a path nobody knows is counted too.
pub(crate) fn routes(world: Arc<World>) -> Router {
    Router::new()
        .route("/control", get(control::description))
        .route("/control/calls", get(control::calls))
        .route(
            "/control/faults",
            get(control::faults)
                .post(control::inject)
                .delete(control::clear),
        )
        .route("/control/reset", axum::routing::post(control::reset))
        .route(
            "/control/clock",
            get(control::clock).post(control::set_clock),
        )
        .fallback(gate::answer)
        .with_state(world)
}
