//! The built program as its users have it: started, used, told to stop.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::rig::{SUMMARY, TOKEN, until};
use crate::wire;

/// Generous beside the second that is promised: the machine may be busy.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A directory that goes when the test ends.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dashboard-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running program; killed if the test ends before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(directory: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashboard"));
    command
        .env_clear()
        .envs(settings.iter().copied())
        .current_dir(directory);
    command
}

/// Starts the demo and waits for its address.
fn demo(
    place: &Place,
    settings: &[(&str, &str)],
) -> (Running, SocketAddr, BufReader<std::process::ChildStdout>) {
    let data = place.0.join("data");
    let mut child = program(&place.0, settings)
        .arg("demo")
        .env("PORT", "0")
        .env("DATA_DIR", &data)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("standard output"));
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(
            lines.read_line(&mut line).expect("text"),
            0,
            "it ended without an address"
        );
        if let Some((_, rest)) = line.split_once("http://") {
            break rest
                .trim()
                .trim_end_matches('/')
                .parse()
                .expect("an address");
        }
    };
    (Running(child), address, lines)
}

fn signal(child: &Child, name: &str) {
    let told = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status();
    assert!(told.expect("kill is there").success());
}

async fn ended(child: &mut Child) -> ExitStatus {
    until("the program's end", || {
        let ended = child.try_wait().expect("a child of ours");
        async move { ended }
    })
    .await
}

#[tokio::test]
async fn the_demo_serves_and_ends_cleanly_when_told() {
    let place = Place::new("demo");
    let settings = [
        ("ADMIN_TOKEN", TOKEN),
        ("RUST_LOG", "trace"),
        ("REFRESH_INTERVAL_SECONDS", "1"),
    ];
    let (mut running, address, mut lines) = demo(&place, &settings);
    // Read beside the test, or a full pipe would stop the program.
    let mut errors = running.0.stderr.take().expect("standard error");
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).map(|_| text)
    });
    let summary = until("figures", || async {
        let summary = wire::get(address, SUMMARY).await.json();
        summary["btc_price_usd"].is_number().then_some(summary)
    })
    .await;
    assert!(
        summary["data_sources"].to_string().contains("simulated"),
        "{summary}"
    );
    let page = wire::get(address, "/").await.text();
    assert!(page.contains("Simulated data"));
    until("a price that moved", || async {
        let now = wire::get(address, SUMMARY).await.json();
        (now["btc_price_usd"] != summary["btc_price_usd"]).then_some(())
    })
    .await;
    let sent = format!("Bearer {TOKEN}");
    let cleared = wire::call(address, "POST", "/clear-cache", &[("Authorization", &sent)]).await;
    assert_eq!(cleared.status, 200);

    signal(&running.0, "-TERM");
    assert!(ended(&mut running.0).await.success());
    let log = log.join().expect("the reader").expect("text");
    assert!(log.contains("admin: cleared"), "{log}");
    assert!(!log.contains(TOKEN), "the token is in the log");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_names_the_setting() {
    let place = Place::new("port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = finished(program(&place.0, &[("PORT", &port)]).arg("demo"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        complaint(&output).contains("PORT"),
        "{}",
        complaint(&output)
    );
}

#[test]
fn a_bad_setting_stops_the_start_and_is_named_without_secrets() {
    let secret = "hunter2-hunter2";
    let with_password = format!("ftp://user:{secret}@127.0.0.1/");
    let table: Vec<(&str, &str)> = vec![
        ("PORT", "70000"),
        ("PORT", "eighty"),
        ("HOST", "nowhere.example"),
        ("ADMIN_TOKEN", secret),
        ("ADMIN_TOKEN_FILE", secret),
        ("REDIS_URL_FILE", &with_password),
        // A link-local address without its zone cannot be listened on.
        ("HOST", "fe80::1"),
        ("REDIS_URL", &with_password),
        ("REDIS_NAMESPACE", "Has Blanks"),
        ("CACHE_L1_CAPACITY", "0"),
        ("CACHE_L1_TTL_SECONDS", "-1"),
        ("CACHE_L2_TTL_SECONDS", "31536001"),
        ("CACHE_L1_POLICY", "fifo"),
        ("DASHBOARD_TTL_SECONDS", "0"),
        ("REFRESH_INTERVAL_SECONDS", "1.5"),
        ("SYMBOLS", "btc,doge"),
        ("SYMBOLS", "btc,btc"),
        ("BINANCE_BASE_URL", "binance.com"),
        ("COINGECKO_BASE_URL", &with_password),
        ("UPSTREAM_TIMEOUT_MS", "0"),
        ("L2_TIMEOUT_MS", "600001"),
        ("WS_MAX_CLIENTS", "many"),
        ("ALLOWED_ORIGINS", "board.example"),
        ("LOG_FORMAT", "xml"),
    ];
    let place = Place::new("settings");
    for (name, value) in table {
        let began = Instant::now();
        let settings = [("PORT", "0"), (name, value), ("RUST_LOG", "trace")];
        let output = finished(program(&place.0, &settings).arg("serve"));
        let said = complaint(&output);
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {said}");
        assert!(
            began.elapsed() < START_LIMIT,
            "{name}: {:?}",
            began.elapsed()
        );
        let begins = format!("dashboard: {name}: ");
        assert!(said.starts_with(&begins), "{name}={value}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{name}={value}: {said}");
        assert!(!said.contains(secret), "{name}: {said}");
    }
}

/// Runs to its end, for [`START_LIMIT`] at most.
fn finished(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut running = Running(child);
    let began = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait().expect("a child of ours") {
            break status;
        }
        assert!(began.elapsed() < START_LIMIT, "it did not end");
        std::thread::sleep(Duration::from_millis(10));
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    running
        .0
        .stdout
        .take()
        .expect("piped")
        .read_to_end(&mut stdout)
        .expect("read");
    running
        .0
        .stderr
        .take()
        .expect("piped")
        .read_to_end(&mut stderr)
        .expect("read");
    Output {
        status,
        stdout,
        stderr,
    }
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
