//! A worker process as its parent sees it.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use terrace::BoxError;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
};

use super::log::Log;
use crate::worker::{
    WorkerSettings,
    wire::{Action, Answer, Message, Request},
};

/// No answer within this is a hang, whatever was asked.
const PATIENCE: Duration = Duration::from_secs(120);

/// Lines of standard error that are kept of one process.
const KEPT_LINES: usize = 200;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

/// A worker. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    number: u32,
    child: Child,
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Process {
    /// Starts a worker. `number` is never used twice: a restarted one is another.
    pub(crate) fn start(
        program: &Path,
        settings: &WorkerSettings,
        number: u32,
        log: &Log,
    ) -> Result<Self, BoxError> {
        let mut child = Command::new(program)
            .arg("worker")
            .args(settings.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("a worker without input")?;
        let output = child.stdout.take().ok_or("a worker without output")?;
        let complaints = child.stderr.take().ok_or("a worker without stderr")?;
        let waiting = Waiting::default();
        tokio::spawn(hear(output, number, Arc::clone(&waiting), log.clone()));
        tokio::spawn(note_complaints(complaints, number, log.clone()));
        Ok(Self {
            number,
            child,
            input: tokio::sync::Mutex::new(input),
            waiting,
            next: AtomicU64::new(1),
        })
    }

    /// Which process of the field's life this is.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Tells it to do something, and waits for the answer.
    ///
    /// # Errors
    ///
    /// A process that is gone or does not answer in two minutes. What the cache
    /// refused is an answer.
    pub(crate) async fn ask(&self, action: Action) -> Result<Answer, BoxError> {
        let what = format!("{action:?}");
        let told = self.send(action).await?;
        let answer = tokio::time::timeout(PATIENCE, told).await;
        let gone = || format!("worker {}: no answer to {what}", self.number);
        Ok(answer.map_err(|_| gone())?.map_err(|_| gone())?)
    }

    /// [`ask`](Self::ask) where anything but success is an error.
    ///
    /// # Errors
    ///
    /// The cache's own error besides.
    pub(crate) async fn must(&self, action: Action) -> Result<Answer, BoxError> {
        let what = format!("{action:?}");
        match self.ask(action).await? {
            Answer::Failed { why, .. } => {
                Err(format!("worker {}: {what}: {why}", self.number).into())
            }
            answer => Ok(answer),
        }
    }

    /// One of the figures of `Stats`.
    ///
    /// # Errors
    ///
    /// As [`must`](Self::must).
    pub(crate) async fn figure(&self, name: &str) -> Result<u64, BoxError> {
        match self.must(Action::Stats).await? {
            Answer::Stats(figures) => figures
                .get(name)
                .copied()
                .ok_or_else(|| format!("no figure {name}").into()),
            other => Err(format!("figures: {other:?}").into()),
        }
    }

    async fn send(&self, action: Action) -> Result<oneshot::Receiver<Answer>, BoxError> {
        let id = self.next.fetch_add(1, Relaxed);
        let (tell, told) = oneshot::channel();
        lock(&self.waiting).insert(id, tell);
        let mut line = serde_json::to_vec(&Request { id, action })?;
        line.push(b'\n');
        self.input.lock().await.write_all(&line).await?;
        Ok(told)
    }

    /// SIGSTOP: it holds what it holds, and does nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        // It may have gone by itself; its standard error tells.
        let _ = self.child.kill().await;
    }

    /// Resident memory and open descriptors, while it lives.
    pub(crate) fn footprint(&self) -> Option<Footprint> {
        let id = self.child.id()?;
        let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(Footprint {
            resident_bytes: kibibytes << 10,
            descriptors: fs::read_dir(format!("/proc/{id}/fd")).ok()?.count() as u64,
        })
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // Our own child, not waited for yet: the number is still its own.
            let _ = kill_process(pid, signal);
        }
    }
}

/// What a process takes up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// VmRSS.
    pub(crate) resident_bytes: u64,
    /// Open files and sockets.
    pub(crate) descriptors: u64,
}

async fn hear(output: impl AsyncRead + Unpin, number: u32, waiting: Waiting, log: Log) {
    let mut lines = BufReader::with_capacity(1 << 20, output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(Message { id, answer }) = serde_json::from_str(&line) else {
            // A kill cuts the last line.
            continue;
        };
        match answer {
            Answer::Events(events) => log.take(number, events),
            answer => {
                if let Some(tell) = lock(&waiting).remove(&id) {
                    let _ = tell.send(answer);
                }
            }
        }
    }
    // Whoever waits learns that nobody will answer.
    lock(&waiting).clear();
}

async fn note_complaints(complaints: impl AsyncRead + Unpin, number: u32, log: Log) {
    let mut lines = BufReader::new(complaints).lines();
    let mut kept = 0;
    while let Ok(Some(line)) = lines.next_line().await {
        if kept < KEPT_LINES {
            kept += 1;
            log.complaint(number, &line);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
