//! Asking again, within one deadline and only where that can help.

use std::{future::Future, time::Duration};

use rand::RngExt as _;
use tokio::time::{Instant, sleep, timeout};

use super::{
    error::{UpstreamError, Verdict},
    health::Pass,
};
use crate::clock::Clock;

/// At most so many attempts at one read.
const ATTEMPTS: u32 = 3;
/// The computed wait is drawn from zero up to this, doubled with each attempt up to the cap.
const BASE_WAIT: Duration = Duration::from_millis(200);
const WAIT_CAP: Duration = Duration::from_secs(2);
/// What an attempt needs at the least for there to be a point in waiting for it.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(50);

/// Runs `attempt` until it succeeds, cannot be helped by asking again, or the deadline would be missed.
///
/// Nobody sleeps through a long back-off: a source that asks for more than the cap gets a cool-down,
/// and the caller its error at once.
pub(crate) async fn retry_with_backoff<T, F, Fut>(
    clock: &Clock,
    pass: &Pass<'_>,
    deadline: Instant,
    mut attempt: F,
) -> Result<T, UpstreamError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, UpstreamError>>,
{
    let mut made = 0;
    let mut earlier: Option<UpstreamError> = None;
    loop {
        made += 1;
        let left = deadline.saturating_duration_since(clock.monotonic());
        // Three quarters of what is left: a slow answer is still taken, and a connection that hangs
        // leaves time to ask anew.
        let share = if made == ATTEMPTS { left } else { left * 3 / 4 };
        let error = match timeout(share, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_) => UpstreamError::TimedOut,
        };
        // That nobody may ask again tells less than what came of asking.
        if error.verdict() == Verdict::Unasked
            && let Some(earlier) = earlier
        {
            return Err(earlier);
        }
        pass.cool_down(error.verdict(), clock.monotonic(), clock.now());
        let wait = error
            .retry_after()
            .unwrap_or_else(|| full_jitter(BASE_WAIT, WAIT_CAP, made));
        let is_in_time = clock.monotonic() + wait + SHORTEST_ATTEMPT < deadline;
        let is_worth_it = error.is_retryable() && made < ATTEMPTS && wait <= WAIT_CAP && is_in_time;
        if !is_worth_it || !pass.take_retry() {
            return Err(error);
        }
        tracing::info!(
            source = pass.source().name(),
            attempt = made,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            cause = error.reason().code(),
            "retrying",
        );
        sleep(wait).await;
        earlier = Some(error);
    }
}

/// Anything from nothing to the base, doubled with each attempt up to the cap: those who failed
/// together do not return together.
pub(crate) fn full_jitter(base: Duration, cap: Duration, attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let ceiling = base.saturating_mul(doubled).min(cap);
    rand::rng().random_range(Duration::ZERO..=ceiling)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::market::{figure::Group, health::Health, source::Source};

    async fn attempts_made(
        deadline_in: Duration,
        fail: impl Fn() -> UpstreamError,
    ) -> (u32, UpstreamError, Duration) {
        let health = Health::new(Source::Binance, Duration::ZERO);
        let pass = health
            .admit(Group::Prices, Instant::now())
            .expect("nothing failed yet");
        let made = AtomicU32::new(0);
        let start = Instant::now();
        let failed = retry_with_backoff(&Clock::default(), &pass, start + deadline_in, || {
            made.fetch_add(1, Ordering::Relaxed);
            let error = fail();
            async { Err::<(), _>(error) }
        })
        .await
        .expect_err("every attempt fails");
        (made.into_inner(), failed, Instant::now() - start)
    }

    fn status(status: u16, retry_after: Option<u64>) -> UpstreamError {
        UpstreamError::Status {
            status,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_error_is_asked_about_three_times_at_most() {
        let (made, ..) = attempts_made(Duration::from_secs(8), || status(500, None)).await;
        assert_eq!(made, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_error_is_not_asked_about_again() {
        for lasting in [400, 401, 403, 404, 418, 451] {
            let (made, ..) = attempts_made(Duration::from_secs(8), || status(lasting, None)).await;
            assert_eq!(made, 1, "status {lasting}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_sleeps_through_a_long_back_off() {
        let (made, error, took) =
            attempts_made(Duration::from_secs(8), || status(429, Some(3))).await;
        assert_eq!((made, took), (1, Duration::ZERO));
        assert!(matches!(error, UpstreamError::Status { status: 429, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_wait_that_the_source_asks_for_wins_over_the_computed_one() {
        let (made, _, took) = attempts_made(Duration::from_secs(8), || status(429, Some(1))).await;
        assert_eq!((made, took), (3, Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_hang_leave_time_for_another_and_end_at_the_deadline() {
        let health = Health::new(Source::Binance, Duration::ZERO);
        let pass = health
            .admit(Group::Prices, Instant::now())
            .expect("nothing failed yet");
        let start = Instant::now();
        let deadline = start + Duration::from_secs(8);
        let made = AtomicU32::new(0);
        let clock = Clock::default();
        let hung = retry_with_backoff(&clock, &pass, deadline, || {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), UpstreamError>>()
        });
        assert!(matches!(hung.await, Err(UpstreamError::TimedOut)));
        assert_eq!(made.into_inner(), 3);
        assert!(Instant::now() <= deadline + Duration::from_millis(5));
    }

    #[test]
    fn the_wait_stays_under_its_cap() {
        assert!((1..40).all(|made| full_jitter(BASE_WAIT, WAIT_CAP, made) <= WAIT_CAP));
    }
}
