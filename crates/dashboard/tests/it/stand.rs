//! A data service before a simulator of its own, without the HTTP face.

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Duration};

use dashboard::{
    cache::manager::CacheManager,
    clock::Clock,
    config::Config,
    demo::lead_to,
    market::{
        figure::{Group, Source as Of},
        service::DataService,
        transport::{Http, Transport},
    },
};
use market_sim::{Fault, FaultKind, MarketSource, SimOptions, SimTime, Simulator, Source};
use serde_json::Value;

/// UPSTREAM_TIMEOUT_MS of these tests.
pub(crate) const UPSTREAM_TIMEOUT: Duration = Duration::from_millis(1_500);

pub(crate) struct Stand {
    pub(crate) simulator: Simulator,
    pub(crate) config: Config,
}

/// Whether the service has a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caching {
    On,
    Off,
}

impl Stand {
    pub(crate) async fn new() -> Self {
        Self::with_simulator(SimOptions::default()).await
    }

    pub(crate) async fn with_simulator(options: SimOptions) -> Self {
        // Each test of the binary tries; the first one wins, which is all that is needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::start(options)
            .await
            .expect("the simulator starts");
        let mut config = Config {
            upstream_timeout: UPSTREAM_TIMEOUT,
            refresh_interval: Duration::from_secs(1),
            ..Config::defaults()
        };
        lead_to(&mut config, &simulator).expect("the simulator has a sound address");
        Self { simulator, config }
    }

    pub(crate) fn cache(&self) -> Arc<CacheManager> {
        Arc::new(CacheManager::build(&self.config).expect("the caches are built"))
    }

    pub(crate) fn service(&self, caching: Caching) -> Arc<DataService> {
        let cache = match caching {
            Caching::On => Some(self.cache()),
            Caching::Off => None,
        };
        self.service_over(cache)
    }

    /// What a fresh service with caches answers, as JSON.
    pub(crate) async fn summary(&self) -> Value {
        json(
            &self
                .service(Caching::On)
                .fetch_dashboard_summary()
                .await
                .value,
        )
    }

    pub(crate) fn service_over(&self, cache: Option<Arc<CacheManager>>) -> Arc<DataService> {
        DataService::start(&self.config, cache).expect("the service starts")
    }

    /// A service with caches whose clock goes with the market's.
    pub(crate) fn service_at(&self, moment: &str) -> Arc<DataService> {
        let bases = Of::ALL.map(|source| self.config.base(source));
        let http = Http::new(bases, UPSTREAM_TIMEOUT).expect("a client without certificates");
        let http: Arc<dyn Transport> = Arc::new(http);
        let clock = Clock::starting_at(moment.parse().expect("a timestamp"));
        DataService::start_with(&self.config, Some(self.cache()), &http, clock)
    }

    pub(crate) fn break_source(&self, source: Source, kind: FaultKind) {
        self.simulator.inject(source, Fault::always(kind));
    }

    /// Breaks whoever could be asked for these figures, for that question.
    pub(crate) fn break_group(&self, group: Group, kind: &FaultKind) {
        let questions: &[(Source, &str)] = match group {
            Group::Prices => &[
                (Source::Binance, "/api/v3/ticker/24hr"),
                (Source::Coinbase, "/products/{id}/stats"),
                (Source::Kraken, "/0/public/Ticker"),
                (Source::CoinGecko, "/api/v3/simple/price"),
            ],
            Group::Candles => &[
                (Source::Binance, "/api/v3/klines"),
                (Source::Coinbase, "/products/{id}/candles"),
                (Source::Kraken, "/0/public/OHLC"),
                (Source::Taapi, "/rsi"),
            ],
            Group::Global => &[
                (Source::CoinGecko, "/api/v3/global"),
                (Source::Cmc, "/v1/global-metrics/quotes/latest"),
            ],
            Group::FearGreed => &[(Source::Fng, "/fng/")],
            Group::UsStocks => &[(Source::Finnhub, "/api/v1/quote")],
            Group::CrossCheck => &[],
        };
        for (source, endpoint) in questions {
            let fault = Fault {
                endpoint: Some((*endpoint).into()),
                ..Fault::always(kind.clone())
            };
            self.simulator.inject(*source, fault);
        }
    }

    pub(crate) fn break_every_source(&self, kind: &FaultKind) {
        break_every_source(&self.simulator, kind);
    }

    pub(crate) fn calls(&self, endpoint: &str) -> u64 {
        self.simulator.calls().get(endpoint).copied().unwrap_or(0)
    }
}

pub(crate) fn break_every_source(simulator: &Simulator, kind: &FaultKind) {
    for source in Source::ALL {
        simulator.inject(source, Fault::always(kind.clone()));
    }
}

/// Every endpoint that a cold summary needs.
pub(crate) const ENDPOINTS: [&str; 5] = [
    "binance /api/v3/ticker/24hr",
    "binance /api/v3/time",
    "binance /api/v3/klines",
    "coingecko /api/v3/global",
    "fng /fng/",
];

/// A simulator that replays real candles, if the capture is on this machine.
pub(crate) fn replay(at: &str) -> Option<SimOptions> {
    let directory = std::env::var_os("CAPTURES_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures"),
        PathBuf::from,
    );
    let path = directory.join("btcusdt-1d-2018-2022.csv");
    if !path.is_file() {
        // Past the test runner, which keeps what a passing test prints to itself.
        let told = writeln!(
            std::io::stderr(),
            "NOT CHECKED against real candles: there is no {}",
            path.display()
        );
        told.expect("standard error is open");
        return None;
    }
    Some(SimOptions {
        market: MarketSource::Candles(path),
        time: SimTime::FrozenAt(at.parse().expect("a timestamp")),
        ..SimOptions::default()
    })
}

/// The names of a group's figures, and what the JSON says of each.
pub(crate) fn fields_of(summary: &Value, group: Group) -> Vec<(String, Value)> {
    let wanted = |name: &str| match group {
        Group::Prices => name.ends_with("_price_usd") || name.ends_with("_change_24h"),
        Group::Global => name.contains("market_cap") || name == "volume_24h_usd",
        Group::FearGreed => name.starts_with("fng_"),
        Group::Candles => name == "btc_rsi_14",
        Group::UsStocks => name.starts_with("us_stock_indices."),
        Group::CrossCheck => false,
    };
    let fields = summary["fields"].as_object().expect("fields is an object");
    let found: Vec<_> = fields
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, field)| (name.clone(), field.clone()))
        .collect();
    assert!(!found.is_empty(), "no field of {group:?}");
    found
}

pub(crate) fn json(summary: &dashboard::market::summary::Summary) -> Value {
    serde_json::from_slice(&summary.body()).expect("the body is JSON")
}

/// Its name in the simulator.
pub(crate) fn simulated(of: Of) -> Source {
    match of {
        Of::Binance => Source::Binance,
        Of::CoinGecko => Source::CoinGecko,
        Of::AlternativeMe => Source::Fng,
        Of::Coinbase => Source::Coinbase,
        Of::Kraken => Source::Kraken,
        Of::CoinMarketCap => Source::Cmc,
        Of::Taapi => Source::Taapi,
        Of::Finnhub => Source::Finnhub,
    }
}
