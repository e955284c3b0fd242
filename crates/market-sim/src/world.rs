//! What all requests share: market, clock, faults on order, counters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::api::Meter;
use crate::clock::Clock;
use crate::error::SimError;
use crate::fault::{Fault, FaultKind, Source};
use crate::market::Market;
use crate::options::SimTime;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) market: Market,
    address: SocketAddr,
    clock: Mutex<Clock>,
    calls: Mutex<BTreeMap<String, u64>>,
    /// Invariant: each has passed [`Fault::check`] when it came in, and none has 0 `times` left.
    faults: Mutex<Vec<(Source, Fault)>>,
    meter: Mutex<Meter>,
}

/// What the faults on order make of one call.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) delay: Duration,
    /// `None`: the right answer.
    pub(crate) fault: Option<FaultKind>,
}

impl World {
    pub(crate) fn new(market: Market, time: SimTime, address: SocketAddr) -> Self {
        Self {
            market,
            address,
            clock: Mutex::new(Clock::new(time)),
            calls: Mutex::default(),
            faults: Mutex::default(),
            meter: Mutex::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of what lies under a path prefix.
    pub(crate) fn url(&self, prefix: &str) -> String {
        format!("http://{}/{prefix}", self.address)
    }

    pub(crate) fn now(&self) -> Timestamp {
        locked(&self.clock).now()
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    pub(crate) fn time(&self) -> SimTime {
        locked(&self.clock).time()
    }

    pub(crate) fn set_time(&self, time: SimTime) {
        locked(&self.clock).set(time);
    }

    pub(crate) fn step_time(&self, step: SignedDuration) {
        locked(&self.clock).step(step);
    }

    pub(crate) fn count(&self, source: Source, endpoint: &str) {
        let name = format!("{} {endpoint}", source.name());
        *locked(&self.calls).entry(name).or_default() += 1;
    }

    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        locked(&self.calls).clone()
    }

    /// Errors: as [`Fault::check`] says.
    pub(crate) fn inject(&self, source: Source, fault: Fault) -> Result<(), SimError> {
        fault.check(source)?;
        locked(&self.faults).push((source, fault));
        Ok(())
    }

    pub(crate) fn faults(&self) -> Vec<(Source, Fault)> {
        locked(&self.faults).clone()
    }

    /// What becomes of a call; faults that count their calls count this one.
    pub(crate) fn fate(&self, source: Source, endpoint: &str) -> Fate {
        let mut fate = Fate {
            delay: Duration::ZERO,
            fault: None,
        };
        locked(&self.faults).retain_mut(|(concerned, fault)| {
            if *concerned != source || !fault.concerns(endpoint) {
                return true;
            }
            match &fault.kind {
                FaultKind::Latency { delay } => fate.delay = fate.delay.saturating_add(*delay),
                _ if fate.fault.is_some() => return true,
                kind => fate.fault = Some(kind.clone()),
            }
            fault.times = fault.times.map(|left| left - 1);
            fault.times != Some(0)
        });
        fate
    }

    pub(crate) fn meter(&self) -> MutexGuard<'_, Meter> {
        locked(&self.meter)
    }

    pub(crate) fn clear_faults(&self) {
        locked(&self.faults).clear();
    }

    /// Forgets faults, calls and used weight; the clock stays.
    pub(crate) fn reset(&self) {
        locked(&self.faults).clear();
        locked(&self.calls).clear();
        *locked(&self.meter) = Meter::default();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing that holds one of these locks can panic")
}
