//! How one source is doing: its breaker, its cool-down, its budget of retries. Pure but for a lock;
//! the time is passed in.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    answer::{self, SourceReport},
    error::{UpstreamError, Verdict},
    figure::{Group, Reason},
    source::Source,
};

/// Reads in a row that must fail before the source is left alone.
const FAILURES_TO_OPEN: u32 = 5;
/// Less than the default pause between rounds: each round then probes an ailing source once, and
/// a source that came back is used again within one round.
const OPEN_FOR: Duration = Duration::from_secs(5);
/// A cool-down when the source says 429 and not for how long; doubled up to the maximum.
const UNSAID_COOL_DOWN: Duration = Duration::from_secs(30);
const UNSAID_COOL_DOWN_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest ban that is documented anywhere (Binance, 418); more is taken for a mistake.
const COOL_DOWN_MAX: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// Retries may be a tenth of the calls, in thousandths; the reserve lets the first reads retry.
const RETRY_EARNED: u32 = 100;
const RETRY_COST: u32 = 1_000;
const RETRY_RESERVE: u32 = 5_000;

/// A trouble that a source was not asked about again for this long is over, if it answered something
/// else since: it stood in, and nobody needs it to any more. What goes on failing is asked about in
/// each round, so where pauses between rounds are long, this is two of them.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// One source's health.
#[derive(Debug)]
pub(crate) struct Health {
    source: Source,
    forgotten_after: Duration,
    chart: Mutex<Chart>,
}

#[derive(Debug)]
struct Chart {
    breaker: Breaker,
    cooling: Option<Cooling>,
    /// Cool-downs in a row whose length the source did not say.
    unsaid_cool_downs: u32,
    retry_credit: u32,
    reads: u64,
    failed_reads: u64,
    calls: u64,
    last_success: Option<Timestamp>,
    answered_at: Option<Instant>,
    /// What still fails, the newest last: one question may fail while another is answered.
    troubles: Vec<Trouble>,
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    group: Group,
    reason: Reason,
    /// When it was last met.
    at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breaker {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One read is finding out; everybody else is still refused.
    Probing,
}

#[derive(Clone, Copy, Debug)]
struct Cooling {
    until: Instant,
    until_shown: Timestamp,
}

/// The right to read the source once. Dropped without a verdict, it gives a probe back.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    health: &'a Health,
    group: Group,
    is_probe: bool,
    admitted_at: Instant,
}

impl Health {
    /// `longest_pause` is what may lie between two rounds.
    pub(crate) fn new(source: Source, longest_pause: Duration) -> Self {
        Self {
            source,
            forgotten_after: FORGOTTEN_AFTER.max(longest_pause.saturating_mul(2)),
            chart: Mutex::new(Chart {
                breaker: Breaker::Closed { failures: 0 },
                cooling: None,
                unsaid_cool_downs: 0,
                retry_credit: RETRY_RESERVE,
                reads: 0,
                failed_reads: 0,
                calls: 0,
                last_success: None,
                answered_at: None,
                troubles: Vec::new(),
            }),
        }
    }

