//! P6: the summary endpoint beside a static axum body of the same size, in one run.
//!
//! Both are served by this process; 64 keep-alive connections ask, by `wrk` where it is
//! installed, else by a small client in here. Rounds alternate, medians are compared. One
//! line is printed, and one JSON object appended to the file named by `BENCH_JSON`.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use dashboard::app::Application;
use dashboard::command::Flags;
use dashboard::config::Config;
use market_sim::{SimOptions, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 15;
/// Short, so that a drift of the machine meets both alike.
const ROUND: Duration = Duration::from_secs(1);
const SUMMARY: &str = "/api/crypto/dashboard-summary";

fn main() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("the first provider");
    let servers = Runtime::new().expect("a runtime");
    let client = Runtime::new().expect("a runtime");
    let (_simulator, ours) = servers.block_on(start_ours());
    let body = client.block_on(warm_body(ours));
    let baseline = servers.block_on(start_baseline(body.clone()));

    let by = Load::choose();
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (at, (address, path)) in [(baseline, "/"), (ours, SUMMARY)].into_iter().enumerate() {
            samples[at].push(by.measure(&client, address, path));
        }
    }
    let [baseline, ours] = samples.map(median);
    report(by, body.len(), ours, baseline);
}

/// The application as it runs, before a simulator.
async fn start_ours() -> (Simulator, SocketAddr) {
    let simulator = Simulator::start(SimOptions::default())
        .await
        .expect("the simulator starts");
    let environment: HashMap<&str, String> = [
        ("PORT", "0".to_owned()),
        ("BINANCE_BASE_URL", simulator.binance_url()),
        ("BINANCE_WS_URL", simulator.binance_ws_url()),
        ("COINGECKO_BASE_URL", simulator.coingecko_url()),
        ("FNG_BASE_URL", simulator.fng_url()),
    ]
    .into();
    let config = Config::read(&Flags::default(), |name| {
        environment.get(name).map(Into::into)
    })
    .expect("sound settings");
    let application = Application::build(config).await.expect("it starts");
    let address = application.address();
    tokio::spawn(application.run(std::future::pending()));
    (simulator, address)
}

/// The least that axum can do with the same bytes.
async fn start_baseline(body: Bytes) -> SocketAddr {
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let serving = axum::serve(listener, Router::new().route("/", get(answer)));
    tokio::spawn(serving.into_future());
    address
}

/// The summary once every source has answered: the body that the baseline repeats.
async fn warm_body(address: SocketAddr) -> Bytes {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut connection = Connection::open(address, SUMMARY).await;
        let body = connection.ask().await;
        let text = String::from_utf8_lossy(&body);
        if !text.contains("\"missing\"") && !text.contains("\"stale\"") {
            return body;
        }
        assert!(Instant::now() < deadline, "the summary stayed cold");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Who asks.
#[derive(Clone, Copy)]
enum Load {
    Wrk,
    Own,
}

impl Load {
    fn choose() -> Self {
        let mut wrk = Command::new("wrk");
        match wrk
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
        {
            Ok(_) => Self::Wrk,
            Err(_) => Self::Own,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::Own => "own client",
        }
    }

    /// Requests per second over one round.
    fn measure(self, client: &Runtime, address: SocketAddr, path: &str) -> f64 {
        match self {
            Self::Wrk => wrk(address, path),
            Self::Own => client.block_on(own(address, path)),
        }
    }
}

fn wrk(address: SocketAddr, path: &str) -> f64 {
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{}s", ROUND.as_secs()),
        ])
        .arg(format!("http://{address}{path}"))
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("Non-2xx"), "{text}");
    text.lines()
        .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no figure in {text}"))
}

#[allow(clippy::cast_precision_loss)]
async fn own(address: SocketAddr, path: &str) -> f64 {
    let answered = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (answered, path) = (Arc::clone(&answered), path.to_owned());
            tokio::spawn(async move {
                let mut connection = Connection::open(address, &path).await;
                while began.elapsed() < ROUND {
                    connection.ask().await;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for one in asking {
        one.await.expect("no asker panics");
    }
    answered.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// One keep-alive connection that asks for one thing.
struct Connection {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        Self {
            stream,
            request,
            buffer: Vec::with_capacity(16 * 1024),
        }
    }

    async fn ask(&mut self) -> Bytes {
        self.stream
            .write_all(self.request.as_bytes())
            .await
            .expect("it reads");
        self.buffer.clear();
        loop {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("it answers");
            assert_ne!(read, 0, "the connection was closed");
            if let Some(body) = whole(&self.buffer) {
                return body;
            }
        }
    }
}

/// The body, once head and body are there.
fn whole(answer: &[u8]) -> Option<Bytes> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    let body = &answer[end + 4..];
    (body.len() >= length.parse().ok()?).then(|| Bytes::copy_from_slice(body))
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn report(by: Load, body_bytes: usize, ours: f64, baseline: f64) {
    let what = format!(
        "summary, {body_bytes} B, {CONNECTIONS} connections, {}",
        by.name()
    );
    let target = "≥ 0.85 × static axum (later 0.95)";
    let ratio = ours / baseline;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<4} {what:<52} {ours:>10.0} {baseline:>10.0} {ratio:>7.2}  {target}",
        "P6"
    )
    .expect("stdout takes the line");
    let Ok(path) = std::env::var("BENCH_JSON") else {
        return;
    };
    let object = serde_json::json!({
        "id": "P6", "what": what, "unit": "requests/s",
        "ours": ours, "baseline": baseline, "ratio": ratio, "target": target,
    });
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("BENCH_JSON names a file that can be written");
    writeln!(file, "{object}").expect("BENCH_JSON takes the figure");
}
