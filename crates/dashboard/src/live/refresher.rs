//! The task that makes rounds, so that readers find figures already there. In a cluster one instance
//! makes them, and the others look at what it pins on the board.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::{
    clock,
    config::Config,
    market::{Outcome, ROUND_LIMIT, board::Standing, bulletin::News, service::DataService},
    supervise::supervise,
};

/// Scheduling and storing, before a refresher that is late counts as dead.
const LATE_BY: Duration = Duration::from_secs(5);
/// From this many failed rounds in a row on, pauses grow.
const PATIENT_ROUNDS: u32 = 3;
/// A leader gives a sign of life this often; others look for it three times as often, so that their
/// clients hear of an update within a third of a second.
const BEAT: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(300);
/// What leaving the board in order may take.
const RESIGN_LIMIT: Duration = Duration::from_secs(1);

/// A running refresher; a clone watches the same one.
#[derive(Clone, Debug)]
pub struct Refresher {
    pulse: Arc<Pulse>,
    settled: CancellationToken,
    ended: CancellationToken,
}

#[derive(Debug)]
struct Pulse {
    /// The task has until then to show another sign of life.
    alive_until: Mutex<Instant>,
    rounds: AtomicU64,
}

struct Walk {
    service: Arc<DataService>,
    hub: Hub,
    pulse: Arc<Pulse>,
    interval: Duration,
    backoff_max: Duration,
    settled: CancellationToken,
}

impl Refresher {
    /// Starts making rounds: the first at once, then every REFRESH_INTERVAL_SECONDS, until `stop`.
    pub fn start(
        config: &Config,
        service: Arc<DataService>,
        hub: Hub,
        stop: CancellationToken,
    ) -> Self {
        let pulse = Arc::new(Pulse {
            alive_until: Mutex::new(clock::monotonic() + ROUND_LIMIT + LATE_BY),
            rounds: AtomicU64::new(0),
        });
        let newest = service.board().subscribe();
        tokio::spawn(hand_over(newest, hub.clone(), stop.clone()));
        let settled = CancellationToken::new();
        let walk = Arc::new(Walk {
            service,
            hub,
            pulse: Arc::clone(&pulse),
            interval: config.refresh_interval,
            backoff_max: config.refresh_backoff_max,
            settled: settled.clone(),
        });
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        tokio::spawn(async move {
            walk_until(stop, walk).await;
            drop(guard);
        });
        Self {
            pulse,
            settled,
            ended,
        }
    }

    /// Whether it makes its rounds. False means that nobody renews the figures.
    pub fn is_alive(&self) -> bool {
        clock::monotonic() <= *self.pulse.alive_until()
    }

    /// Waits until it has seen whether others renew the figures, and its clients would be told the
    /// newest that there are. A silent store makes that as long as a few of its calls may take.
    pub async fn settled(&self) {
        self.settled.cancelled().await;
    }

    /// Waits until it was told to stop and has left its place to others.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Rounds that this instance made since start.
    pub fn rounds(&self) -> u64 {
        self.pulse.rounds.load(Ordering::Relaxed)
    }
}

impl Pulse {
    fn beat(&self, pause: Duration) {
        *self.alive_until() = clock::monotonic() + pause + ROUND_LIMIT + LATE_BY;
    }

