//! A whole application before a simulator of its own, and ways to wait for it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use dashboard::app::Application;
use dashboard::command::Flags;
use dashboard::config::Config;
use dashboard::http::ws::Pace;
use market_sim::{SimOptions, Simulator};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::wire::{self, Reply};

/// An admin token long enough to be one.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const SUMMARY: &str = "/api/crypto/dashboard-summary";

/// A running service. Dropping it leaves nothing behind: everything is in this process.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Rig {
    /// With the settings given, and otherwise: a free port, a round a second.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_with(settings, Pace::default(), simulator().await).await
    }

    pub(crate) async fn start_with(
        settings: &[(&str, &str)],
        pace: Pace,
        simulator: Simulator,
    ) -> Self {
        // Each test of the binary tries; the first one wins, which is all that is needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = config(settings, &simulator);
        let application = Application::build_with(config, pace)
            .await
            .expect("it starts");
        let address = application.address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(application.run(async {
            let _ = stopped.await;
        }));
        Self {
            simulator,
            address,
            stop: Some(stop),
            running,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        wire::get(self.address, path).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        wire::call(self.address, method, path, headers).await
    }

    pub(crate) async fn summary(&self) -> Value {
        let reply = self.get(SUMMARY).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Waits until no figure is missing.
    pub(crate) async fn warm(&self) -> Value {
        until("a summary without a missing figure", || async {
            let summary = self.summary().await;
            let fields = summary["fields"]
                .as_object()
                .expect("fields is an object")
                .clone();
            (!fields.is_empty() && fields.values().all(|field| field["status"] == "fresh"))
                .then_some(summary)
        })
        .await
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn tell_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(mut self) {
        self.tell_to_stop();
        let ended = tokio::time::timeout(Duration::from_secs(15), &mut self.running).await;
        ended
            .expect("it stops in time")
            .expect("it stops without a panic");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

/// A simulator on a port of its own.
pub(crate) async fn simulator() -> Simulator {
    Simulator::start(SimOptions::default())
        .await
        .expect("the simulator starts")
}

fn config(settings: &[(&str, &str)], simulator: &Simulator) -> Config {
    let mut environment: HashMap<String, OsString> = [
        ("PORT", "0".to_owned()),
        ("REFRESH_INTERVAL_SECONDS", "1".to_owned()),
        ("BINANCE_BASE_URL", simulator.binance_url()),
        ("BINANCE_WS_URL", simulator.binance_ws_url()),
        ("COINGECKO_BASE_URL", simulator.coingecko_url()),
        ("FNG_BASE_URL", simulator.fng_url()),
        ("TAAPI_BASE_URL", simulator.taapi_url()),
        ("CMC_BASE_URL", simulator.cmc_url()),
        ("COINBASE_BASE_URL", simulator.coinbase_url()),
        ("KRAKEN_BASE_URL", simulator.kraken_url()),
        ("FINNHUB_BASE_URL", simulator.finnhub_url()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    for (name, value) in settings {
        environment.insert((*name).to_owned(), value.into());
    }
    Config::read(&Flags::default(), |name| environment.get(name).cloned()).expect("sound settings")
}

/// Asks again until there is something, for 20 s at most.
pub(crate) async fn until<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
