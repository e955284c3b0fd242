//! One direction of one connection: reads, does to the bytes what the flow says,
//! and passes on what is left.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Ending, Flow, Lane, Traffic, lock,
    resp::{Framer, Piece},
};

/// Chunks on their way through a delay; more wait in the sender's socket.
const DELAY_LINE: usize = 4_096;

/// What was passed on before a cut still arrives, if the receiver takes it.
pub(super) const LAST_BYTES: Duration = Duration::from_millis(200);

pub(super) struct Pump {
    pub(super) lane: Lane,
    pub(super) to_server: bool,
    pub(super) traffic: Arc<Mutex<Traffic>>,
}

/// Why a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The sender closed, or the receiver did.
    Closed,
    /// We cut it.
    Cut,
}

/// What a flow has done since it was chosen; begins anew with the next one.
#[derive(Default)]
struct Progress {
    passed: u64,
    done: bool,
    /// The bytes of the frames that are to come twice.
    copy: Option<Vec<u8>>,
    /// How many of them are whole.
    copied: usize,
    dropping: bool,
    /// Commands so far of the name that is waited for.
    named: u64,
    /// From that command on: what is kept, and the names of what is whole.
    kept: Option<(Vec<u8>, Vec<Option<String>>)>,
}

impl Progress {
    /// Whether this piece is kept, and everything behind it.
    fn keeps(&mut self, flow: Flow, piece: &Piece, part: &[u8]) -> bool {
        let Flow::HoldFrom { command, nth } = flow else {
            return false;
        };
        if self.kept.is_none() {
            self.named += u64::from(piece.name.as_deref() == Some(command));
            self.kept = (self.named == nth).then(Default::default);
        }
        if let Some((bytes, names)) = &mut self.kept {
            bytes.extend_from_slice(part);
            names.extend(piece.ends.then(|| piece.name.clone()));
        }
        self.kept.is_some()
    }

    /// What comes in addition, right behind this piece.
    fn extra(&mut self, flow: Flow, piece: &Piece, part: &[u8]) -> Vec<u8> {
        match flow {
            _ if self.done => Vec::new(),
            Flow::Inject(more) if piece.ends => {
                self.done = true;
                more.to_vec()
            }
            // The frame may have begun in an earlier chunk: then the next one.
            Flow::DuplicateOne if self.copy.is_none() => {
                self.copy = piece.ends.then(Vec::new);
                Vec::new()
            }
            Flow::DuplicateOne => self.again(1, piece, part),
            Flow::Again { frames } if self.copy.is_some() || piece.begins => {
                self.again(frames, piece, part)
            }
            _ => Vec::new(),
        }
    }

    /// Keeps so many frames, and gives them when the last of them has ended.
    fn again(&mut self, frames: usize, piece: &Piece, part: &[u8]) -> Vec<u8> {
        let copy = self.copy.get_or_insert_default();
        copy.extend_from_slice(part);
        self.copied += usize::from(piece.ends);
        self.done = self.copied == frames;
        let whole = self.copy.take_if(|_| self.done);
        whole.unwrap_or_default()
    }
}

impl Pump {
    pub(super) async fn carry(self, mut from: OwnedReadHalf, to: OwnedWriteHalf) -> End {
        let (line, arrivals) = mpsc::channel(DELAY_LINE);
        let mut writing = tokio::spawn(write(arrivals, to));
        let end = self.pass_on(&mut from, &line).await;
        drop(line);
        match end {
            End::Closed => {
                if let Ok(mut to) = writing.await {
                    let _ = to.shutdown().await;
                }
            }
            End::Cut => {
                let written = tokio::time::timeout(LAST_BYTES, &mut writing).await;
                writing.abort();
                if *lock(&self.lane.ending) == Ending::Reset {
                    let _ = from.as_ref().set_zero_linger();
                    if let Ok(Ok(to)) = written {
                        let _ = to.as_ref().set_zero_linger();
                        to.forget();
                    }
                }
            }
        }
        end
    }

