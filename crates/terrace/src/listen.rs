//! Signals about the store in, local corrections out.
//!
//! For now there is one: whether the store answers. A probe a second closes the
//! breaker again and settles what writes left unsettled.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{core::Core, write};

/// A store that is back is used again within two of these.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Runs until the cache is gone or closed.
pub(crate) fn start<V: Send + Sync + 'static>(core: &Arc<Core<V>>) {
    let probing = probe(Arc::downgrade(core));
    let stop: CancellationToken = core.stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(probing).await });
}

async fn probe<V: Send + Sync + 'static>(core: Weak<Core<V>>) {
    let mut elapsed = Duration::ZERO;
    while let Some(core) = core.upgrade() {
        let Some(remote) = &core.remote else { return };
        if remote.probe(elapsed).await {
            write::recover(&core).await;
        }
        drop(core);
        // Caches and processes must not fall into step.
        elapsed = PROBE_EVERY.mul_f64(rand::random_range(0.8..1.2));
        tokio::time::sleep(elapsed).await;
    }
}
