//! Where evidence is gathered: one Redis, a source, and worker processes, each
//! behind a proxy of its own.

mod log;
mod origin;
mod process;
mod verdict;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{AsyncConnectionConfig, FromRedisValue, aio::MultiplexedConnection};
use terrace::BoxError;

pub(crate) use self::{
    log::Log,
    origin::Origin,
    process::{Footprint, Process},
};
use crate::{
    clock,
    proxy::Proxy,
    redis_server::RedisServer,
    worker::{
        WorkerSettings,
        wire::{Action, Answer, Call, Key, VoidEvent, Workload},
    },
};

/// Between two looks at something that is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A walk through a million keys takes a while.
const STRANGER_WAITS: Duration = Duration::from_secs(30);

/// What a field is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The program of the workers: this one.
    pub(crate) program: PathBuf,
    /// How many.
    pub(crate) workers: usize,
    /// Δ of their caches.
    pub(crate) max_staleness: Duration,
    /// The deadline of their store calls.
    pub(crate) store_timeout: Duration,
}

impl Plan {
    /// Three workers with terrace's own defaults.
    pub(crate) fn of(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            workers: 3,
            max_staleness: Duration::from_secs(1),
            store_timeout: Duration::from_millis(100),
        }
    }
}

/// One Redis, one source, some workers.
#[derive(Debug)]
pub(crate) struct Field {
    plan: Plan,
    pub(crate) redis: RedisServer,
    pub(crate) origin: Origin,
    pub(crate) log: Log,
    pub(crate) places: Vec<Place>,
    started: u32,
    load: Option<Workload>,
}

/// A worker and its way to Redis. `None` while it is down.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) proxy: Proxy,
    pub(crate) process: Option<Process>,
}

impl Field {
    pub(crate) async fn open(plan: Plan) -> Result<Self, BoxError> {
        let redis = RedisServer::start_with(&["--enable-debug-command", "local"]);
        let mut places = Vec::new();
        for _ in 0..plan.workers {
            places.push(Place {
                proxy: Proxy::before(&redis).await,
                process: None,
            });
        }
        let mut field = Self {
            log: Log::new(plan.max_staleness),
            origin: Origin::open()?,
            plan,
            redis,
            places,
            started: 0,
            load: None,
        };
        for index in 0..field.places.len() {
            field.start_worker(index)?;
        }
        for index in 0..field.places.len() {
            field.until_healthy(index).await?;
        }
        Ok(field)
    }

    /// The source of a key moves on, and a worker removes what was made of it. Answers
    /// the floor, and whether the removal returned Ok.
    pub(crate) async fn move_on_and_remove(
        &self,
        index: usize,
        key: Key,
    ) -> Result<(u64, bool), BoxError> {
        let (worker, floor) = (self.worker(index)?, self.origin.next(key));
        let (ok, began, ended) = match worker.ask(Action::Remove(key)).await? {
            Answer::Done { began, ended } => (true, began, ended),
            Answer::Failed { began, ended, .. } => (false, began, ended),
            other => return Err(format!("a removal: {other:?}").into()),
        };
        let void = VoidEvent {
            floors: vec![(key, floor)],
            ok,
            began,
            ended,
            call: Call::Remove,
        };
        self.log.void(Some(worker.number()), &void);
        Ok((floor, ok))
    }

    /// Starts the worker of a place: another process than any before.
    pub(crate) fn start_worker(&mut self, index: usize) -> Result<(), BoxError> {
        let settings = WorkerSettings {
            redis: self.places[index].proxy.url(),
            source: self.origin.path().to_owned(),
            max_staleness_millis: as_millis(self.plan.max_staleness),
            store_timeout_millis: as_millis(self.plan.store_timeout),
            load_timeout_millis: 3_000,
            ttl_millis: 3_600_000,
            subject: None,
        };
        let number = self.started;
        self.started += 1;
        let process = Process::start(&self.plan.program, &settings, number, &self.log)?;
        self.places[index].process = Some(process);
        Ok(())
    }

