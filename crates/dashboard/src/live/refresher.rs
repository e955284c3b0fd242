//! The task that makes rounds, so that readers find figures already there.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::{
    clock,
    config::Config,
    market::{Outcome, ROUND_LIMIT, service::DataService},
};

/// Scheduling and storing, before a refresher that is late counts as dead.
const LATE_BY: Duration = Duration::from_secs(5);
/// From this many failed rounds in a row on, pauses grow.
const PATIENT_ROUNDS: u32 = 3;
/// What is waited after a panic, so that a panic in each round does not become a busy loop.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A running refresher; a clone watches the same one.
#[derive(Clone, Debug)]
pub struct Refresher {
    pulse: Arc<Pulse>,
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
        let walk = Arc::new(Walk {
            service,
            hub,
            pulse: Arc::clone(&pulse),
            interval: config.refresh_interval,
            backoff_max: config.refresh_backoff_max,
        });
        tokio::spawn(supervise(walk, stop));
        Self { pulse }
    }

    /// Whether it makes its rounds. False means that nobody renews the figures.
    pub fn is_alive(&self) -> bool {
        clock::monotonic() <= *self.pulse.alive_until()
    }

    /// Rounds that were published since start.
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

/// Starts the walk again when it panics; ends with `stop`.
async fn supervise(walk: Arc<Walk>, stop: CancellationToken) {
    loop {
        let task = tokio::spawn(Arc::clone(&walk).run());
        let abort = task.abort_handle();
        tokio::select! {
            () = stop.cancelled() => return abort.abort(),
            ended = task => {
                tracing::error!(panicked = ended.is_err(), "the refresher ended and is started again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(RESTART_PAUSE) => {}
        }
    }
}

impl Walk {
    async fn run(self: Arc<Self>) {
        self.warm().await;
        let mut outcomes = self.service.outcomes();
        let mut failed_rounds = 0;
        loop {
            let began = clock::monotonic();
            match self.round().await {
                Outcome::Failed => failed_rounds += 1,
                Outcome::Worked => failed_rounds = 0,
                // No source was due: nothing was learnt about any.
                Outcome::NothingAsked => {}
            }
            outcomes.mark_unchanged();
            let pause = pause(failed_rounds, self.interval, self.backoff_max);
            self.pulse.beat(pause);
            if self.rest(began + pause, pause, &mut outcomes).await == Rest::CutShort {
                failed_rounds = 0;
            }
        }
    }

    /// Takes over what an earlier process left in the store. A round wants new figures and looks at
    /// no stored ones: whoever asks while the first one waits for a source would wait with it.
    async fn warm(&self) {
        // After a panic there is something newer already.
        if self.hub.latest().is_some() {
            return;
        }
        if let Some(summary) = self.service.stored_summary().await {
            self.hub.publish("store", summary, clock::now());
        }
    }

    /// Publishes each round, changed or not: clients see from it that the service lives.
    async fn round(&self) -> Outcome {
        let (answer, outcome) = self.service.refresh_in_background().await;
        self.pulse.rounds.fetch_add(1, Ordering::Relaxed);
        self.hub.publish("refresher", answer.value, clock::now());
        outcome
    }

    /// Waits for the next round. A reader's round that works ends a back-off at once.
    async fn rest(
        &self,
        until: Instant,
        pause: Duration,
        outcomes: &mut watch::Receiver<Outcome>,
    ) -> Rest {
        let is_backing_off = pause > self.interval;
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
