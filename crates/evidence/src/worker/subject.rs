//! What a convergence run is about: anything that caches reads of Redis in the
//! process and hears when they are void. terrace twice, and the positive control.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::ValueEnum;
use redis::{AsyncConnectionConfig, aio::MultiplexedConnection, caching::CacheConfig};
use terrace::BoxError;
use tokio::task::JoinSet;

use super::{
    Obeys, failed,
    tiers::{Tiers, Unread},
    wire::{Action, Answer, Key, Reading, name_of},
};
use crate::clock;

/// Who is raced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Writers set.
    TerraceSet,
    /// Writers change the source and remove.
    TerraceRemove,
    /// The redis crate's own client-side cache.
    RedisCrate,
}

/// Caches reads in the process.
pub(super) trait Subject: Send + Sync + 'static {
    fn read(&self, key: Key) -> impl Future<Output = Result<Option<u64>, BoxError>> + Send;

    /// Answers the version that is written: the one given, or the source's next.
    fn write(&self, key: Key, version: u64) -> impl Future<Output = Result<u64, BoxError>> + Send;
}

#[derive(Debug)]
pub(super) struct Terrace {
    tiers: Tiers,
    sets: bool,
}

impl Terrace {
    pub(super) fn new(tiers: Tiers, sets: bool) -> Self {
        Self { tiers, sets }
    }
}

impl Subject for Terrace {
    async fn read(&self, key: Key) -> Result<Option<u64>, BoxError> {
        let reading = match self.sets {
            true => Reading::Get,
            false => Reading::Load,
        };
        match self.tiers.read(key, reading).await {
            Ok(read) => Ok(read.version),
            Err(Unread::Failed(error)) => Err(error.into()),
            Err(Unread::Invalid(what)) => Err(what.into()),
        }
    }

    async fn write(&self, key: Key, version: u64) -> Result<u64, BoxError> {
        if self.sets {
            self.tiers.set(key, version).await?;
            return Ok(version);
        }
        let version = self.tiers.source().next(key).await?;
        self.tiers.remove(key).await?;
        Ok(version)
    }
}

#[derive(Debug)]
pub(super) struct RedisCrate {
    cached: MultiplexedConnection,
    plain: MultiplexedConnection,
}

impl RedisCrate {
    pub(super) async fn connect(url: &str) -> Result<Self, BoxError> {
        let client = redis::Client::open(format!("{url}/?protocol=resp3"))?;
        let caching = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
        Ok(Self {
            cached: client
                .get_multiplexed_async_connection_with_config(&caching)
                .await?,
            plain: client.get_multiplexed_async_connection().await?,
        })
    }
}

impl Subject for RedisCrate {
    async fn read(&self, key: Key) -> Result<Option<u64>, BoxError> {
        let mut get = redis::cmd("GET");
        get.arg(name_of(key));
        Ok(get.query_async(&mut self.cached.clone()).await?)
    }

    async fn write(&self, key: Key, version: u64) -> Result<u64, BoxError> {
        let mut set = redis::cmd("SET");
        set.arg(name_of(key)).arg(version);
        set.exec_async(&mut self.plain.clone()).await?;
        Ok(version)
    }
}

/// A writer or a reader of a convergence round.
pub(super) struct Racer<S> {
    subject: Arc<S>,
    reading: tokio::sync::Mutex<Option<(Arc<AtomicBool>, JoinSet<()>)>>,
}

impl<S: Subject> Racer<S> {
    pub(super) fn of(subject: S) -> Self {
        Self {
            subject: Arc::new(subject),
            reading: tokio::sync::Mutex::new(None),
        }
    }

    async fn spin(&self, keys: Vec<Key>) {
        let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for key in keys {
            let (subject, stop) = (Arc::clone(&self.subject), Arc::clone(&stop));
            tasks.spawn(async move {
                while !stop.load(Relaxed) {
                    // What counts is the last read; this one only races.
                    let _ = subject.read(key).await;
                    tokio::task::yield_now().await;
                }
            });
        }
        *self.reading.lock().await = Some((stop, tasks));
    }

    async fn rest(&self) {
        if let Some((stop, tasks)) = self.reading.lock().await.take() {
            stop.store(true, Relaxed);
            tasks.join_all().await;
        }
    }

    async fn write(
        &self,
        key: Key,
        versions: impl Iterator<Item = u64> + Send,
        pause: Duration,
    ) -> Result<Option<u64>, BoxError> {
        let mut last = None;
        for version in versions {
            if last.is_some() && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            last = Some(self.subject.write(key, version).await?);
        }
        Ok(last)
    }
}

impl<S: Subject> Obeys for Racer<S> {
    async fn answer(&self, action: Action) -> Answer {
        let began = clock::now();
        let outcome = match action {
            Action::Spin(keys) => {
                self.spin(keys).await;
                Ok(None)
            }
            Action::Rest => {
                self.rest().await;
                Ok(None)
            }
            Action::Write {
                key,
                from,
                count,
                pause_micros,
            } => {
                let pause = Duration::from_micros(pause_micros);
                self.write(key, from..from + count, pause).await
            }
            Action::Last(key) => self.subject.read(key).await,
            other => Err(format!("a racer does not know {other:?}").into()),
        };
        match outcome {
            Ok(version) => Answer::Last(version),
            Err(error) => failed(began, &error),
        }
    }
}
