//! What sources are told is told nobody else, whatever goes wrong with them.

use std::net::SocketAddr;
use std::process::Stdio;

use futures_util::{StreamExt as _, stream};
use market_sim::{FaultKind, RetryAfter, Simulator, keys};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::rig::{SUMMARY, simulator, until};
use crate::stand::break_every_source;
use crate::wire;

/// The beginning of each key in base64.
const ENCODED: &str = "c2ltdWxhdGVkL";

const WITH_KEYS: [&str; 4] = ["taapi", "coinmarketcap", "finnhub", "coingecko"];

/// Programs at once.
const AT_ONCE: usize = 4;

/// A source that hangs is given up without a word of its own, and takes a round's time.
fn failures() -> Vec<FaultKind> {
    let status = |status| FaultKind::Status {
        status,
        retry_after: (status == 429).then_some(RetryAfter::Seconds(1)),
    };
    vec![
        status(401),
        status(429),
        status(500),
        FaultKind::Reset,
        FaultKind::Html,
        FaultKind::Truncated,
        FaultKind::Redirect {
            to: "http://127.0.0.1:1/".into(),
        },
    ]
}

struct Program {
    child: tokio::process::Child,
    address: SocketAddr,
    said: tokio::task::JoinHandle<String>,
}

impl Program {
    /// The program as operators run it, telling all it can.
    async fn start(simulator: &Simulator) -> Self {
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_dashboard"))
            .arg("serve")
            .env_clear()
            .env("TAAPI_SECRET", keys::TAAPI_SECRET)
            .env("CMC_API_KEY", keys::CMC_API_KEY)
            .env("FINNHUB_API_KEY", keys::FINNHUB_API_KEY)
            .env("COINGECKO_API_KEY", keys::COINGECKO_API_KEY)
            .env("PORT", "0")
            .env("RUST_LOG", "trace")
            .env("REFRESH_INTERVAL_SECONDS", "1")
            .env("UPSTREAM_TIMEOUT_MS", "400")
            .env("BINANCE_BASE_URL", simulator.binance_url())
            .env("BINANCE_WS_URL", simulator.binance_ws_url())
            .env("COINGECKO_BASE_URL", simulator.coingecko_url())
            .env("FNG_BASE_URL", simulator.fng_url())
            .env("TAAPI_BASE_URL", simulator.taapi_url())
            .env("CMC_BASE_URL", simulator.cmc_url())
            .env("COINBASE_BASE_URL", simulator.coinbase_url())
            .env("KRAKEN_BASE_URL", simulator.kraken_url())
            .env("FINNHUB_BASE_URL", simulator.finnhub_url())
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output"));
        let mut errors = child.stderr.take().expect("standard error");
        let mut line = String::new();
        lines.read_line(&mut line).await.expect("text");
        let (_, rest) = line.split_once("http://").expect("an address");
        let address = rest
            .trim()
            .trim_end_matches('/')
            .parse()
            .expect("an address");
        // Read beside the test, or a full pipe would stop the program.
        let said = tokio::spawn(async move {
            let (mut output, mut log) = (String::new(), String::new());
            let read = tokio::join!(
                lines.read_to_string(&mut output),
                errors.read_to_string(&mut log)
            );
            read.0.expect("text");
            read.1.expect("text");
            output + &log
        });
        Self {
            child,
            address,
            said,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_a_source_is_in_a_log_an_answer_or_a_metric_however_it_fails() {
    let failing = stream::iter(failures());
    failing.for_each_concurrent(AT_ONCE, keeps_secrets).await;
}

async fn keeps_secrets(fault: FaultKind) {
    let simulator = simulator().await;
    break_every_source(&simulator, &fault);
    let mut program = Program::start(&simulator).await;
    until("every source with a key to have failed", || async {
        let sources = wire::get(program.address, "/api/v1/sources").await.json();
        let sources = sources["sources"].as_array().expect("a list").clone();
        let has_failed = |name: &&str| {
            let source = sources.iter().find(|source| source["source"] == *name);
            // A trouble may be told before the read has ended, and been spoken of.
            source.expect("it is listed")["failed_reads"].as_u64() > Some(0)
        };
        WITH_KEYS.iter().all(has_failed).then_some(())
    })
    .await;
    let mut told = String::new();
    for path in [
        SUMMARY,
        "/api/v1/sources",
        "/api/v1/markets/btc",
        "/metrics",
        "/",
    ] {
        told.push_str(&wire::get(program.address, path).await.text());
    }
    program.child.kill().await.expect("it runs");
    told.push_str(&program.said.await.expect("the reader lives"));
    assert!(
        told.contains("/rsi"),
        "{fault:?}: TAAPI's address is nowhere"
    );
    for secret in [
        keys::TAAPI_SECRET,
        keys::CMC_API_KEY,
        keys::FINNHUB_API_KEY,
        keys::COINGECKO_API_KEY,
        ENCODED,
    ] {
        let found = told.lines().find(|line| line.contains(secret));
        assert_eq!(found, None, "{fault:?}");
    }
}
