//! Which loads led to where the code is now, so that a load that asks for its
//! own key gets an error and not a deadlock.
//!
//! The trail follows a load's own task. A load that spawns tasks of its own, or
//! two loads that join each other's flights, end at their deadline instead.

use std::sync::Arc;

use crate::error::Error;

tokio::task_local! {
    static TRAIL: Trail;
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trail(Option<Arc<Step>>);

#[derive(Debug)]
struct Step {
    cache: usize,
    key: Arc<str>,
    before: Trail,
}

impl Trail {
    /// The loads that the current code runs in.
    pub(crate) fn of_caller() -> Self {
        TRAIL.try_with(Self::clone).unwrap_or_default()
    }

    /// One load further: of `key` in the cache with this id.
    pub(crate) fn step(self, cache: usize, key: &Arc<str>) -> Self {
        Self(Some(Arc::new(Step {
            cache,
            key: Arc::clone(key),
            before: self,
        })))
    }

    /// Runs a load so that it finds this trail.
    pub(crate) async fn follow<F: Future>(self, load: F) -> F::Output {
        TRAIL.scope(self, load).await
    }

    /// An error if the caller runs inside a load of this very key.
    pub(crate) fn refuse_reentry(cache: usize, key: &str) -> Result<(), Error> {
        let mut trail = Self::of_caller();
        while let Some(step) = trail.0 {
            if step.cache == cache && &*step.key == key {
                return Err(Error::reentrant(key));
            }
            trail = step.before.clone();
        }
        Ok(())
    }
}
