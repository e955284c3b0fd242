//! The service as a program, and what can be asked about it from outside.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use market_sim::Simulator;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

use crate::PATIENCE;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open: the program says more than its address.
    _says: Lines<BufReader<ChildStdout>>,
}

/// What it holds itself, and what the kernel holds for all sockets of this machine.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) own_bytes: u64,
    pub(crate) sockets_bytes: u64,
}

impl Program {
    /// With the pause between rounds that is given, or the default one.
    pub(crate) async fn start(simulator: &Simulator, interval: Option<&str>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dashboard"))
            .arg("serve")
            .env_clear()
            .env("PORT", "0")
            .env("RUST_LOG", "warn")
            .env("ADMIN_TOKEN", TOKEN)
            .env("WS_MAX_PER_ADDRESS", "12000")
            .env("BINANCE_BASE_URL", simulator.binance_url())
            .env("BINANCE_WS_URL", simulator.binance_ws_url())
            .env("COINGECKO_BASE_URL", simulator.coingecko_url())
            .env("FNG_BASE_URL", simulator.fng_url())
            .env("COINBASE_BASE_URL", simulator.coinbase_url())
            .env("KRAKEN_BASE_URL", simulator.kraken_url())
            .envs(interval.map(|seconds| ("REFRESH_INTERVAL_SECONDS", seconds)))
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let line = lines.next_line().await.expect("text").expect("an address");
        let (_, address) = line.split_once("http://").expect("an address");
        let address = address.trim_end_matches('/').parse().expect("an address");
        Self {
            child,
            address,
            _says: lines,
        }
    }

    /// Waits until so many places are taken.
    pub(crate) async fn seats_are(&self, wanted: usize) {
        let deadline = Instant::now() + PATIENCE;
        let wanted = format!("\"open\":{wanted}}}");
        loop {
            let stats = self.stats().await;
            if stats.contains(&wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "no {wanted} in {stats}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stats(&self) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let request = format!(
            "GET /admin/cache/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {TOKEN}\r\n\r\n"
        );
        let asked = stream.write_all(request.as_bytes()).await;
        asked.expect("it reads");
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer).await;
        read.expect("it answers");
        answer
    }

    pub(crate) fn memory(&self) -> Memory {
        let id = self.child.id().expect("it runs");
        let resident_kib = number_after(&format!("/proc/{id}/status"), "VmRSS:");
        let pages = number_after("/proc/net/sockstat", " mem ");
        Memory {
            own_bytes: resident_kib * 1_024,
            sockets_bytes: pages * 4_096,
        }
    }
}

/// The first number behind a word in one of the system's files.
fn number_after(path: &str, word: &str) -> u64 {
    let text = std::fs::read_to_string(path).expect("the system tells");
    let (_, rest) = text.split_once(word).expect("it tells this");
    let number = rest.split_whitespace().next().expect("a number");
    number.parse().expect("a number")
}
