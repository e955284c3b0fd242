//! Several instances of the program on one Redis and one simulator.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use market_sim::{Fault, FaultKind, Simulator, Source};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::redis::Redis;
use crate::rig::{SUMMARY, TOKEN, simulator, until};
use crate::wire;
use crate::ws::{Client, joined_at, json};

/// A program of its own, as it runs in production.
pub(crate) struct Instance {
    pub(crate) child: tokio::process::Child,
    pub(crate) address: SocketAddr,
}

impl Instance {
    pub(crate) async fn start(
        redis: &Redis,
        simulator: &Simulator,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_dashboard"));
        command
            .arg("serve")
            .env_clear()
            .env("PORT", "0")
            .env("REDIS_URL", redis.address())
            // The machine of the tests may be busy.
            .env("L2_TIMEOUT_MS", "500")
            .env("REFRESH_INTERVAL_SECONDS", "1")
            .env("ADMIN_TOKEN", TOKEN)
            .env("BINANCE_BASE_URL", simulator.binance_url())
            .env("BINANCE_WS_URL", simulator.binance_ws_url())
            .env("COINGECKO_BASE_URL", simulator.coingecko_url())
            .env("FNG_BASE_URL", simulator.fng_url())
            .env("COINBASE_BASE_URL", simulator.coinbase_url())
            .env("KRAKEN_BASE_URL", simulator.kraken_url())
            .envs(settings.iter().copied())
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let line = lines.next_line().await.expect("text").expect("an address");
        let (_, rest) = line.split_once("http://").expect("an address");
        let address = rest.trim_end_matches('/').parse().expect("an address");
        Self { child, address }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("kill is installed").success());
    }

    /// Whether it renews the figures.
    pub(crate) async fn leads(&self) -> bool {
        let token = format!("Bearer {TOKEN}");
        let headers = [("Authorization", token.as_str())];
        let stats = wire::call(self.address, "GET", "/admin/cache/stats", &headers).await;
        stats.json()["refresher"]["leads"] == true
    }

    pub(crate) async fn summary(&self) -> Value {
        let reply = wire::get(self.address, SUMMARY).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }
}

pub(crate) struct Fleet {
    pub(crate) instances: Vec<Instance>,
    pub(crate) simulator: Simulator,
    pub(crate) redis: Redis,
}

impl Fleet {
    pub(crate) async fn of(count: usize) -> Self {
        Self::with(count, &[]).await
    }

    /// Prices have to be asked for, which tells rounds from one another.
    pub(crate) async fn with(count: usize, settings: &[(&str, &str)]) -> Self {
        let simulator = simulator().await;
        let refused = FaultKind::Status {
            status: 404,
            retry_after: None,
        };
        simulator.inject(Source::BinanceWs, Fault::always(refused));
        Self::before(simulator, count, settings).await
    }

    pub(crate) async fn before(
        simulator: Simulator,
        count: usize,
        settings: &[(&str, &str)],
    ) -> Self {
        let redis = Redis::start().await;
        let start = (0..count).map(|_| Instance::start(&redis, &simulator, settings));
        let instances = futures_util::future::join_all(start).await;
        Self {
            instances,
            simulator,
            redis,
        }
    }

    pub(crate) async fn clients(&self) -> Vec<Client> {
        let join = self
            .instances
            .iter()
            .map(|instance| joined_at(instance.address));
        futures_util::future::join_all(join).await
    }

    /// The one that renews the figures, once there is one and no more.
    pub(crate) async fn leader(&self) -> usize {
        until("one leader", || async {
            let all = self.instances.iter().map(Instance::leads);
            let all = futures_util::future::join_all(all).await;
            let leaders: Vec<usize> = (0..all.len()).filter(|index| all[*index]).collect();
            (leaders.len() == 1).then(|| leaders[0])
        })
        .await
    }
}

pub(crate) fn seq(update: &Value) -> u64 {
    update["seq"].as_u64().expect("a number")
}

/// Reads updates until one holds, and sees that none goes back.
pub(crate) async fn next_where(
    client: &mut Client,
    last: &mut u64,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    loop {
        let update = json(client).await;
        assert!(seq(&update) >= *last, "{} after {last}", seq(&update));
        *last = seq(&update);
        if wanted(&update) {
            return update;
        }
    }
}
