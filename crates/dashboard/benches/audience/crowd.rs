//! Clients: a quick one, idle ones that read what comes, and some that never read.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::PATIENCE;

type Client = WebSocketStream<TcpStream>;

/// So many shake hands at a time: the kernel's queue of new connections has its limit.
const AT_ONCE: usize = 100;

async fn join(address: SocketAddr, receive_buffer: Option<u32>) -> Client {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes).expect("a small buffer");
    }
    let joining = async {
        let stream = socket.connect(address).await.expect("it listens");
        let config = WebSocketConfig::default().read_buffer_size(4_096);
        client_async_with_config(format!("ws://{address}/ws"), stream, Some(config)).await
    };
    let joined = timeout(PATIENCE, joining).await.expect("a place in time");
    joined.expect("a WebSocket").0
}

/// The next text.
async fn text(client: &mut Client) -> Option<Utf8Bytes> {
    loop {
        if let Message::Text(text) = client.next().await?.ok()? {
            return Some(text);
        }
    }
}

/// How old the next update is when it is there; none at the end.
async fn next_age(client: &mut Client) -> Option<Duration> {
    let text = text(client).await?;
    let now = Timestamp::now();
    let (_, rest) = text.rsplit_once(r#""timestamp":""#).expect("a time");
    let (published, _) = rest.split_once('"').expect("a time");
    let published: Timestamp = published.parse().expect("a time");
    Some(Duration::try_from(now.duration_since(published)).unwrap_or_default())
}

/// How old so many updates are that a client takes as they come.
pub(crate) async fn quick(address: SocketAddr, updates: usize) -> Vec<Duration> {
    let mut client = join(address, None).await;
    let mut ages = Vec::new();
    text(&mut client).await.expect("a snapshot");
    while ages.len() < updates {
        let age = timeout(PATIENCE, next_age(&mut client)).await;
        ages.push(age.expect("an update in time").expect("it is not closed"));
    }
    ages
}

/// Idle clients, each a task that takes what comes.
#[derive(Default)]
pub(crate) struct Crowd {
    ages: Arc<Mutex<Vec<Duration>>>,
    heard: watch::Sender<usize>,
    tasks: JoinSet<()>,
}

impl Crowd {
    /// Lets so many more come in, and waits until the crowd has heard two updates a head.
    pub(crate) async fn grow(&mut self, address: SocketAddr, more: usize) {
        let joining = stream::iter(0..more).map(|_| join(address, None));
        let joined: Vec<Client> = joining.buffer_unordered(AT_ONCE).collect().await;
        for mut client in joined {
            let (ages, heard) = (Arc::clone(&self.ages), self.heard.clone());
            self.tasks.spawn(async move {
                text(&mut client).await;
                while let Some(age) = next_age(&mut client).await {
                    ages.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(age);
                    heard.send_modify(|heard| *heard += 1);
                }
            });
        }
        let before = *self.heard.borrow();
        self.have_heard(before, 2).await;
    }

    /// What comes of it, and how old each of the updates was that the crowd heard meanwhile.
    pub(crate) async fn around(
        &mut self,
        quick: impl Future<Output = Vec<Duration>>,
    ) -> (Vec<Duration>, Vec<Duration>) {
        self.taken().clear();
        let before = *self.heard.borrow();
        let quick = quick.await;
        // The slowest are still to come.
        self.have_heard(before, quick.len()).await;
        (quick, self.taken().clone())
    }

    async fn have_heard(&mut self, before: usize, each: usize) {
        let updates = before + each * self.len();
        let mut heard = self.heard.subscribe();
        let hearing = heard.wait_for(|heard| *heard >= updates);
        let hearing = timeout(PATIENCE, hearing).await;
        hearing.expect("updates in time").expect("they listen");
    }

    /// How many are still there.
    pub(crate) fn len(&mut self) -> usize {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.len()
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.ages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients that never read. The kernel takes hardly anything in the place of every other one.
pub(crate) struct Stuck {
    _clients: Vec<Client>,
}

impl Stuck {
    pub(crate) async fn join(address: SocketAddr, count: usize) -> Self {
        let mut clients = Vec::new();
        for index in 0..count {
            let narrow = (index % 2 == 0).then_some(4_096);
            clients.push(join(address, narrow).await);
        }
        Self { _clients: clients }
    }
}
