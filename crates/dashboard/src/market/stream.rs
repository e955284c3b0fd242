//! Binance's stream: prices as they change and bars as they close, over one WebSocket that is
//! opened again whenever it ends.

mod link;
mod message;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use reqwest::Url;
use tokio::time::{Instant, sleep_until};

use self::link::{End, Link};
use super::{
    answer::{Connection, StreamReport},
    batch::Batch,
    retry::full_jitter,
    symbol::Symbol,
};
use crate::{clock::Clock, setting::StreamUrl, telemetry};

/// Every wait and every limit of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Prices are handed on together, so often at the most; 1 s by default.
    pub gather: Duration,
    /// How long a streamed price needs no other source; 10 s by default.
    pub lasts: Duration,
    /// What opening a connection may take; 10 s by default.
    pub open: Duration,
    /// A connection without a message for so long is dead; 60 s by default. Pings do not count:
    /// tickers come every second.
    pub silence: Duration,
    /// The age at which a connection is replaced; 23 h by default, for the source ends it at 24.
    pub life: Duration,
    /// The wait before a next attempt is drawn from zero up to this, doubled with each failure;
    /// 200 ms by default.
    pub wait: Duration,
    /// The longest such wait; 30 s by default. A connection that lasted as long was a good one.
    pub wait_max: Duration,
    /// Attempts in five minutes; 100 by default, of the 300 that an address has.
    pub attempts: usize,
    /// Messages in a row that cannot be used before the connection is given up; 20 by default.
    pub garbage: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gather: Duration::from_secs(1),
            lasts: Duration::from_secs(10),
            open: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            life: Duration::from_secs(23 * 3_600),
            wait: Duration::from_millis(200),
            wait_max: Duration::from_secs(30),
            attempts: 100,
            garbage: 20,
        }
    }
}

/// What the source counts attempts over.
const WINDOW: Duration = Duration::from_secs(5 * 60);

/// What came by stream.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The newest prices of some coins, and how long they last.
    Prices(Batch),
    /// A coin's daily bar is over.
    BarClosed(Symbol),
    /// Nothing comes for now.
    Lost,
}

/// Where the stream is, and how it is doing.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    url: Url,
    symbols: Vec<Symbol>,
    clock: Clock,
    vitals: Arc<Vitals>,
}

/// A client of the stream. Dropping it ends the connection.
#[derive(Debug)]
pub(crate) struct Feed {
    stream: Stream,
    pace: Pace,
    link: Option<Link>,
    /// Ends and failed attempts since a connection lasted.
    failures: u32,
    /// When the last attempts were made, oldest first; [`Pace::attempts`] at the most.
    attempts: VecDeque<Instant>,
    not_before: Instant,
    /// Whether [`Arrival::Lost`] was told, and nothing came since.
    is_lost: bool,
}

impl Stream {
    pub(crate) fn new(url: &StreamUrl, symbols: &[Symbol], clock: &Clock) -> Self {
        Self {
            url: url.combined(&message::names(symbols)),
            symbols: symbols.to_vec(),
            clock: clock.clone(),
            vitals: Arc::default(),
        }
    }

    /// A client that has yet to connect.
    pub(crate) fn feed(&self, pace: Pace) -> Feed {
        self.vitals.begin(self.clock.now());
        Feed {
            stream: self.clone(),
            pace,
            link: None,
            failures: 0,
            attempts: VecDeque::new(),
            not_before: self.clock.monotonic(),
            is_lost: true,
        }
    }

    /// How it is doing; none while nobody listens.
    pub(crate) fn report(&self) -> Option<StreamReport> {
        self.vitals.report().clone()
    }
}

impl Feed {
    /// What comes next; connects for it as often as need be, and waits for as long.
    pub(crate) async fn next(&mut self) -> Arrival {
        loop {
            if let Some(link) = &mut self.link {
                match link.next(&self.stream, &self.pace).await {
                    Ok(arrival) => {
                        self.is_lost = false;
                        return arrival;
                    }
                    Err(end) => self.lost(&end),
                }
            } else {
                let must_wait = self.not_before > self.stream.clock.monotonic();
                if must_wait && !std::mem::replace(&mut self.is_lost, true) {
                    return Arrival::Lost;
                }
                sleep_until(self.not_before).await;
                self.connect().await;
            }
        }
    }

    async fn connect(&mut self) {
        let now = self.stream.clock.monotonic();
        if self.attempts.len() >= self.pace.attempts {
            self.attempts.pop_front();
        }
        self.attempts.push_back(now);
        match Link::open(&self.stream, &self.pace).await {
            Ok(link) => {
                tracing::info!("the stream of binance is open");
                self.stream.vitals.connected(self.stream.clock.now());
                self.link = Some(link);
            }
            Err(end) => self.rest(&end),
        }
    }

    fn lost(&mut self, end: &End) {
        let now = self.stream.clock.monotonic();
        let lasted = |link: Link| now.duration_since(link.opened_at()) >= self.pace.wait_max;
        if self.link.take().is_some_and(lasted) {
            self.failures = 0;
        }
        self.stream.vitals.lost(self.stream.clock.now());
        self.rest(end);
    }

    /// Decides when the next attempt is made: at once where the end was to be expected, and the
    /// connection before it was a good one.
    fn rest(&mut self, end: &End) {
        let now = self.stream.clock.monotonic();
        let is_first = self.failures == 0;
        self.failures += 1;
        let wait = if end.is_expected() && is_first {
            Duration::ZERO
        } else {
            full_jitter(self.pace.wait, self.pace.wait_max, self.failures)
        };
        let asked_for = end.asked_for(self.stream.clock.now());
        self.not_before = now + wait.max(asked_for.unwrap_or_default());
        if let (Some(oldest), true) = (
            self.attempts.front(),
            self.attempts.len() >= self.pace.attempts,
        ) {
            self.not_before = self.not_before.max(*oldest + WINDOW);
        }
        let cause = telemetry::chain(end);
        if is_first {
            tracing::warn!(cause, "the stream of binance is closed");
        } else {
            tracing::debug!(
                cause,
                failures = self.failures,
                "the stream of binance stays closed"
            );
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        *self.stream.vitals.report() = None;
    }
}

/// How the stream is doing, for whoever asks.
#[derive(Debug, Default)]
struct Vitals(Mutex<Option<StreamReport>>);

impl Vitals {
    fn begin(&self, now: Timestamp) {
        *self.report() = Some(StreamReport {
            connection: Connection::Connecting,
            since: now,
            reconnects: 0,
            messages: 0,
            rejected: 0,
        });
    }

    fn connected(&self, now: Timestamp) {
        self.change(|report| {
            report.reconnects += u64::from(report.connection == Connection::Reconnecting);
            (report.connection, report.since) = (Connection::Connected, now);
        });
    }

    fn lost(&self, now: Timestamp) {
        self.change(|report| (report.connection, report.since) = (Connection::Reconnecting, now));
    }

    /// A message came, of use or not.
    fn count<T, E>(&self, read: &Result<T, E>) {
        self.change(|report| {
            report.messages += 1;
            report.rejected += u64::from(read.is_err());
        });
    }

    fn change(&self, change: impl FnOnce(&mut StreamReport)) {
        if let Some(report) = self.report().as_mut() {
            change(report);
        }
    }

    /// Each change under this lock is whole.
    fn report(&self) -> MutexGuard<'_, Option<StreamReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