    /// Lets a read through, or says why not.
    pub(crate) fn admit(&self, group: Group, now: Instant) -> Result<Pass<'_>, UpstreamError> {
        let mut chart = self.chart();
        if let Some(cooling) = chart.cooling {
            if now < cooling.until {
                return Err(UpstreamError::CoolingDown {
                    wait: cooling.until - now,
                });
            }
            // Whether it is content now, one question finds out.
            chart.cooling = None;
            chart.breaker = Breaker::Open { until: now };
        }
        let is_probe = match chart.breaker {
            Breaker::Closed { .. } => false,
            Breaker::Open { until } if now >= until => {
                chart.breaker = Breaker::Probing;
                tracing::info!(source = self.source.name(), breaker = "half-open");
                true
            }
            Breaker::Open { .. } | Breaker::Probing => return Err(UpstreamError::BreakerOpen),
        };
        chart.reads += 1;
        chart.retry_credit = (chart.retry_credit + RETRY_EARNED).min(RETRY_RESERVE);
        Ok(Pass {
            health: self,
            group,
            is_probe,
            admitted_at: now,
        })
    }

    /// Opened breakers let a probe through at once. A cool-down that a provider asked for stays.
    pub(crate) fn forget(&self, now: Instant) {
        let mut chart = self.chart();
        if matches!(chart.breaker, Breaker::Open { .. }) {
            chart.breaker = Breaker::Open { until: now };
        }
    }

    /// A question is on its way.
    pub(crate) fn count_call(&self) {
        self.chart().calls += 1;
    }

    /// Its latest answer for these figures was of no use.
    pub(crate) fn complain(&self, group: Group, reason: Reason, now: Instant) {
        let at = now;
        let trouble = Trouble { group, reason, at };
        self.chart().suffer(self.source, trouble);
    }

    /// Leaves it alone for so long.
    pub(crate) fn cool_for(&self, wait: Duration, now: Instant, until_shown: Timestamp) {
        if !wait.is_zero() {
            self.chart().cool(wait.min(COOL_DOWN_MAX), now, until_shown);
        }
    }

    pub(crate) fn report(&self, now: Instant) -> SourceReport {
        let chart = self.chart();
        SourceReport {
            source: self.source,
            is_on: true,
            breaker: match chart.breaker {
                Breaker::Closed { .. } => answer::Breaker::Closed,
                Breaker::Open { .. } => answer::Breaker::Open,
                Breaker::Probing => answer::Breaker::HalfOpen,
            },
            last_success: chart.last_success,
            last_error: chart.trouble(now, self.forgotten_after),
            cooling_until: chart
                .cooling
                .filter(|c| now < c.until)
                .map(|c| c.until_shown),
            reads: chart.reads,
            failed_reads: chart.failed_reads,
            calls: chart.calls,
            allowance_left: 0.0,
            stream: None,
        }
    }

    /// Nothing that runs under this lock can leave the chart half written.
    fn chart(&self) -> MutexGuard<'_, Chart> {
        self.chart.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chart {
    /// A question failed. Not having asked tells less than why nobody asks.
    fn suffer(&mut self, source: Source, trouble: Trouble) {
        let is_unasked = matches!(
            trouble.reason,
            Reason::BreakerOpen | Reason::CoolingDown | Reason::OverBudget
        );
        let failed = !self.troubles.is_empty();
        if is_unasked && failed {
            let mut known = self.troubles.iter_mut();
            if let Some(known) = known.find(|known| known.group == trouble.group) {
                known.at = trouble.at;
            }
            return;
        }
        self.troubles.retain(|known| known.group != trouble.group);
        self.troubles.push(trouble);
        if !failed {
            let cause = trouble.reason.code();
            tracing::warn!(source = source.name(), cause, "source fails");
        }
    }

    /// A question was answered.
    fn recover(&mut self, source: Source, group: Group) {
        let failed = !self.troubles.is_empty();
        self.troubles.retain(|known| known.group != group);
        if failed && self.troubles.is_empty() {
            tracing::info!(source = source.name(), "source works again");
        }
    }

    /// The newest trouble that counts.
    fn trouble(&self, now: Instant, forgotten_after: Duration) -> Option<Reason> {
        let is_over = |trouble: &Trouble| {
            let has_answered = self.answered_at.is_some_and(|at| trouble.at < at);
            has_answered && now.duration_since(trouble.at) > forgotten_after
        };
        let mut newest_first = self.troubles.iter().rev();
        let counts = newest_first.find(|trouble| !is_over(trouble));
        counts.map(|trouble| trouble.reason)
    }

    /// A shorter word never shortens a longer one. Whether this one counts.
    fn cool(&mut self, wait: Duration, now: Instant, until_shown: Timestamp) -> bool {
        let until = now + wait;
        let counts = self.cooling.is_none_or(|cooling| cooling.until < until);
        if counts {
            self.cooling = Some(Cooling { until, until_shown });
        }
        counts
    }
}

