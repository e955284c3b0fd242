//! The source as workers reach it: a Unix socket to the process that holds it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use serde::{Deserialize, Serialize};
use terrace::BoxError;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
};

use super::wire::Key;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// A load: counted, and held where the field wants it held.
    Load(Key),
    /// What the source has for these.
    Versions(Vec<Key>),
    /// Moves the key on.
    Next(Key),
    /// Moves the key on and keeps everybody else from doing so until
    /// [`Unlock`](Self::Unlock), or until the connection ends.
    Lock(Key),
    Unlock(Key),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) question: Question,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: u64,
    pub(crate) versions: Vec<u64>,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Vec<u64>>>>>;

/// One connection, shared by all that a worker does.
#[derive(Debug)]
pub(crate) struct Source {
    to: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Source {
    pub(crate) async fn connect(path: &Path) -> Result<Arc<Self>, BoxError> {
        let (from, to) = UnixStream::connect(path).await?.into_split();
        let waiting = Waiting::default();
        tokio::spawn(hear(from, Arc::clone(&waiting)));
        Ok(Arc::new(Self {
            to: tokio::sync::Mutex::new(to),
            waiting,
            next: AtomicU64::new(1),
        }))
    }

    pub(crate) async fn load(&self, key: Key) -> Result<u64, BoxError> {
        self.one(Question::Load(key)).await
    }

    pub(crate) async fn next(&self, key: Key) -> Result<u64, BoxError> {
        self.one(Question::Next(key)).await
    }

    pub(crate) async fn lock(&self, key: Key) -> Result<u64, BoxError> {
        self.one(Question::Lock(key)).await
    }

    pub(crate) async fn unlock(&self, key: Key) -> Result<u64, BoxError> {
        self.one(Question::Unlock(key)).await
    }

    pub(crate) async fn versions(&self, keys: Vec<Key>) -> Result<Vec<u64>, BoxError> {
        self.ask(Question::Versions(keys)).await
    }

    async fn one(&self, question: Question) -> Result<u64, BoxError> {
        let versions = self.ask(question).await?;
        versions
            .first()
            .copied()
            .ok_or_else(|| "the source said nothing".into())
    }

    async fn ask(&self, question: Question) -> Result<Vec<u64>, BoxError> {
        let id = self.next.fetch_add(1, Relaxed);
        let (tell, told) = oneshot::channel();
        lock(&self.waiting).insert(id, tell);
        let mut line = serde_json::to_vec(&Asked { id, question })?;
        line.push(b'\n');
        self.to.lock().await.write_all(&line).await?;
        Ok(told.await?)
    }
}

async fn hear(from: OwnedReadHalf, waiting: Waiting) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(told) = serde_json::from_str::<Told>(&line)
            && let Some(tell) = lock(&waiting).remove(&told.id)
        {
            let _ = tell.send(told.versions);
        }
    }
    // Whoever waits learns that the source has gone.
    lock(&waiting).clear();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
