//! A redis-server of a test's own, on a Unix socket in a directory of its own.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use dashboard::{command::Flags, config::Config, setting::RedisUrl};

use crate::rig::until;

pub(crate) struct Redis {
    server: Child,
    directory: PathBuf,
}

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Redis {
    /// Starts a server and waits until it answers.
    pub(crate) async fn start() -> Self {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("dashboard-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("the directory is made");
        let server = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--appendonly",
                "no",
                "--unixsocket",
            ])
            .arg(directory.join("socket"))
            .arg("--dir")
            .arg(&directory)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (scripts/check does it)");
        let redis = Self { server, directory };
        until("redis-server to answer", || async {
            (redis.command(&["PING"]).trim() == "PONG").then_some(())
        })
        .await;
        redis
    }

    pub(crate) fn url(&self) -> RedisUrl {
        url(&self.address())
    }

    /// The value of REDIS_URL.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.directory.join("socket").display())
    }

    /// Another address, at which it answers once [`Redis::open_side_door`] was called.
    pub(crate) fn side_door(&self) -> RedisUrl {
        url(&format!("{}-side", self.address()))
    }

    pub(crate) fn open_side_door(&self) {
        let (socket, side) = ("socket", self.directory.join("socket-side"));
        std::os::unix::fs::symlink(socket, side).expect("a link is made");
    }

    /// An address at which nobody listens.
    pub(crate) async fn nowhere() -> RedisUrl {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        url(&format!("redis://{address}"))
    }

    /// Runs a command and hands out what it printed.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let socket = self.directory.join("socket");
        let ran = Command::new("redis-cli")
            .arg("-s")
            .arg(socket)
            .args(words)
            .output()
            .expect("redis-cli is installed");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.server.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("kill is installed");
        assert!(sent.success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Best effort: it may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn url(text: &str) -> RedisUrl {
    let lookup = |name: &str| (name == "REDIS_URL").then(|| text.into());
    let config = Config::read(&Flags::default(), lookup).expect("a sound address");
    config.redis_url.expect("it is set")
}