impl Pass<'_> {
    pub(crate) fn source(&self) -> Source {
        self.health.source
    }

    /// Whether one more attempt may be made: a probe has one, others draw on the budget.
    pub(crate) fn take_retry(&self) -> bool {
        let mut chart = self.health.chart();
        if self.is_probe || chart.retry_credit < RETRY_COST {
            return false;
        }
        chart.retry_credit -= RETRY_COST;
        true
    }

    /// Lets everybody know at once that the source wants to be left alone.
    pub(crate) fn cool_down(&self, verdict: Verdict, now: Instant, shown: Timestamp) {
        let health = self.health;
        let mut chart = health.chart();
        let wait = match verdict {
            Verdict::LeaveAlone(Some(wait)) | Verdict::ShutOut(wait) => wait.min(COOL_DOWN_MAX),
            Verdict::LeaveAlone(None) => {
                let doublings = chart.unsaid_cool_downs.min(8);
                chart.unsaid_cool_downs += 1;
                (UNSAID_COOL_DOWN * 2_u32.pow(doublings)).min(UNSAID_COOL_DOWN_MAX)
            }
            Verdict::Broken | Verdict::Unrelated | Verdict::Unasked => return,
        };
        let until_shown = shown.checked_add(wait).unwrap_or(Timestamp::MAX);
        if chart.cool(wait, now, until_shown) {
            tracing::info!(
                source = health.source.name(),
                wait_s = wait.as_secs(),
                "cooling down"
            );
        }
    }

    /// The read succeeded.
    pub(crate) fn succeed(self, now: Instant, shown: Timestamp) {
        let mut chart = self.health.chart();
        if chart.breaker != (Breaker::Closed { failures: 0 }) {
            if self.is_probe {
                tracing::info!(source = self.health.source.name(), breaker = "closed");
            }
            chart.breaker = Breaker::Closed { failures: 0 };
        }
        chart.unsaid_cool_downs = 0;
        chart.last_success = Some(shown);
        chart.answered_at = Some(now);
        chart.recover(self.health.source, self.group);
    }

    /// The read failed.
    pub(crate) fn fail(self, error: &UpstreamError, now: Instant) {
        let mut chart = self.health.chart();
        chart.failed_reads += 1;
        let trouble = Trouble {
            group: self.group,
            reason: error.reason(),
            at: now,
        };
        chart.suffer(self.health.source, trouble);
        let failures = match (chart.breaker, error.verdict()) {
            // A probe that was not made is given back when the pass is dropped.
            (_, Verdict::Unasked) => return,
            (_, Verdict::Unrelated | Verdict::LeaveAlone(_) | Verdict::ShutOut(_)) => {
                // It answered, if only to say no. A probe that was answered has found a live host.
                if self.is_probe {
                    chart.breaker = Breaker::Closed { failures: 0 };
                }
                return;
            }
            (Breaker::Closed { failures }, Verdict::Broken) => failures + 1,
            (_, Verdict::Broken) => FAILURES_TO_OPEN,
        };
        chart.breaker = if failures < FAILURES_TO_OPEN {
            Breaker::Closed { failures }
        } else {
            tracing::info!(
                source = self.health.source.name(),
                breaker = "open",
                cause = error.reason().code(),
                wait_s = OPEN_FOR.as_secs(),
            );
            Breaker::Open {
                until: now + OPEN_FOR,
            }
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // Given up half-way, by a deadline further out: somebody else may probe at once, as when this
        // one was let through.
        if self.is_probe {
            let mut chart = self.health.chart();
            if chart.breaker == Breaker::Probing {
                chart.breaker = Breaker::Open {
                    until: self.admitted_at,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(60);

    fn broken() -> UpstreamError {
        UpstreamError::TimedOut
    }

    fn broken_five_times(now: Instant) -> Health {
        let health = Health::new(Source::Binance, PAUSE);
        for _ in 0..FAILURES_TO_OPEN {
            health
                .admit(Group::Prices, now)
                .expect("the breaker is closed")
                .fail(&broken(), now);
        }
        health
    }

    #[tokio::test(start_paused = true)]
    async fn five_failed_reads_open_the_breaker_and_one_probe_closes_it() {
        let now = Instant::now();
        let health = broken_five_times(now);
        assert!(matches!(
            health.admit(Group::Prices, now),
            Err(UpstreamError::BreakerOpen)
        ));
        let later = now + OPEN_FOR;
        let probe = health
            .admit(Group::Prices, later)
            .expect("a probe is let through");
        assert!(matches!(
            health.admit(Group::Prices, later),
            Err(UpstreamError::BreakerOpen)
        ));
        assert!(!probe.take_retry());
        probe.succeed(later, crate::clock::now());
        assert!(health.admit(Group::Prices, later).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_given_up_half_way_lets_another_through() {
        let now = Instant::now();
        let health = broken_five_times(now);
        let later = now + OPEN_FOR;
        drop(health.admit(Group::Prices, later));
        tokio::time::advance(OPEN_FOR).await;
        assert!(health.admit(Group::Prices, later).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_given_back_in_the_time_that_is_passed_in() {
        let now = Instant::now();
        let health = broken_five_times(now);
        let later = now + OPEN_FOR;
        tokio::time::advance(2 * OPEN_FOR).await;
        drop(health.admit(Group::Prices, later));
        assert!(health.admit(Group::Prices, later).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cool_down_outlives_forgetting_and_an_open_breaker_does_not() {
        let now = Instant::now();
        let health = broken_five_times(now);
        health.forget(now);
        let pass = health
            .admit(Group::Prices, now)
            .expect("forgetting lets a probe through");
        let wait = Duration::from_secs(60);
        pass.cool_down(Verdict::LeaveAlone(Some(wait)), now, crate::clock::now());
        health.forget(now);
        assert!(matches!(
            health.admit(Group::Prices, now),
            Err(UpstreamError::CoolingDown { .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_tenth_of_the_calls() {
        let now = Instant::now();
        let health = Health::new(Source::Binance, PAUSE);
        let mut retries = 0;
        for _ in 0..1_000 {
            let pass = health.admit(Group::Prices, now).expect("nothing failed");
            retries += u32::from(pass.take_retry());
            pass.succeed(now, crate::clock::now());
        }
        assert!(
            (100..=110).contains(&retries),
            "{retries} retries in 1000 calls"
        );
    }
}
