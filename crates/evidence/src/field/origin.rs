//! The source that all workers of a field share, held by the parent.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use terrace::BoxError;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{OwnedMutexGuard, mpsc, watch},
    task::JoinHandle,
};

use crate::{
    clock,
    worker::{
        source::{Asked, Question, Told},
        wire::Key,
    },
};

/// Versions begin here, so that 0 is never one.
const FIRST_VERSION: u64 = 1;

/// A counter for each key, and who may move it.
#[derive(Debug)]
pub(crate) struct Origin {
    path: PathBuf,
    inner: Arc<Inner>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    keys: Mutex<HashMap<Key, Arc<Counter>>>,
    /// So many loads of each key may end; the others wait here, after they have read.
    free: watch::Sender<u64>,
    /// How long a load takes.
    pace: watch::Sender<Duration>,
    moves: Mutex<Vec<(Key, u64, Duration)>>,
}

#[derive(Debug)]
struct Counter {
    version: AtomicU64,
    loads: AtomicU64,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Origin {
    /// Listens on a socket of its own.
    ///
    /// # Errors
    ///
    /// If the temporary folder cannot be written to.
    pub(crate) fn open() -> Result<Self, BoxError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("terrace-origin-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        let inner = Arc::new(Inner {
            keys: Mutex::default(),
            free: watch::Sender::new(u64::MAX),
            pace: watch::Sender::new(Duration::ZERO),
            moves: Mutex::default(),
        });
        let serving = Arc::clone(&inner);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).serve(stream));
            }
        });
        Ok(Self {
            path,
            inner,
            accepting,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Loads read the version, then wait until they are let go.
    pub(crate) fn hold_loads(&self, held: bool) {
        self.free_loads(if held { 0 } else { u64::MAX });
    }

    /// The same for all but the first so many loads of each key.
    pub(crate) fn free_loads(&self, first: u64) {
        self.inner.free.send_replace(first);
    }

    /// How long each load takes after it has read.
    pub(crate) fn pace(&self, pace: Duration) {
        self.inner.pace.send_replace(pace);
    }

    /// Loads of the key that have arrived so far.
    pub(crate) fn loads(&self, key: Key) -> u64 {
        self.inner.counter(key).loads.load(Relaxed)
    }

    /// What the key has now.
    pub(crate) fn version(&self, key: Key) -> u64 {
        self.inner.counter(key).version.load(Relaxed)
    }

    /// Moves the key on.
    pub(crate) fn next(&self, key: Key) -> u64 {
        self.inner.advance(key)
    }

    /// Each move of a key, and when it began.
    pub(crate) fn moves(&self) -> Vec<(Key, u64, Duration)> {
        lock(&self.inner.moves).clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Inner {
    fn counter(&self, key: Key) -> Arc<Counter> {
        let mut keys = lock(&self.keys);
        let counter = keys.entry(key).or_insert_with(|| {
            lock(&self.moves).push((key, FIRST_VERSION, Duration::ZERO));
            Arc::new(Counter {
                version: AtomicU64::new(FIRST_VERSION),
                loads: AtomicU64::new(0),
                lock: Arc::default(),
            })
        });
        Arc::clone(counter)
    }

    fn advance(&self, key: Key) -> u64 {
        let (counter, began) = (self.counter(key), clock::now());
        let mut moves = lock(&self.moves);
        let version = counter.version.fetch_add(1, Relaxed) + 1;
        moves.push((key, version, began));
        version
    }

    async fn serve(self: Arc<Self>, stream: UnixStream) {
        let (from, mut to) = stream.into_split();
        let (answers, mut told) = mpsc::unbounded_channel::<Told>();
        // Locks that this connection holds; they end with it.
        let locks: Arc<Mutex<HashMap<Key, OwnedMutexGuard<()>>>> = Arc::default();
        tokio::spawn(async move {
            while let Some(answer) = told.recv().await {
                let Ok(mut line) = serde_json::to_vec(&answer) else {
                    continue;
                };
                line.push(b'\n');
                if to.write_all(&line).await.is_err() {
                    break;
                }
            }
        });
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(Asked { id, question }) = serde_json::from_str(&line) else {
                break;
            };
            let (origin, answers, locks) =
                (Arc::clone(&self), answers.clone(), Arc::downgrade(&locks));
            tokio::spawn(async move {
                let versions = origin.answer(question, &locks).await;
                let _ = answers.send(Told { id, versions });
            });
        }
    }

    async fn answer(
        &self,
        question: Question,
        locks: &std::sync::Weak<Mutex<HashMap<Key, OwnedMutexGuard<()>>>>,
    ) -> Vec<u64> {
        match question {
            Question::Load(key) => vec![self.load(key).await],
            Question::Versions(keys) => {
                let versions = keys.into_iter().map(|key| self.counter(key));
                versions
                    .map(|counter| counter.version.load(Relaxed))
                    .collect()
            }
            Question::Next(key) => {
                let _unlocked = Arc::clone(&self.counter(key).lock).lock_owned().await;
                vec![self.advance(key)]
            }
            Question::Lock(key) => {
                let guard = Arc::clone(&self.counter(key).lock).lock_owned().await;
                let version = self.advance(key);
                // A connection that has ended meanwhile takes no lock.
                if let Some(locks) = locks.upgrade() {
                    lock(&locks).insert(key, guard);
                }
                vec![version]
            }
            Question::Unlock(key) => {
                if let Some(locks) = locks.upgrade() {
                    lock(&locks).remove(&key);
                }
                vec![self.counter(key).version.load(Relaxed)]
            }
        }
    }

    async fn load(&self, key: Key) -> u64 {
        let counter = self.counter(key);
        let version = counter.version.load(Relaxed);
        let number = counter.loads.fetch_add(1, Relaxed) + 1;
        let pace = *self.pace.borrow();
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        let mut free = self.free.subscribe();
        // The sender lives as long as this.
        let _ = free.wait_for(|first| number <= *first).await;
        version
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
