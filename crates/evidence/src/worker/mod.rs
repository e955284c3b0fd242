//! A worker: an ordinary user of terrace in a process of its own, told what to do
//! over its standard input.

pub(crate) mod source;
pub(crate) mod subject;
mod tiers;
pub(crate) mod wire;
mod workload;

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clap::{Args, ValueEnum};
use terrace::{BoxError, Error};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinSet,
};

use self::{
    source::Source,
    subject::{Kind, Racer},
    tiers::{Tiers, Unread},
    wire::{Action, Answer, Change, Event, Key, Message, Reading, Request},
    workload::Running,
};
use crate::clock;

/// How often events are sent on: what a kill may lose.
const EVENTS_EVERY: Duration = Duration::from_millis(20);

/// Between two looks for a void.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// What a worker is started with.
#[derive(Args, Clone, Debug)]
pub struct WorkerSettings {
    /// Redis, or the proxy before it.
    #[arg(long)]
    pub(crate) redis: String,
    /// The socket of the source.
    #[arg(long)]
    pub(crate) source: PathBuf,
    /// Δ.
    #[arg(long, default_value_t = 1_000)]
    pub(crate) max_staleness_millis: u64,
    /// The deadline of a store call.
    #[arg(long, default_value_t = 100)]
    pub(crate) store_timeout_millis: u64,
    /// The deadline of a load.
    #[arg(long, default_value_t = 3_000)]
    pub(crate) load_timeout_millis: u64,
    /// Something else than a whole worker: the subject of a convergence run.
    #[arg(long)]
    pub(crate) subject: Option<Kind>,
    /// The life of a value: longer than any run that asks whether it is void.
    #[arg(long, default_value_t = 3_600_000)]
    pub(crate) ttl_millis: u64,
}

impl WorkerSettings {
    /// The same as arguments of a command line.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let numbers = [
            ("--max-staleness-millis", self.max_staleness_millis),
            ("--store-timeout-millis", self.store_timeout_millis),
            ("--load-timeout-millis", self.load_timeout_millis),
            ("--ttl-millis", self.ttl_millis),
        ];
        let mut arguments = vec![
            "--redis".to_owned(),
            self.redis.clone(),
            "--source".to_owned(),
            self.source.to_string_lossy().into_owned(),
        ];
        for (name, value) in numbers {
            arguments.extend([name.to_owned(), value.to_string()]);
        }
        if let Some(kind) = self.subject.and_then(|kind| kind.to_possible_value()) {
            arguments.extend(["--subject".to_owned(), kind.get_name().to_owned()]);
        }
        arguments
    }
}

/// Serves requests until standard input ends.
///
/// # Errors
///
/// If the source or Redis cannot be reached or the settings are refused.
pub async fn run(settings: WorkerSettings) -> Result<(), BoxError> {
    let source = Source::connect(&settings.source).await?;
    let outbox = Outbox::default();
    match settings.subject {
        None => {
            let worker = Worker {
                tiers: Tiers::open(&settings, source)?,
                outbox: outbox.clone(),
                running: tokio::sync::Mutex::new(Vec::new()),
            };
            serve(worker, outbox).await
        }
        Some(Kind::TerraceSet | Kind::TerraceRemove) => {
            let tiers = Tiers::open(&settings, source)?;
            let subject = subject::Terrace::new(tiers, settings.subject == Some(Kind::TerraceSet));
            serve(Racer::of(subject), outbox).await
        }
        Some(Kind::RedisCrate) => {
            let subject = subject::RedisCrate::connect(&settings.redis).await?;
            serve(Racer::of(subject), outbox).await
        }
    }
}

/// Carries out what a worker is told.
trait Obeys: Send + Sync + 'static {
    fn answer(&self, action: Action) -> impl Future<Output = Answer> + Send;
}

async fn serve(worker: impl Obeys, outbox: Outbox) -> Result<(), BoxError> {
    let worker = Arc::new(worker);
    let flushing = tokio::spawn({
        let outbox = outbox.clone();
        async move {
            loop {
                tokio::time::sleep(EVENTS_EVERY).await;
                outbox.flush();
            }
        }
    });
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let request: Request = serde_json::from_str(&line)?;
        let (worker, outbox) = (Arc::clone(&worker), outbox.clone());
        tokio::spawn(async move {
            let answer = worker.answer(request.action).await;
            outbox.flush();
            Outbox::send(request.id, answer);
        });
    }
    flushing.abort();
    Ok(())
}