    fn alive_until(&self) -> MutexGuard<'_, Instant> {
        self.alive_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands what is published, by whomever, to the clients of this instance.
async fn hand_over(
    mut newest: watch::Receiver<Option<Arc<News>>>,
    hub: Hub,
    stop: CancellationToken,
) {
    while let Some(Ok(())) = stop.run_until_cancelled(newest.changed()).await {
        if let Some(news) = newest.borrow_and_update().clone() {
            hub.publish(news);
        }
    }
}

/// Ends with `stop`, and leaves the board to others.
async fn walk_until(stop: CancellationToken, walk: Arc<Walk>) {
    supervise("refresher", &stop, || Arc::clone(&walk).run()).await;
    let resigned = timeout(RESIGN_LIMIT, walk.service.board().resign()).await;
    if resigned.is_err() {
        tracing::debug!("no time to leave the board in order");
    }
}

impl Walk {
    async fn run(self: Arc<Self>) {
        self.service.board().look().await;
        self.service.recall().await;
        let mut outcomes = self.service.outcomes();
        let mut failed_rounds = 0;
        let mut due = clock::monotonic();
        let mut predecessor = None;
        let mut stream = None;
        loop {
            let standing = self.service.board().look().await;
            let tidings = self.service.board().tidings();
            if tidings.resumed {
                self.hub.resync(self.service.board().newest());
            }
            if tidings.cleared {
                self.service.forget();
                due = clock::monotonic();
            }
            if standing == Standing::Follows {
                self.service.board().raise().await;
                stream = None;
                predecessor = self.service.board().followed();
                due = clock::monotonic();
                self.settle();
                self.pulse.beat(GLANCE);
                sleep(GLANCE).await;
                continue;
            }
            // Of several who find nobody only one may ask: first the place, then the round.
            let sources = self.service.own_sources();
            if self.service.board().beat(sources).await == Standing::Follows {
                continue;
            }
            self.settle();
            if let Some(predecessor) = predecessor.take() {
                tracing::info!("this instance renews the figures from here on");
                self.service.succeed(&predecessor);
            }
            stream.get_or_insert_with(|| self.service.stream());
            if clock::monotonic() >= due {
                let began = clock::monotonic();
                match self.round().await {
                    Outcome::Failed => failed_rounds += 1,
                    Outcome::Worked => failed_rounds = 0,
                    // Nothing was learnt about any source.
                    Outcome::NothingAsked => {}
                }
                let pause = pause(failed_rounds, self.interval, self.backoff_max);
                self.pulse.beat(pause);
                due = began + pause;
            }
            let is_backing_off = failed_rounds > PATIENT_ROUNDS;
            if self.rest(due, is_backing_off, &mut outcomes).await == Rest::CutShort {
                failed_rounds = 0;
                due = clock::monotonic();
            }
        }
    }

    /// Hands over what is known before anybody is told that there is nothing: what others published
    /// has a lower number than having nothing yet, which is numbered by the clock.
    fn settle(&self) {
        if let Some(newest) = self.service.board().newest() {
            self.hub.publish(newest);
        }
        self.settled.cancel();
    }

    /// Each round is published, changed or not: clients see from it that the service lives. Signs of
    /// life go on during it.
    async fn round(&self) -> Outcome {
        let round = self.service.refresh_in_background();
        tokio::pin!(round);
        let outcome = loop {
            tokio::select! {
                outcome = &mut round => break outcome,
                () = sleep(BEAT) => {
                    self.service.board().beat(self.service.own_sources()).await;
                }
            }
        };
        self.pulse.rounds.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// Waits for the next round or the next sign of life. A reader's round that works ends a back-off
    /// at once.
    async fn rest(
        &self,
        due: Instant,
        is_backing_off: bool,
        outcomes: &mut watch::Receiver<Outcome>,
    ) -> Rest {
        let until = due.min(clock::monotonic() + BEAT);
        tokio::select! {
            () = sleep_until(until) => Rest::Full,
            Ok(_) = outcomes.wait_for(|outcome| *outcome == Outcome::Worked), if is_backing_off => {
                Rest::CutShort
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Full,
    CutShort,
}

/// Doubles from the fourth failed round in a row on, up to the longest pause that is set.
fn pause(failed_rounds: u32, interval: Duration, longest: Duration) -> Duration {
    let doublings = failed_rounds.saturating_sub(PATIENT_ROUNDS).min(31);
    interval
        .saturating_mul(1 << doublings)
        .min(longest.max(interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_the_fourth_failed_round_up_to_the_longest() {
        let seconds =
            |failed| pause(failed, Duration::from_secs(10), Duration::from_secs(60)).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6, 7, 99].map(seconds),
            [10, 10, 10, 10, 20, 40, 60, 60, 60]
        );
    }

    #[test]
    fn a_longest_pause_below_the_interval_does_not_hasten_it() {
        let pause = pause(9, Duration::from_secs(100), Duration::from_secs(60));
        assert_eq!(pause, Duration::from_secs(100));
    }
}
