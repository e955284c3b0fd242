//! A TCP proxy in front of a Redis server that does to the bytes what a bad
//! network does, switchable while it runs, each direction by itself.
//!
//! A [`Lane`] is what some of the connections are under. [`Proxy::leave_behind`]
//! opens a new lane: the connections so far keep their own, so that an old
//! connection can be silent, or its bytes late, while a new one works.

#![allow(dead_code, reason = "each of its users needs a part of it")]

mod pump;
mod resp;

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};

use self::pump::{End, LAST_BYTES, Pump};
use crate::redis_server::RedisServer;

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Pass,
    /// Kept until the flow changes, then passed on; also after the sender has gone.
    Hold,
    /// Passes until the `nth` whole command of this name has come; that one and all
    /// behind it are kept as by [`Hold`](Self::Hold), which may follow.
    HoldFrom {
        command: &'static str,
        nth: u64,
    },
    /// Read and thrown away, the connection stays: half open. The stream has a hole
    /// afterwards, so cut it before passing again.
    Swallow,
    /// RESP3 pushes are taken out, everything else passes.
    DropPushes,
    /// Everything arrives later by this much, in order.
    Delay(Duration),
    /// In pieces of so many bytes with a pause before each.
    Slice {
        size: usize,
        pause: Duration,
    },
    /// So many more bytes pass, then the connection is cut.
    CutAfter(u64),
    /// One bit of the byte at this offset from now is flipped.
    Flip {
        at: u64,
    },
    /// These bytes come once, after the next whole frame.
    Inject(&'static [u8]),
    /// One whole frame comes twice.
    DuplicateOne,
    /// The next so many whole frames come, and then the same ones again.
    Again {
        frames: usize,
    },
}

/// The same under the name that tests of the direction to the server use.
#[allow(unused_imports, reason = "each of its users needs a part of it")]
pub(crate) use Flow as Upstream;

/// What becomes of new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Open,
    /// Accepted and reset at once, without a byte.
    Refuse,
    /// Accepted, and never answered.
    Silent,
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In order, as a process that exits does it.
    Fin,
    /// At once, with a reset.
    Reset,
}

/// What went through, since the proxy was started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) connections: u64,
    /// Whole commands by name, in capitals.
    pub(crate) commands: BTreeMap<String, u64>,
    pub(crate) pushes_dropped: u64,
    /// Connections on which [`Flow::HoldFrom`] has found what it waits for.
    pub(crate) held: u64,
}

/// What a group of connections is under.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    to_server: watch::Sender<Flow>,
    to_client: watch::Sender<Flow>,
    cut: watch::Sender<u64>,
    cut_clients: watch::Sender<u64>,
    ending: Arc<Mutex<Ending>>,
}

impl Lane {
    fn open() -> Self {
        Self {
            to_server: watch::Sender::new(Flow::Pass),
            to_client: watch::Sender::new(Flow::Pass),
            cut: watch::Sender::new(0),
            cut_clients: watch::Sender::new(0),
            ending: Arc::new(Mutex::new(Ending::Fin)),
        }
    }

    pub(crate) fn to_server(&self, flow: Flow) {
        self.to_server.send_replace(flow);
    }

    pub(crate) fn to_client(&self, flow: Flow) {
        self.to_client.send_replace(flow);
    }

    /// Ends every connection of the lane, on both sides. Held bytes are lost.
    pub(crate) fn cut(&self, ending: Ending) {
        *lock(&self.ending) = ending;
        self.cut.send_modify(|count| *count += 1);
    }

    /// Ends the clients' side alone: bytes that are held still reach the server
    /// when they are let go.
    pub(crate) fn cut_clients(&self) {
        self.cut_clients.send_modify(|count| *count += 1);
    }
}