/// Standard output, and the events that wait for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox(Arc<Mutex<Vec<Event>>>);

impl Outbox {
    fn event(&self, event: Event) {
        lock(&self.0).push(event);
    }

    fn flush(&self) {
        let events = std::mem::take(&mut *lock(&self.0));
        if !events.is_empty() {
            Self::send(0, Answer::Events(events));
        }
    }

    fn send(id: u64, answer: Answer) {
        if let Ok(mut line) = serde_json::to_vec(&Message { id, answer }) {
            line.push(b'\n');
            let mut out = std::io::stdout().lock();
            // Without a listener the process is about to be ended.
            let _ = out.write_all(&line).and_then(|()| out.flush());
        }
    }
}

struct Worker {
    tiers: Tiers,
    outbox: Outbox,
    running: tokio::sync::Mutex<Vec<Running>>,
}

impl Obeys for Worker {
    async fn answer(&self, action: Action) -> Answer {
        let (tiers, began) = (&self.tiers, clock::now());
        match action {
            Action::Read(key, reading) => self.read(key, reading).await,
            Action::Set(key, change) => self.set(key, change).await,
            Action::Remove(key) => done(began, tiers.remove(key).await),
            Action::RemoveTag(tag) => done(began, tiers.remove_tag(&tag).await),
            Action::RemovePrefix(prefix) => done(began, tiers.remove_prefix(&prefix).await),
            Action::RemoveMatching(glob) => done(began, tiers.remove_matching(&glob).await),
            Action::Clear => done(began, tiers.clear().await),
            Action::Callers { key, count } => self.callers(key, count).await,
            Action::AwaitVoid { key, limit_millis } => {
                self.await_void(key, Duration::from_millis(limit_millis))
                    .await
            }
            Action::Stats => Answer::Stats(tiers.stats()),
            Action::Start(workload) => {
                let running = Running::start(&workload, tiers, &self.outbox);
                self.running.lock().await.push(running);
                done(began, Ok(()))
            }
            Action::Rest => {
                let running = std::mem::take(&mut *self.running.lock().await);
                for one in running {
                    one.rest().await;
                }
                done(began, Ok(()))
            }
            Action::Spin(_) | Action::Write { .. } | Action::Last(_) => {
                failed(began, &"this is for the subject of a convergence run")
            }
        }
    }
}

impl Worker {
    async fn read(&self, key: Key, reading: Reading) -> Answer {
        let began = clock::now();
        match self.tiers.read(key, reading).await {
            Ok(read) => {
                self.outbox.event(Event::Read(read));
                Answer::Read(read)
            }
            Err(Unread::Invalid(what)) => {
                self.outbox.event(Event::Invalid(what.clone()));
                failed(began, &what)
            }
            Err(Unread::Failed(error)) => failed(began, &error),
        }
    }

    async fn set(&self, key: Key, change: Change) -> Answer {
        let began = clock::now();
        let source = self.tiers.source();
        let version = match change {
            Change::To(version) => version,
            Change::Next => match source.next(key).await {
                Ok(version) => version,
                Err(error) => return failed(began, &error),
            },
        };
        done(began, self.tiers.set(key, version).await)
    }

    async fn callers(&self, key: Key, count: u32) -> Answer {
        let mut calls = JoinSet::new();
        for _ in 0..count {
            let tiers = self.tiers.clone();
            calls.spawn(async move { tiers.read(key, Reading::Load).await.is_ok() });
        }
        let answers = calls.join_all().await;
        let answered = answers.iter().filter(|well| **well).count();
        let counted = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Answer::Called {
            answered: counted(answered),
            failed: counted(answers.len() - answered),
        }
    }

    async fn await_void(&self, key: Key, limit: Duration) -> Answer {
        let began = clock::now();
        while self.tiers.holds(key) {
            if clock::now() > began + limit {
                return failed(began, &format!("key {key} is still there"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        done(began, Ok(()))
    }
}

fn done(began: Duration, outcome: Result<(), Error>) -> Answer {
    let ended = clock::now();
    match outcome {
        Ok(()) => Answer::Done { began, ended },
        Err(error) => failed(began, &error),
    }
}

fn failed(began: Duration, why: &impl ToString) -> Answer {
    Answer::Failed {
        why: why.to_string(),
        began,
        ended: clock::now(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
