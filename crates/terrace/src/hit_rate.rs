//! Whether readers lately found something where they looked.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How often readers who came to load found something in L2 lately: a moving
/// average over some 16 of them, in 65,536ths. Lost updates only make it slower.
#[derive(Debug)]
pub(crate) struct HitRate(AtomicU32);

impl HitRate {
    const ONE: u32 = 1 << 16;
    /// Below one hit in three, asking for the lease at once is cheaper on average.
    const LOW: u32 = Self::ONE / 3;

    pub(crate) fn saw(&self, hit: bool) {
        let rate = self.0.load(Relaxed);
        let target = if hit { Self::ONE } else { 0 };
        self.0.store(rate - rate / 16 + target / 16, Relaxed);
    }

    pub(crate) fn is_low(&self) -> bool {
        self.0.load(Relaxed) < Self::LOW
    }
}

impl Default for HitRate {
    fn default() -> Self {
        Self(AtomicU32::new(Self::ONE / 2))
    }
}
