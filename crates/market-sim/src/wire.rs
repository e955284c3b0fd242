//! A connection that can be reset, or taken over, from within the answer to a request.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Tells a connection to end in a reset as soon as something would be written to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breakage(Arc<AtomicBool>);

impl Breakage {
    pub(crate) fn order(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_ordered(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What goes on over a connection once it speaks HTTP no more.
pub(crate) type Afterlife = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the answer to a request can do to its connection; in the extensions of every request that
/// came over one.
#[derive(Clone, Default)]
pub(crate) struct Line {
    pub(crate) breakage: Breakage,
    afterlife: Arc<Mutex<Option<Afterlife>>>,
}

impl Line {
    /// Has this go on over the connection after the answer, by the task that serves it: what another
    /// task did would not end with the simulator.
    pub(crate) fn hand_over(&self, afterlife: Afterlife) {
        *self.slot() = Some(afterlife);
    }

    pub(crate) fn afterlife(&self) -> Option<Afterlife> {
        self.slot().take()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Afterlife>> {
        // Nothing is done under the lock that could leave half a value.
        self.afterlife
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Line")
            .field("breakage", &self.breakage)
            .finish_non_exhaustive()
    }
}

/// A connection with its [`Breakage`].
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    breakage: Breakage,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, breakage: Breakage) -> Self {
        Self { stream, breakage }
    }

    fn check(&self) -> io::Result<()> {
        if !self.breakage.is_ordered() {
            return Ok(());
        }
        // With nothing to linger for, closing discards what is unsent and sends RST, not FIN.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(task, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