#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    lane: Arc<Mutex<Lane>>,
    door: watch::Sender<Door>,
    traffic: Arc<Mutex<Traffic>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn before(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let lane = Arc::new(Mutex::new(Lane::open()));
        let (door, traffic) = (watch::Sender::new(Door::Open), Arc::default());
        let entrance = Entrance {
            listener,
            behind: server.port(),
            lane: Arc::clone(&lane),
            door: door.subscribe(),
            traffic: Arc::clone(&traffic),
        };
        Self {
            port,
            lane,
            door,
            traffic,
            accepting: tokio::spawn(entrance.accept()),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What new connections are under, and those since the last
    /// [`leave_behind`](Self::leave_behind).
    pub(crate) fn lane(&self) -> Lane {
        lock(&self.lane).clone()
    }

    pub(crate) fn set(&self, to_server: Flow) {
        self.lane().to_server(to_server);
    }

    pub(crate) fn to_server(&self, flow: Flow) {
        self.lane().to_server(flow);
    }

    pub(crate) fn to_client(&self, flow: Flow) {
        self.lane().to_client(flow);
    }

    /// Cuts every connection since the last [`leave_behind`](Self::leave_behind).
    pub(crate) fn cut(&self, ending: Ending) {
        self.lane().cut(ending);
    }

    pub(crate) fn door(&self, door: Door) {
        self.door.send_replace(door);
    }

    /// The connections so far stay under what they are under; it is handed out.
    /// New ones pass.
    pub(crate) fn leave_behind(&self) -> Lane {
        std::mem::replace(&mut *lock(&self.lane), Lane::open())
    }

    /// Everything passes again; connections that would have a hole are cut.
    pub(crate) fn heal(&self) {
        self.door(Door::Open);
        let lane = self.lane();
        let holed = |flows: &watch::Sender<Flow>| {
            !matches!(
                *flows.borrow(),
                Flow::Pass
                    | Flow::Hold
                    | Flow::HoldFrom { .. }
                    | Flow::Delay(_)
                    | Flow::Slice { .. }
                    | Flow::DropPushes
            )
        };
        if holed(&lane.to_server) || holed(&lane.to_client) {
            lane.cut(Ending::Fin);
        }
        lane.to_server(Flow::Pass);
        lane.to_client(Flow::Pass);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        lock(&self.traffic).clone()
    }

    /// Whole commands of this name that went to the server.
    pub(crate) fn commands(&self, name: &str) -> u64 {
        let traffic = lock(&self.traffic);
        traffic.commands.get(name).copied().unwrap_or(0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut(Ending::Fin);
    }
}

struct Entrance {
    listener: TcpListener,
    behind: u16,
    lane: Arc<Mutex<Lane>>,
    door: watch::Receiver<Door>,
    traffic: Arc<Mutex<Traffic>>,
}

impl Entrance {
    async fn accept(self) {
        let mut silent = Vec::new();
        while let Ok((client, _)) = self.listener.accept().await {
            lock(&self.traffic).connections += 1;
            match *self.door.borrow() {
                Door::Open => silent.clear(),
                Door::Refuse => {
                    let _ = client.set_zero_linger();
                    continue;
                }
                Door::Silent => {
                    silent.push(client);
                    continue;
                }
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", self.behind)).await else {
                let _ = client.set_zero_linger();
                continue;
            };
            // Without it Nagle and delayed acknowledgements add 40 ms of their own.
            let _ = client.set_nodelay(true).and(server.set_nodelay(true));
            let lane = lock(&self.lane).clone();
            tokio::spawn(join(client, server, lane, Arc::clone(&self.traffic)));
        }
    }
}

/// Both directions of one connection, until it ends.
async fn join(client: TcpStream, server: TcpStream, lane: Lane, traffic: Arc<Mutex<Traffic>>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let pump = |to_server| Pump {
        lane: lane.clone(),
        to_server,
        traffic: Arc::clone(&traffic),
    };
    let mut client_cuts = lane.cut_clients.subscribe();
    let mut upward = pin!(pump(true).carry(from_client, to_server));
    let downward = pump(false).carry(from_server, to_client);
    let downward = async {
        tokio::select! {
            end = downward => end,
            // Held bytes go on towards the server although the client has gone.
            _ = client_cuts.changed() => End::Closed,
        }
    };
    let mut downward = pin!(downward);
    // What cuts one direction mostly cuts both; whatever is left ends with it soon.
    tokio::select! {
        end = &mut upward => match end {
            End::Closed => drop(downward.await),
            End::Cut => drop(timeout(LAST_BYTES, downward).await),
        },
        end = &mut downward => match end {
            End::Closed => drop(upward.await),
            End::Cut => drop(timeout(LAST_BYTES, upward).await),
        },
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
