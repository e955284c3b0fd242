//! The HTTP face: routes, errors, the page and live updates. With `app` the only room
//! that knows axum.

mod front;
pub mod listener;

mod admin;
mod health;
mod market;
mod metrics;
mod page;
mod sse;
mod summary;
pub mod ws;

mod admission;
mod assets;
mod attention;
mod cacheable;
mod etag;
mod frames;
mod numbers;
mod origin;
mod patience;
mod problem;
mod shown;
mod throttle;
mod traffic;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::manager::CacheManager;
use crate::config::Config;
use crate::live::hub::Hub;
use crate::live::refresher::Refresher;
use crate::market::service::DataService;

pub use front::{Front, MAX_BODY_BYTES};

use admin::Token;
use admission::Admission;
use frames::Frames;
use throttle::Throttle;
use traffic::Traffic;

/// What the routes work with.
#[derive(Debug)]
pub struct Rooms {
    /// The settings in effect.
    pub config: Config,
    /// The caches.
    pub cache: Arc<CacheManager>,
    /// The figures.
    pub service: Arc<DataService>,
    /// The newest summary, for those who listen.
    pub hub: Hub,
    /// Who renews it.
    pub refresher: Refresher,
    /// Cancelled when the service stops.
    pub stop: CancellationToken,
    /// WebSocket sessions under way.
    pub tasks: TaskTracker,
    /// When silent WebSocket clients are asked and given up.
    pub pace: ws::Pace,
}

/// What every handler gets: the rooms, and what belongs to the face itself.
#[derive(Clone)]
pub(crate) struct Site(Arc<Shared>);

pub(crate) struct Shared {
    rooms: Rooms,
    token: Option<Token>,
    throttle: Throttle,
    admission: Arc<Admission>,
    frames: Arc<Frames>,
    traffic: Arc<Traffic>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

impl std::ops::Deref for Site {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl std::ops::Deref for Shared {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.rooms
    }
}

/// The whole face, ready to answer.
pub fn front(rooms: Rooms) -> Front {
    let traffic = Arc::new(Traffic::default());
    let config = &rooms.config;
    let site = Site(Arc::new(Shared {
        token: config.admin_token.as_ref().map(Token::new),
        throttle: Throttle::default(),
        admission: Arc::new(Admission::new(
            config.ws_max_clients,
            config.ws_max_per_address,
        )),
        frames: Arc::default(),
        traffic: Arc::clone(&traffic),
        rooms,
    }));
    Front::new(router(site.clone()), traffic).with_express(site)
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/assets/{edition}/{name}", get(assets::file))
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/cache-stats", get(health::cache_stats))
        .route("/metrics", get(metrics::metrics))
        .route("/clear-cache", post(admin::clear_all))
        .route("/admin/cache/stats", get(admin::stats))
        .route(
            "/admin/cache/clear",
            get(admin::clear_selected).post(admin::clear_selected),
        )
        .route(summary::PATH, get(summary::current))
        .route("/api/crypto/dashboard-summary/cached", get(summary::cached))
        .route(
            "/api/crypto/dashboard-summary/refresh",
            get(summary::refresh).post(summary::refresh),
        )
        .route("/api/v1/markets", get(market::list))
        .route("/api/v1/markets/{symbol}", get(market::one))
        .route("/api/v1/markets/{symbol}/candles", get(market::candles))
        .route("/api/v1/indicators/{symbol}", get(market::indicators))
        .route("/api/v1/sources", get(market::sources))
        .route("/ws", get(ws::upgrade))
        .route(sse::PATH, get(sse::stream))
        .fallback(front::not_found)
        .method_not_allowed_fallback(front::method_not_allowed)
        .with_state(site)
}