    async fn pass_on(&self, from: &mut OwnedReadHalf, line: &Line) -> End {
        let (mut framer, mut progress) = (Framer::default(), Progress::default());
        let mut bytes = vec![0; 65_536];
        let (mut flows, mut cuts) = (self.flows().subscribe(), self.lane.cut.subscribe());
        loop {
            let read = tokio::select! {
                read = from.read(&mut bytes) => read,
                _ = cuts.changed() => return End::Cut,
            };
            let Ok(count @ 1..) = read else {
                return End::Closed;
            };
            if !self.released(&mut cuts, |flow| flow == Flow::Hold).await {
                return End::Cut;
            }
            if flows.has_changed().unwrap_or(false) {
                // A frame that is being dropped is dropped to its end.
                progress = Progress {
                    dropping: progress.dropping,
                    ..Progress::default()
                };
            }
            let flow = *flows.borrow_and_update();
            let (out, goes_on) = self.apply(flow, &bytes[..count], &mut framer, &mut progress);
            let sent = match flow {
                _ if out.is_empty() => true,
                Flow::Slice { size, pause } => sliced(line, &out, size, pause).await,
                Flow::Delay(by) => line.send((Instant::now() + by, out)).await.is_ok(),
                _ => line.send((Instant::now(), out)).await.is_ok(),
            };
            if !goes_on {
                return End::Cut;
            }
            if !sent {
                return End::Closed;
            }
            if let Some((bytes, names)) = progress.kept.take() {
                self.traffic().held += 1;
                let is_held = |flow| matches!(flow, Flow::Hold | Flow::HoldFrom { .. });
                if !self.released(&mut cuts, is_held).await {
                    return End::Cut;
                }
                names.iter().for_each(|name| self.count(name.as_deref()));
                if line.send((Instant::now(), bytes)).await.is_err() {
                    return End::Closed;
                }
            }
        }
    }

    fn flows(&self) -> &watch::Sender<Flow> {
        match self.to_server {
            true => &self.lane.to_server,
            false => &self.lane.to_client,
        }
    }

    /// Waits while the flow holds. False when the connection is cut meanwhile.
    async fn released(&self, cuts: &mut watch::Receiver<u64>, is_held: fn(Flow) -> bool) -> bool {
        let mut flows = self.flows().subscribe();
        let free = tokio::select! {
            free = flows.wait_for(|flow| !is_held(*flow)) => free.is_ok(),
            _ = cuts.changed() => false,
        };
        free
    }

    /// What leaves for these bytes, and whether the connection goes on.
    fn apply(
        &self,
        flow: Flow,
        bytes: &[u8],
        framer: &mut Framer,
        progress: &mut Progress,
    ) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(bytes.len());
        for piece in framer.feed(bytes) {
            let part = &bytes[piece.bytes.clone()];
            if progress.keeps(flow, &piece, part) {
                continue;
            }
            if piece.ends && self.to_server {
                self.count(piece.name.as_deref());
            }
            if piece.begins && piece.kind == b'>' && flow == Flow::DropPushes {
                progress.dropping = true;
            }
            if !progress.dropping {
                out.extend_from_slice(part);
            } else if piece.ends {
                progress.dropping = false;
                self.traffic().pushes_dropped += 1;
            }
            out.extend(progress.extra(flow, &piece, part));
        }
        let before = progress.passed;
        progress.passed += out.len() as u64;
        match flow {
            Flow::Swallow => out.clear(),
            Flow::CutAfter(limit) if progress.passed >= limit => {
                out.truncate(usize::try_from(limit - before.min(limit)).unwrap_or(usize::MAX));
                return (out, false);
            }
            Flow::Flip { at } if (before..progress.passed).contains(&at) => {
                let index = usize::try_from(at - before).unwrap_or_default();
                out[index] ^= 0x20;
            }
            _ => {}
        }
        (out, true)
    }

    fn count(&self, command: Option<&str>) {
        if let Some(name) = command {
            let mut traffic = self.traffic();
            *traffic.commands.entry(name.to_owned()).or_default() += 1;
        }
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        lock(&self.traffic)
    }
}

type Line = mpsc::Sender<(Instant, Vec<u8>)>;

async fn sliced(line: &Line, out: &[u8], size: usize, pause: Duration) -> bool {
    let mut due = Instant::now();
    for part in out.chunks(size.max(1)) {
        due += pause;
        if line.send((due, part.to_vec())).await.is_err() {
            return false;
        }
    }
    true
}

async fn write(
    mut arrivals: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
) -> OwnedWriteHalf {
    while let Some((due, bytes)) = arrivals.recv().await {
        tokio::time::sleep_until(due).await;
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    to
}
