//! A PostgreSQL server of a test's own, in a directory of its own, on a free port of loopback.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::rig::until;

/// PostgreSQL refuses to run as root; its Debian package brings this user.
const UNPRIVILEGED: &str = "postgres";

pub(crate) struct Postgres {
    directory: PathBuf,
    port: u16,
    server: Option<Child>,
    databases: AtomicU32,
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// Starts a server and waits until it answers.
    pub(crate) async fn start() -> Self {
        let mut postgres = Self::absent();
        postgres.launch().await;
        postgres
    }

    /// A server that is not running yet; its address is known.
    pub(crate) fn absent() -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("dashboard-postgres-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("the directory is made");
        if is_root() {
            let mut chown = Command::new("chown");
            ran(chown.arg(UNPRIVILEGED).arg(&directory));
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let postgres = Self {
            directory,
            port,
            server: None,
            databases: AtomicU32::new(0),
        };
        let mut initdb = postgres.program("initdb");
        // The files of initdb alone may be lost: the server itself runs with fsync.
        let trusting = ["--no-sync", "--auth=trust", "--locale=C", "--encoding=UTF8"];
        ran(initdb.args(["--username", "reports"]).args(trusting));
        postgres
    }

    /// Starts the server, with whatever is in its directory.
    pub(crate) async fn launch(&mut self) {
        let mut server = self.program("postgres");
        let port = self.port.to_string();
        server.args(["-p", &port, "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "fsync=on", "-c", "shared_buffers=16MB"]);
        server.arg("-k").arg(&self.directory);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().expect("PostgreSQL starts"));
        until("PostgreSQL to answer", || async {
            self.connect("postgres").await.ok().map(drop)
        })
        .await;
    }

    /// Stops the server in order; what is open is closed.
    pub(crate) fn stop(&mut self) {
        self.end("-INT");
    }

    /// Ends the server and all its processes at once, as a power cut would.
    pub(crate) fn crash(&mut self) {
        self.signal("-KILL");
        self.end("-KILL");
        // A crashed server's own file keeps the next one from starting while its id is in use.
        let _ = fs::remove_file(self.directory.join("data/postmaster.pid"));
    }

    /// Stops all its processes from running: connections stay, and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// As [`freeze`](Self::freeze), but for new connections and for one that is there.
    pub(crate) fn freeze_connections_but(&self, spared: i32) {
        let spared = spared.to_string();
        // The first is the one that makes new ones.
        for process in self.processes().iter().skip(1) {
            if *process != spared {
                send("-STOP", process);
            }
        }
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// The address of a database that nobody else has.
    pub(crate) async fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let mut connection = self.connect("postgres").await.expect("it answers");
        let sql = format!("CREATE DATABASE test_{number}");
        let made = connection.execute(AssertSqlSafe(sql)).await;
        made.expect("the database is made");
        self.address(&format!("test_{number}"))
    }

    /// The value of DATABASE_URL.
    pub(crate) fn address(&self, database: &str) -> String {
        format!("postgres://reports@127.0.0.1:{}/{database}", self.port)
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnection::connect(&self.address(database)).await
    }

    /// One of its programs, run by a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let path = binaries().join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED])
                .arg("--clear-groups")
                .arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(&self.directory);
        command.arg("-D").arg(self.directory.join("data"));
        command
    }

    fn signal(&self, signal: &str) {
        for process in self.processes() {
            send(signal, &process);
        }
    }

    /// The server's process and those it has for connections.
    fn processes(&self) -> Vec<String> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        let id = server.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.expect("the system tells a process' children");
        let own = std::iter::once(id.to_string());
        own.chain(children.split_whitespace().map(str::to_owned))
            .collect()
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            send(signal, &server.id().to_string());
            server.wait().expect("a child of ours");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.thaw();
        self.end("-QUIT");
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Processes for a connection come and go; one that has gone is no matter.
fn send(signal: &str, process: &str) {
    let mut kill = Command::new("kill");
    let _ = kill.args([signal, process]).stderr(Stdio::null()).status();
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Debian keeps its programs out of PATH, a directory for each version.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|path| path.join("postgres").exists())
        .max();
    newest.unwrap_or_else(|| Path::new("").to_owned())
}

fn ran(command: &mut Command) {
    let output = command
        .output()
        .expect("PostgreSQL is installed (scripts/check does it)");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
}
