//! The service behind its HTTP face and before a simulator, in a time that stands still until it is
//! moved.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use dashboard::{
    cache::manager::CacheManager,
    clock::Clock,
    http::listener,
    market::{
        figure::Source as Of,
        service::DataService,
        transport::{Http, Transport},
    },
};
use jiff::Timestamp;
use market_sim::{FaultKind, SimOptions, SimTime, Source, keys};
use serde_json::Value;
use terrace::testing::ManualClock;
use tokio::net::TcpListener;

use super::queue::Outage;
use crate::{
    parts::{Parts, parts},
    stand::{Stand, simulated},
    wire,
};

/// So that a day ends between the two rounds: every figure is another one then.
const START: &str = "2025-03-14T23:50:00Z";
/// Every source is due again, and nothing is too old to be shown.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(12 * 60);
/// How long a stage waits for its sources.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Whatever happens, it is not a lack of time: the machine has other tests.
    Ample,
    /// As long as anybody would want to wait for sources that never answer; four of them share it.
    Short,
}

impl Patience {
    fn length(self) -> Duration {
        match self {
            Self::Ample => Duration::from_secs(25),
            Self::Short => Duration::from_secs(6),
        }
    }
}

/// The moments of the two rounds.
pub(crate) fn moments() -> [Timestamp; 2] {
    let start: Timestamp = START.parse().expect("a timestamp");
    [start, start + BETWEEN_ROUNDS]
}

pub(crate) struct Stage {
    pub(crate) stand: Stand,
    parts: Parts,
    address: SocketAddr,
    cache_time: ManualClock,
}

impl Stage {
    /// At one of the moments. Needs a runtime of one thread, whose time can be moved.
    pub(crate) async fn at(moment: Timestamp, patience: Patience) -> Self {
        let mut stand = Stand::with_simulator(SimOptions {
            time: SimTime::FrozenAt(moment),
            ..SimOptions::default()
        })
        .await;
        stand.config.upstream_timeout = patience.length();
        let key = |text: &str| Some(text.into());
        stand.config.taapi_secret = key(keys::TAAPI_SECRET);
        stand.config.cmc_api_key = key(keys::CMC_API_KEY);
        stand.config.finnhub_api_key = key(keys::FINNHUB_API_KEY);
        stand.config.coingecko_api_key = key(keys::COINGECKO_API_KEY);
        let cache_time = ManualClock::new();
        let cache = CacheManager::build_with(&stand.config, cache_time.clock());
        let cache = Arc::new(cache.expect("the caches are built"));
        let bases = Of::ALL.map(|of| stand.config.base(of));
        let http = Http::new(bases, patience.length()).expect("a client without certificates");
        let http: Arc<dyn Transport> = Arc::new(http);
        let clock = Clock::starting_at(moment);
        let service =
            DataService::start_with(&stand.config, Some(Arc::clone(&cache)), &http, clock);
        let parts = parts(stand.config.clone(), cache, service);
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = door.local_addr().expect("an address");
        tokio::spawn(listener::run(door, parts.front.clone(), parts.stop.clone()));
        Self {
            stand,
            parts,
            address,
            cache_time,
        }
    }

    /// From the first moment to the second.
    pub(crate) async fn wait(&self) {
        tokio::time::pause();
        tokio::time::advance(BETWEEN_ROUNDS).await;
        tokio::time::resume();
        self.cache_time.advance(BETWEEN_ROUNDS);
        self.stand.simulator.step(BETWEEN_ROUNDS);
    }

    /// Lets it happen.
    pub(crate) async fn suffer(&self, outage: &Outage) {
        let gone = FaultKind::Status {
            status: 404,
            retry_after: None,
        };
        for of in outage.gone {
            self.stand.break_source(simulated(*of), gone.clone());
        }
        for of in &outage.failing {
            self.fail(simulated(*of), &outage.failure.0).await;
        }
    }

    /// Lets one source fail.
    pub(crate) async fn fail(&self, source: Source, kind: &FaultKind) {
        self.stand.break_source(source, kind.clone());
        if matches!(kind, FaultKind::RateLimit { .. }) {
            // Somebody else behind the same address has used it up.
            let path = format!("/{}/nothing", source.name());
            wire::get(self.stand.simulator.address(), &path).await;
        }
    }

    pub(crate) fn service(&self) -> &DataService {
        &self.parts.service
    }

    /// The summary of a round made now.
    pub(crate) async fn refreshed(&self) -> Value {
        self.json("/api/crypto/dashboard-summary/refresh").await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let reply = wire::get(self.address, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// Calls that came to the source from this service.
    pub(crate) fn calls_of(&self, of: Of) -> u64 {
        let name = simulated(of).name();
        let calls = self.stand.simulator.calls();
        let own = calls
            .iter()
            .filter(|(endpoint, _)| endpoint.starts_with(&format!("{name} /")));
        own.map(|(_, count)| count).sum()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.parts.stop.cancel();
    }
}