    /// All workers call their caches at random from now on, and whoever is started
    /// later does with [`resume`](Self::resume).
    pub(crate) async fn load(&mut self, workload: Workload) -> Result<(), BoxError> {
        self.load = Some(workload);
        for index in 0..self.places.len() {
            self.resume(index).await?;
        }
        Ok(())
    }

    pub(crate) async fn resume(&self, index: usize) -> Result<(), BoxError> {
        let worker = self.worker(index)?;
        if let Some(load) = &self.load {
            let seed = load.seed.wrapping_add(u64::from(worker.number()) << 16);
            let own = Workload {
                seed,
                ..load.clone()
            };
            worker.must(Action::Start(own)).await?;
        }
        Ok(())
    }

    /// No more calls from now on.
    pub(crate) async fn rest(&mut self) -> Result<(), BoxError> {
        self.load = None;
        self.all(&Action::Rest).await
    }

    /// The keys of the workload are those below this.
    pub(crate) fn keys(&self) -> Key {
        self.load.as_ref().map_or(1, |load| load.keys)
    }

    pub(crate) async fn kill_worker(&mut self, index: usize) {
        if let Some(process) = self.places[index].process.take() {
            process.kill().await;
        }
    }

    /// The worker of a place.
    ///
    /// # Errors
    ///
    /// While it is down.
    pub(crate) fn worker(&self, index: usize) -> Result<&Process, BoxError> {
        let process = self.places[index].process.as_ref();
        process.ok_or_else(|| format!("worker {index} is down").into())
    }

    pub(crate) async fn until_healthy(&self, index: usize) -> Result<(), BoxError> {
        let worker = self.worker(index)?;
        let limit = Duration::from_secs(20);
        until("the store is healthy", limit, async || {
            Ok(worker.figure("healthy").await? == 1)
        })
        .await
        .map(drop)
    }

    /// Tells all workers that are up the same, at once.
    pub(crate) async fn all(&self, action: &Action) -> Result<(), BoxError> {
        for place in &self.places {
            if let Some(process) = &place.process {
                process.must(action.clone()).await?;
            }
        }
        Ok(())
    }

    /// A connection of somebody else to the Redis itself.
    pub(crate) async fn stranger(&self) -> Result<Stranger, BoxError> {
        Stranger::at(&self.redis.url()).await
    }

    pub(crate) fn proxy(&self, index: usize) -> &Proxy {
        &self.places[index].proxy
    }

    pub(crate) fn max_staleness(&self) -> Duration {
        self.plan.max_staleness
    }
}

/// A Redis client that no cache knows of.
#[derive(Clone)]
pub(crate) struct Stranger(MultiplexedConnection);

impl Stranger {
    pub(crate) async fn at(url: &str) -> Result<Self, BoxError> {
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(STRANGER_WAITS));
        let client = redis::Client::open(url)?;
        Ok(Self(
            client
                .get_multiplexed_async_connection_with_config(&patient)
                .await?,
        ))
    }

    /// One command, words separated by blanks.
    pub(crate) async fn ask<T: FromRedisValue>(&self, line: &str) -> Result<T, BoxError> {
        self.say(&line.split(' ').collect::<Vec<_>>()).await
    }

    pub(crate) async fn say<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, BoxError> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        Ok(command.query_async(&mut self.0.clone()).await?)
    }
}

/// Looks until it is so, at most this long. Tells how long it took.
pub(crate) async fn until(
    what: &str,
    within: Duration,
    mut is_so: impl AsyncFnMut() -> Result<bool, BoxError>,
) -> Result<Duration, BoxError> {
    let began = clock::now();
    while !is_so().await? {
        if clock::now().saturating_sub(began) > within {
            return Err(format!("not within {within:?}: {what}").into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(clock::now().saturating_sub(began))
}

fn as_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
