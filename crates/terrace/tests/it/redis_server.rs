//! Real redis-server processes for tests: started on free loopback ports, without
//! persistence, killed with their owner. Knows nothing of caches.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Start to PONG takes some 20 ms; a busy machine gets a lot more.
const START_LIMIT: Duration = Duration::from_secs(20);
const START_ATTEMPTS: usize = 5;

/// One server. Dropping it kills the process and deletes its folder.
#[derive(Debug)]
pub(crate) struct RedisServer {
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// A running server that keeps nothing on disk.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with more command line arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        for _ in 0..START_ATTEMPTS {
            let mut server = Self::absent_with(arguments);
            if server.try_launch() {
                return server;
            }
        }
        panic!("redis-server did not start on {START_ATTEMPTS} ports in a row");
    }

    /// A server that is not running yet; its address is known.
    pub(crate) fn absent() -> Self {
        Self::absent_with(&[])
    }

    fn absent_with(arguments: &[&str]) -> Self {
        let port = free_port();
        let name = format!("redis-under-test-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("the temporary folder can be written to");
        Self {
            port,
            folder,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            process: None,
        }
    }

    /// Starts the process on the same port as before, with nothing in it.
    pub(crate) fn launch(&mut self) {
        assert!(
            self.try_launch(),
            "redis-server did not start on port {}",
            self.port
        );
    }

    fn try_launch(&mut self) -> bool {
        let spawned = Command::new("redis-server")
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = match spawned {
            Ok(child) => Some(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("redis-server is not installed; scripts/check installs it")
            }
            Err(error) => panic!("starting redis-server: {error}"),
        };
        let end = Instant::now() + START_LIMIT;
        while Instant::now() < end {
            if self.answers() {
                return true;
            }
            let exited = self.process.as_mut().map(Child::try_wait);
            if matches!(exited, Some(Ok(Some(_)))) {
                return false;
            }
            thread::sleep(Duration::from_millis(3));
        }
        false
    }

    /// Whether something speaks on the port. An error reply is an answer too; on
    /// a TLS port the silence after a connection is.
    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.listening_port())) else {
            return false;
        };
        if self.listening_port() != self.port {
            return true;
        }
        let limit = Some(Duration::from_millis(500));
        let mut first = [0];
        stream.set_read_timeout(limit).is_ok()
            && stream.write_all(b"PING\r\n").is_ok()
            && stream.read_exact(&mut first).is_ok()
            && matches!(first, [b'+' | b'-'])
    }

    fn listening_port(&self) -> u16 {
        let named = self
            .arguments
            .windows(2)
            .find(|pair| pair[0] == "--tls-port");
        named.map_or(self.port, |pair| pair[1].parse().expect("a port"))
    }

    /// Where it listens, or will.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: as a crash. What it held is lost.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP: connections stay open, nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on where it was, with all that arrived meanwhile.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.process.as_ref().expect("the server is running");
        let pid = Pid::from_child(child);
        kill_process(pid, signal).expect("our own child can be signalled");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free a moment ago; Redis cannot pick one itself.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}
