//! P7: from a change in one place until the entry is void in another, against the bare
//! push of the same server to a connection that tracks.
//!
//! Writer and reader have connections and threads of their own, in one process for the
//! sake of one clock. A third thread polls without a pause, so that what is measured
//! ends when the entry is gone and not when somebody is woken to look.

use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, aio::MultiplexedConnection};
use terrace::{Cache, RedisStore};
use tokio::runtime::Handle;

use crate::{
    ratio::{Figure, Sample, Target},
    redis_server::RedisServer,
};

const CHANGES: usize = 2_000;
const WARM_UP: usize = 200;
/// News that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

pub(crate) fn run() -> Vec<Figure> {
    let server = RedisServer::start();
    // The reader's thread, on which its pushes arrive.
    let there = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let here = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (there, mut watch) = (there.handle().clone(), Watch::start());
    here.block_on(async {
        let ours = Ours::connect(&server, &there).await;
        let raw = Raw::connect(&server, &there).await;
        let (mut base, mut removed, mut set) = (vec![], vec![], vec![]);
        for number in 0..WARM_UP + CHANGES {
            base.push(raw.change(&mut watch).await);
            removed.push(ours.change(&mut watch, Change::Remove).await);
            set.push(ours.change(&mut watch, Change::Set).await);
            if number + 1 == WARM_UP {
                for samples in [&mut base, &mut removed, &mut set] {
                    samples.clear();
                }
            }
        }
        let mut figures = Vec::new();
        for (what, ours) in [("remove", removed), ("set", set)] {
            figures.extend(compare(what, &ours, &base));
        }
        figures
    })
}

fn compare(what: &str, ours: &[f64], base: &[f64]) -> [Figure; 2] {
    [
        ("p50", 0.5, Target::RatioAtMost(2.0)),
        ("p99", 0.99, Target::AtMost(1_000.0)),
    ]
    .map(|(name, quantile, target)| Figure {
        id: "P7",
        what: format!("{what} in A, until the entry is void in B, {name}"),
        unit: "us",
        ours: Sample::quantile(ours.to_vec(), quantile),
        baseline: Sample::quantile(base.to_vec(), quantile),
        target,
    })
}

#[derive(Clone, Copy)]
enum Change {
    Remove,
    Set,
}

/// Two caches of one name, as in two processes.
struct Ours {
    writer: Cache<u64>,
    reader: Cache<u64>,
    there: Handle,
}

impl Ours {
    const KEY: &str = "quote:1";

    async fn connect(server: &RedisServer, there: &Handle) -> Self {
        let cache = || {
            let store = RedisStore::connect(&server.url()).expect("a valid URL");
            let builder = Cache::builder("news")
                .store(store)
                .store_timeout(LOST_AFTER);
            builder.build().expect("valid settings")
        };
        let writer = cache();
        let reader = {
            let _there = there.enter();
            cache()
        };
        Self {
            writer,
            reader,
            there: there.clone(),
        }
    }

    async fn change(&self, watch: &mut Watch, change: Change) -> f64 {
        let stored = self.writer.set(Self::KEY, 7).await;
        stored.expect("the store is up");
        self.adopt().await;
        let reader = self.reader.clone();
        let is_void = move || reader.peek(Self::KEY).is_none();
        let change = async || match change {
            Change::Remove => self.writer.remove(Self::KEY).await.expect("it is up"),
            Change::Set => {
                let set = self.writer.set(Self::KEY, 8).await;
                set.expect("the store is up");
            }
        };
        watch.micros_until(is_void, change).await
    }

    /// The reader holds it, proven.
    async fn adopt(&self) {
        let is_held = || {
            let entry = self.reader.peek(Self::KEY);
            entry.is_some_and(|entry| entry.proven())
        };
        while !is_held() {
            let reader = self.reader.clone();
            let got = self.there.spawn(async move { reader.get(Self::KEY).await });
            let got = got.await.expect("no panics");
            got.expect("a valid key");
        }
    }
}

/// Two bare connections, one of which tracks.
struct Raw {
    writer: MultiplexedConnection,
    reader: MultiplexedConnection,
    told: Arc<AtomicBool>,
}

impl Raw {
    const KEY: &str = "bare:quote:1";

    async fn connect(server: &RedisServer, there: &Handle) -> Self {
        let told: Arc<AtomicBool> = Arc::default();
        let url = format!("{}?protocol=resp3", server.url());
        let client = redis::Client::open(url).expect("a valid URL");
        let writer = client.get_multiplexed_async_connection().await;
        let flag = Arc::clone(&told);
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Invalidate {
                flag.store(true, Ordering::Release);
            }
            Ok::<(), std::convert::Infallible>(())
        };
        let reader = there.spawn(async move {
            let config = AsyncConnectionConfig::new().set_push_sender(on_push);
            let reader = client.get_multiplexed_async_connection_with_config(&config);
            let mut reader = reader.await.expect("the server answers");
            let mut tracking = redis::cmd("CLIENT");
            let tracking = tracking.arg("TRACKING").arg("ON").arg("NOLOOP");
            let tracked = tracking.exec_async(&mut reader).await;
            tracked.expect("the server tracks");
            reader
        });
        Self {
            writer: writer.expect("the server answers"),
            reader: reader.await.expect("no panics"),
            told,
        }
    }

    async fn change(&self, watch: &mut Watch) -> f64 {
        let get = redis::cmd("GET").arg(Self::KEY).to_owned();
        let got = get.exec_async(&mut self.reader.clone()).await;
        got.expect("the server is up");
        self.told.store(false, Ordering::Release);
        let told = Arc::clone(&self.told);
        let is_told = move || told.load(Ordering::Acquire);
        let change = async || {
            let set = redis::cmd("SET").arg(Self::KEY).arg(7).to_owned();
            let set = set.exec_async(&mut self.writer.clone()).await;
            set.expect("the server is up");
        };
        watch.micros_until(is_told, change).await
    }
}

type Question = Box<dyn Fn() -> bool + Send>;

/// A thread that asks without a pause.
struct Watch {
    questions: mpsc::Sender<Question>,
    is_asking: Arc<AtomicBool>,
    answers: tokio::sync::mpsc::UnboundedReceiver<Instant>,
}

impl Watch {
    fn start() -> Self {
        let (questions, asked) = mpsc::channel::<Question>();
        let (answer, answers) = tokio::sync::mpsc::unbounded_channel();
        let is_asking: Arc<AtomicBool> = Arc::default();
        let asks = Arc::clone(&is_asking);
        thread::spawn(move || {
            loop {
                match asked.try_recv() {
                    Ok(question) => {
                        asks.store(true, Ordering::Release);
                        let end = Instant::now() + LOST_AFTER;
                        while !question() {
                            assert!(Instant::now() < end, "news was lost");
                        }
                        let _ = answer.send(Instant::now());
                    }
                    Err(mpsc::TryRecvError::Empty) => spin_loop(),
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
        });
        Self {
            questions,
            is_asking,
            answers,
        }
    }

    /// From before the call until the answer is yes.
    async fn micros_until(
        &mut self,
        question: impl Fn() -> bool + Send + 'static,
        change: impl AsyncFnOnce(),
    ) -> f64 {
        self.is_asking.store(false, Ordering::Release);
        let sent = self.questions.send(Box::new(question));
        sent.expect("the thread asks until it is dropped");
        while !self.is_asking.load(Ordering::Acquire) {
            spin_loop();
        }
        let start = Instant::now();
        change().await;
        let answer = self.answers.recv().await;
        let answer = answer.expect("the thread answers every question");
        answer.duration_since(start).as_secs_f64() * 1e6
    }
}
