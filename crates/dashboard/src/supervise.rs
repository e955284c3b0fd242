//! Tasks that never end by themselves: whoever does is started again.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock;

/// What is waited before a task that ended is started again: doubled each time, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs what `start` makes until `stop`, and starts it again when it ends or panics. One that lasted
/// for longer than the longest pause was a good one, after which pauses are short again. When this
/// returns the task is gone.
pub(crate) async fn supervise<F>(
    name: &'static str,
    stop: &CancellationToken,
    mut start: impl FnMut() -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut pause = PAUSE;
    while !stop.is_cancelled() {
        let began = clock::monotonic();
        let mut task = tokio::spawn(start());
        let ended = tokio::select! {
            () = stop.cancelled() => {
                task.abort();
                // It may be in the middle of a step, and ends with that.
                let _ = task.await;
                return;
            }
            ended = &mut task => ended,
        };
        if began.elapsed() > LONGEST_PAUSE {
            pause = PAUSE;
        }
        let panicked = ended.is_err();
        tracing::error!(name, panicked, ?pause, "a task ended and is started again");
        stop.run_until_cancelled(sleep(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Starts a task whose life and end `live` is; how often it was started after so many seconds.
    async fn starts_within<F>(seconds: u64, live: impl Fn() -> F) -> u32
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (starts, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let supervised = supervise("test", &stop, || {
            starts.fetch_add(1, Ordering::Relaxed);
            live()
        });
        let stopped = async {
            sleep(Duration::from_secs(seconds)).await;
            stop.cancel();
        };
        tokio::join!(supervised, stopped);
        starts.load(Ordering::Relaxed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_after_longer_and_longer_pauses() {
        let broken = || async { panic!("a test's own") };
        // At 0, 1, 3, 7, 15 and 31 s, and each 30 s from then on.
        assert_eq!(starts_within(130, broken).await, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_lasted_is_started_again_at_once() {
        let good = || sleep(Duration::from_secs(60));
        assert_eq!(starts_within(200, good).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_told_to_stop_is_gone_when_that_returns() {
        let held = Arc::new(());
        let kept = Arc::clone(&held);
        let endless = move || {
            let kept = Arc::clone(&kept);
            async move {
                std::future::pending::<()>().await;
                drop(kept);
            }
        };
        assert_eq!(starts_within(1, &endless).await, 1);
        drop(endless);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
