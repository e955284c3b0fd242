//! A crowd at `/ws`: many that only listen, some that never read, and one that is quick.
//! `scripts/bench P8` does it at full size, with the service in a process of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashboard::http::ws::Pace;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, client_async};

use crate::rig::{Rig, TOKEN, simulator, until};
use crate::ws::{Client, close_code, joined, json, open_seats};

const IDLE: usize = 200;
/// Half of them with a kernel that takes hardly anything in their place.
const STUCK: usize = 20;

/// A fifth of the real one, where ten seconds are given for an answer, and fifteen in all.
const PACE: Pace = Pace {
    ping_every: Duration::from_secs(4),
    answer_within: Duration::from_secs(2),
};
const CLOSED_WITHIN: Duration = Duration::from_secs(7);

const UPDATES: usize = 10;
const DELIVERED_WITHIN: Duration = Duration::from_millis(250);

/// One whose kernel keeps less than an update for it.
async fn joined_narrowly(address: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let stream: TcpStream = socket.connect(address).await.expect("it listens");
    let stream = MaybeTlsStream::Plain(stream);
    let joined = client_async(format!("ws://{address}/ws"), stream).await;
    joined.expect("a WebSocket").0
}

/// Who only listens, and how many updates each has heard.
struct Listeners {
    heard: Arc<Vec<AtomicU64>>,
    tasks: JoinSet<usize>,
}

impl Listeners {
    async fn join(rig: &Rig) -> Self {
        let heard: Arc<Vec<AtomicU64>> = Arc::new((0..IDLE).map(|_| AtomicU64::new(0)).collect());
        let mut tasks = JoinSet::new();
        for (index, mut client) in join_all((0..IDLE).map(|_| joined(rig)))
            .await
            .into_iter()
            .enumerate()
        {
            let heard = Arc::clone(&heard);
            tasks.spawn(async move {
                while let Some(Ok(message)) = client.next().await {
                    if message.is_text() {
                        heard[index].fetch_add(1, Ordering::Relaxed);
                    }
                }
                index
            });
        }
        Self { heard, tasks }
    }

    fn least_heard(&self) -> u64 {
        let heard = self.heard.iter().map(|heard| heard.load(Ordering::Relaxed));
        heard.min().expect("there are some")
    }
}

/// From its publication to this moment, by the one clock of this machine.
fn age(update: &Value) -> Duration {
    let published = update["timestamp"].as_str().expect("a time");
    let published: jiff::Timestamp = published.parse().expect("a time");
    let age = jiff::Timestamp::now().duration_since(published);
    Duration::try_from(age).unwrap_or_default()
}

/// Takes each update as it comes; how old they were.
async fn follow(mut client: Client) -> Vec<Duration> {
    let mut last = json(&mut client).await["seq"].as_u64();
    let mut ages = Vec::new();
    while ages.len() < UPDATES {
        let update = json(&mut client).await;
        ages.push(age(&update));
        assert_eq!(
            update["type"], "dashboard_update",
            "it misses none: {update}"
        );
        assert!(update["seq"].as_u64() > last, "{update} after {last:?}");
        last = update["seq"].as_u64();
    }
    ages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_client_hears_all_in_time_beside_idle_ones_and_stuck_ones_are_closed() {
    let settings = [("WS_MAX_PER_ADDRESS", "400"), ("ADMIN_TOKEN", TOKEN)];
    let rig = Rig::start_with(&settings, PACE, simulator().await).await;
    rig.warm().await;
    let listeners = Listeners::join(&rig).await;
    let quick = joined(&rig).await;
    let wide = join_all((0..STUCK / 2).map(|_| joined(&rig))).await;
    let narrow = join_all((0..STUCK / 2).map(|_| joined_narrowly(rig.address))).await;
    let everybody = u64::try_from(IDLE + STUCK + 1).expect("a few hundred");
    assert_eq!(open_seats(&rig).await, everybody);

    let joined = Instant::now();
    let closing = async {
        until("the stuck ones to be closed", || async {
            (open_seats(&rig).await == everybody - 20).then_some(())
        })
        .await;
        joined.elapsed()
    };
    let (mut ages, closed_after) = tokio::join!(follow(quick), closing);
    // An update is published each second.
    assert!(closed_after <= CLOSED_WITHIN, "{closed_after:?}");
    ages.sort();
    assert!(ages[UPDATES - 1] <= DELIVERED_WITHIN, "{ages:?}");

    // Nobody else was closed, and nobody else missed anything.
    assert_eq!(listeners.tasks.len(), IDLE);
    until("the others to hear as much", || async {
        (listeners.least_heard() >= UPDATES as u64).then_some(())
    })
    .await;
    // Whoever wakes up finds out why, if his kernel has it; the others see an end.
    for mut stuck in wide {
        assert_eq!(close_code(&mut stuck).await, Some(CloseCode::Policy));
    }
    for mut stuck in narrow {
        let code = close_code(&mut stuck).await;
        assert!(matches!(code, None | Some(CloseCode::Policy)), "{code:?}");
    }
    drop(listeners);
    until("every place to be free", || async {
        (open_seats(&rig).await == 0).then_some(())
    })
    .await;
}
