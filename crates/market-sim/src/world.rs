//! What all requests share: market, clock, faults on order, counters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::api::Meter;
use crate::clock::Clock;
use crate::error::SimError;
use crate::fault::Fault;
use crate::market::Market;
use crate::options::SimTime;
use crate::queue::{Fate, Queue};
use crate::scene::Scene;
use crate::source::Source;
use crate::window::Window;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct World {
    market: Market,
    address: SocketAddr,
    clock: Mutex<Clock>,
    calls: Mutex<BTreeMap<String, u64>>,
    faults: Mutex<Queue>,
    meter: Mutex<Meter>,
    /// Attempts to open a stream.
    attempts: Mutex<Window>,
    open_streams: AtomicUsize,
    news: watch::Sender<News>,
}

/// What those who wait are woken by, each counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Times that the clock was set or stepped.
    turns: u64,
    /// Orders to end all streams.
    pub(crate) drops: u64,
    /// Orders to announce the end of all streams.
    pub(crate) shutdowns: u64,
}

/// An open stream; it is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Arc<World>);

impl OpenStream {
    pub(crate) fn new(world: Arc<World>) -> Self {
        world.open_streams.fetch_add(1, Ordering::Relaxed);
        Self(world)
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.0
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open_streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    pub(crate) fn new(market: Market, time: SimTime, address: SocketAddr) -> Self {
        Self {
            market,
            address,
            clock: Mutex::new(Clock::new(time)),
            calls: Mutex::default(),
            faults: Mutex::default(),
            meter: Mutex::default(),
            attempts: Mutex::default(),
            open_streams: AtomicUsize::new(0),
            news: watch::Sender::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of what lies under a path prefix.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("http://{}/{prefix}", self.address)
    }

    /// The address of a source.
    pub(crate) fn source_url(&self, source: Source) -> String {
        match source {
            Source::BinanceWs => format!("ws://{}/{}", self.address, source.name()),
            _ => self.url(source.name()),
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.market.seed()
    }

    pub(crate) fn now(&self) -> Timestamp {
        locked(&self.clock).now()
    }

    pub(crate) fn time(&self) -> SimTime {
        locked(&self.clock).time()
    }

    /// The time that limits and the life of connections are counted in.
    pub(crate) fn steady(&self) -> Duration {
        locked(&self.clock).steady()
    }

    /// Whether the present moves by itself.
    pub(crate) fn is_running(&self) -> bool {
        locked(&self.clock).is_running()
    }

    pub(crate) fn set_time(&self, time: SimTime) {
        locked(&self.clock).set(time);
        self.news.send_modify(|news| news.turns += 1);
    }

    pub(crate) fn step_time(&self, step: SignedDuration) {
        locked(&self.clock).step(step);
        self.news.send_modify(|news| news.turns += 1);
    }

    pub(crate) fn drop_streams(&self) {
        self.news.send_modify(|news| news.drops += 1);
    }

    pub(crate) fn announce_shutdown(&self) {
        self.news.send_modify(|news| news.shutdowns += 1);
    }

    pub(crate) fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    pub(crate) fn open_streams(&self) -> usize {
        self.open_streams.load(Ordering::Relaxed)
    }

    /// Waits until this much steady time has gone by, or there is news.
    pub(crate) async fn rest(&self, news: &mut watch::Receiver<News>, length: Duration) {
        let speed = locked(&self.clock).steady_speed();
        let passing = async {
            match length.checked_div(speed) {
                Some(real) => tokio::time::sleep(real).await,
                // Time stands still until it is stepped, which is news.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The sender lives in this very world.
            _ = news.changed() => {}
            () = passing => {}
        }
    }

    /// Waits as a slow answer does: in real time, or for steps where nothing moves by itself.
    pub(crate) async fn delay(&self, delay: Duration) {
        let mut news = self.news();
        let until = {
            let clock = locked(&self.clock);
            let length = delay.saturating_mul(clock.steady_speed().max(1));
            clock.steady().saturating_add(length)
        };
        loop {
            let left = until.saturating_sub(self.steady());
            if left.is_zero() {
                return;
            }
            self.rest(&mut news, left).await;
        }
    }

    /// The market as a source sees it now whose prices are so many hundredths of the right ones.
    pub(crate) fn scene(&self, percent: u32) -> Scene<'_> {
        Scene::new(&self.market, self.now(), percent)
    }

    pub(crate) fn count(&self, source: Source, endpoint: &str) {
        let name = format!("{} {endpoint}", source.name());
        *locked(&self.calls).entry(name).or_default() += 1;
    }

    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        locked(&self.calls).clone()
    }

    pub(crate) fn calls_of(&self, source: Source) -> u64 {
        let prefix = format!("{} ", source.name());
        let calls = locked(&self.calls);
        let of_source = calls.iter().filter(|(name, _)| name.starts_with(&prefix));
        of_source.map(|(_, count)| count).sum()
    }

    /// Errors: as [`Fault::check`] says.
    pub(crate) fn inject(&self, source: Source, fault: Fault) -> Result<(), SimError> {
        locked(&self.faults).push(source, fault)
    }

    pub(crate) fn faults(&self) -> Vec<(Source, Fault)> {
        locked(&self.faults).list()
    }

    /// What becomes of a call; faults that count their calls count this one.
    pub(crate) fn fate(&self, source: Source, endpoint: &str) -> Fate {
        locked(&self.faults).fate(source, endpoint, self.steady())
    }

    /// The percentage that a call would meet; this is no call, so nothing is counted.
    pub(crate) fn skew(&self, source: Source, endpoint: &str) -> u32 {
        locked(&self.faults).skew(source, endpoint)
    }

    pub(crate) fn is_mute(&self, source: Source, endpoint: &str) -> bool {
        locked(&self.faults).is_mute(source, endpoint)
    }

    pub(crate) fn meter(&self) -> MutexGuard<'_, Meter> {
        locked(&self.meter)
    }

    pub(crate) fn attempts(&self) -> MutexGuard<'_, Window> {
        locked(&self.attempts)
    }

    pub(crate) fn clear_faults(&self) {
        locked(&self.faults).clear();
    }

    /// Forgets faults, calls, used weight and attempts; the clock and open streams stay.
    pub(crate) fn reset(&self) {
        locked(&self.faults).clear();
        locked(&self.calls).clear();
        *locked(&self.meter) = Meter::default();
        *locked(&self.attempts) = Window::default();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing that holds one of these locks can panic")
}
