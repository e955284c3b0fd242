//! What a heartbeat's answer must be: the primary, the same connection, tracking.
//! Against a server that lies, for no real one can be made to (protocol C13).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use terrace::{Cache, RedisStore};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};

use crate::rig::{PATIENCE, bounded, eventually};

/// Some ten heartbeats; a gap follows the first that is odd.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// What the server says of itself.
#[derive(Clone, Copy, Debug)]
struct Face {
    role: &'static str,
    /// Added to the number of the connection.
    renumbered: i64,
    tracking: &'static str,
}

const HONEST: Face = Face {
    role: "master",
    renumbered: 0,
    tracking: "~2\r\n$2\r\non\r\n$6\r\nnoloop\r\n",
};

/// An idle server's.
const COUNTERS: &str = "evicted_keys:0\r\ntracking_total_keys:0\r\n";

const TABLE: &str = "%1\r\n$23\r\ntracking-table-max-keys\r\n$7\r\n1000000\r\n";

/// Speaks as much of the protocol as a heartbeat needs.
#[derive(Clone, Debug)]
struct Liar {
    face: Arc<Mutex<Face>>,
    pushes: broadcast::Sender<&'static [u8]>,
    port: u16,
}

impl Liar {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let liar = Self {
            face: Arc::new(Mutex::new(HONEST)),
            pushes: broadcast::Sender::new(4),
            port: listener.local_addr().unwrap().port(),
        };
        let host = liar.clone();
        tokio::spawn(async move {
            for number in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (host, pushes) = (host.clone(), host.pushes.subscribe());
                tokio::spawn(async move { host.serve(stream, number, pushes).await });
            }
        });
        liar
    }

    async fn serve(
        &self,
        stream: TcpStream,
        number: i64,
        mut pushes: broadcast::Receiver<&'static [u8]>,
    ) -> Option<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        loop {
            tokio::select! {
                command = command(&mut reader) => {
                    let answer = self.answer(&command?, number);
                    writer.write_all(answer.as_bytes()).await.ok()?;
                }
                push = pushes.recv() => writer.write_all(push.ok()?).await.ok()?,
            }
        }
    }

    fn answer(&self, command: &[String], number: i64) -> String {
        let face = *self.face.lock().unwrap();
        let words: Vec<&str> = command.iter().take(2).map(String::as_str).collect();
        match words[..] {
            ["HELLO", ..] => {
                let (id, role) = (number + face.renumbered, face.role);
                let length = role.len();
                format!(
                    "%3\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:{id}\r\n$4\r\nrole\r\n${length}\r\n{role}\r\n"
                )
            }
            ["CLIENT", "TRACKINGINFO"] => format!("%1\r\n$5\r\nflags\r\n{}", face.tracking),
            ["CLIENT", ..] => "+OK\r\n".to_owned(),
            ["GET", ..] => "_\r\n".to_owned(),
            ["INFO", ..] => format!("${}\r\n{COUNTERS}\r\n", COUNTERS.len()),
            ["CONFIG", ..] => TABLE.to_owned(),
            // The canary cannot sing: the server's word has to do.
            _ => "-ERR not here\r\n".to_owned(),
        }
    }

    fn say(&self, change: impl FnOnce(&mut Face)) {
        change(&mut self.face.lock().unwrap());
    }
}

/// One command: an array of bulk strings. Cancelled between commands only, for a
/// heartbeat's bytes arrive in one piece.
async fn command(reader: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Vec<String>> {
    let mut line = String::new();
    (reader.read_line(&mut line).await.ok()? > 0).then_some(())?;
    let words: usize = line.trim().strip_prefix('*')?.parse().ok()?;
    let mut command = Vec::new();
    for _ in 0..words {
        let mut line = String::new();
        reader.read_line(&mut line).await.ok()?;
        let length: usize = line.trim().strip_prefix('$')?.parse().ok()?;
        let mut word = vec![0; length + 2];
        reader.read_exact(&mut word).await.ok()?;
        word.truncate(length);
        command.push(String::from_utf8(word).ok()?);
    }
    Some(command)
}

async fn hears(cache: &Cache<u64>) {
    let hears = || cache.stats().store.unwrap().hearing;
    eventually("it hears", PATIENCE, hears).await;
}

/// A sound connection, then an odd answer: it counts as a gap, and another
/// connection takes its place.
async fn is_noticed(what: &str, lie: impl FnOnce(&mut Face)) {
    let liar = Liar::start().await;
    let store = RedisStore::connect(&format!("redis://127.0.0.1:{}", liar.port)).unwrap();
    let cache = bounded().store(store).build().unwrap();
    hears(&cache).await;
    let gaps = cache.stats().gaps;
    liar.say(lie);
    eventually(what, NOTICED_WITHIN, || cache.stats().gaps > gaps).await;
    liar.say(|face| *face = HONEST);
    hears(&cache).await;
}

#[tokio::test]
async fn a_primary_that_is_demoted_proves_nothing() {
    is_noticed("another role", |face| face.role = "slave").await;
}

#[tokio::test]
async fn a_connection_that_leads_to_another_server_proves_nothing() {
    is_noticed("another number", |face| face.renumbered = 1_000).await;
}

#[tokio::test]
async fn a_connection_that_does_not_track_as_it_should_proves_nothing() {
    for tracking in [
        "~1\r\n$3\r\noff\r\n",
        "~1\r\n$2\r\non\r\n",
        "~3\r\n$2\r\non\r\n$6\r\nnoloop\r\n$5\r\nbcast\r\n",
        "~3\r\n$2\r\non\r\n$6\r\nnoloop\r\n$5\r\noptin\r\n",
        "_\r\n",
    ] {
        is_noticed(tracking, |face| face.tracking = tracking).await;
    }
}

/// What else was said on that connection is not known: it is given up.
#[tokio::test]
async fn news_that_cannot_be_understood_is_a_gap() {
    for push in [
        &b">2\r\n$10\r\ninvalidate\r\n:5\r\n"[..],
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n:5\r\n",
    ] {
        let liar = Liar::start().await;
        let store = RedisStore::connect(&format!("redis://127.0.0.1:{}", liar.port)).unwrap();
        let cache = bounded().store(store).build().unwrap();
        hears(&cache).await;
        let gaps = cache.stats().gaps;
        liar.pushes.send(push).unwrap();
        let noticed = || cache.stats().gaps > gaps;
        eventually("odd news", NOTICED_WITHIN, noticed).await;
        hears(&cache).await;
    }
}
