//! Where a test keeps calls until it lets them go.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

/// Longer than anything that a test does on purpose; what waits longer is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps calls that a [`Fault`](super::Fault) sends to it until it is released.
/// A clone is the same hold.
///
/// The example of [`Faulty`](super::Faulty) shows it at work.
#[derive(Clone, Debug)]
pub struct Hold(watch::Sender<Visits>);

#[derive(Clone, Copy, Debug, Default)]
struct Visits {
    arrived: u64,
    left: u64,
    open: bool,
}

impl Hold {
    /// A hold that keeps whatever comes.
    pub fn new() -> Self {
        Self(watch::Sender::new(Visits::default()))
    }

    /// How many calls have come so far.
    pub fn arrived(&self) -> u64 {
        self.0.borrow().arrived
    }

    /// Waits until so many calls have come, those that were let go counted.
    ///
    /// # Panics
    ///
    /// After 30 seconds: then nobody comes any more.
    pub async fn reached(&self, calls: u64) {
        let what = format!("{calls} calls at the hold");
        self.wait(&what, |visits| visits.arrived >= calls).await;
    }

    /// Lets everybody go, now and from now on, and waits until all who were held
    /// have done what they came for: when this returns, the late write has happened.
    ///
    /// # Panics
    ///
    /// After 30 seconds: then the store behind does not answer.
    pub async fn release(&self) {
        self.open();
        self.wait("the held calls are done", |visits| {
            visits.left >= visits.arrived
        })
        .await;
    }

    /// Lets everybody go, now and from now on, and waits for nobody.
    pub fn open(&self) {
        self.0.send_modify(|visits| visits.open = true);
    }

    /// Stays until the hold is open. What is done before the guard is dropped, is
    /// waited for by [`release`](Self::release).
    pub(super) async fn pass(&self) -> Visit {
        self.0.send_modify(|visits| visits.arrived += 1);
        let visit = Visit(self.clone());
        let mut state = self.0.subscribe();
        // The sender is our own: it cannot be gone.
        let _ = state.wait_for(|visits| visits.open).await;
        visit
    }

    async fn wait(&self, what: &str, reached: impl FnMut(&Visits) -> bool) {
        let mut state = self.0.subscribe();
        let waited = timeout(PATIENCE, state.wait_for(reached)).await;
        assert!(waited.is_ok(), "not within {PATIENCE:?}: {what}");
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self::new()
    }
}

/// A call at a hold; it has left when this is dropped.
#[derive(Debug)]
pub(super) struct Visit(Hold);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.0.send_modify(|visits| visits.left += 1);
    }
}
