//! The faults on order, and what they make of a call.

use std::time::Duration;

use crate::error::SimError;
use crate::fault::{Fault, FaultKind};
use crate::scene::TRUE;
use crate::source::Source;
use crate::window::Window;

/// The faults on order, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue(Vec<Standing>);

#[derive(Debug)]
struct Standing {
    source: Source,
    /// Invariant: has passed [`Fault::check`] when it came in, and has not 0 `times` left.
    fault: Fault,
    /// The calls that a rate limit has let pass.
    window: Window,
}

/// What the faults on order make of one call.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) delay: Duration,
    /// By how much the source is behind.
    pub(crate) behind: Duration,
    /// Hundredths of the right prices.
    pub(crate) percent: u32,
    /// `None`: the right answer.
    pub(crate) fault: Option<FaultKind>,
}

impl Queue {
    /// Errors: as [`Fault::check`] says.
    pub(crate) fn push(&mut self, source: Source, fault: Fault) -> Result<(), SimError> {
        fault.check(source)?;
        self.0.push(Standing {
            source,
            fault,
            window: Window::default(),
        });
        Ok(())
    }

    pub(crate) fn list(&self) -> Vec<(Source, Fault)> {
        let entry = |standing: &Standing| (standing.source, standing.fault.clone());
        self.0.iter().map(entry).collect()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether calls there are never answered; this is no call, so nothing is counted.
    pub(crate) fn is_mute(&self, source: Source, endpoint: &str) -> bool {
        self.0.iter().any(|standing| {
            standing.concerns(source, endpoint) && standing.fault.kind == FaultKind::Hang
        })
    }

    /// The percentage that a call there would meet; this is no call either.
    pub(crate) fn skew(&self, source: Source, endpoint: &str) -> u32 {
        let concerned = self.0.iter().filter(|one| one.concerns(source, endpoint));
        let skew = |one: &Standing| match one.fault.kind {
            FaultKind::Skew { percent } => Some(percent),
            _ => None,
        };
        concerned.filter_map(skew).next().unwrap_or(TRUE)
    }

    /// What becomes of a call at this steady time; faults that count their calls count this one.
    pub(crate) fn fate(&mut self, source: Source, endpoint: &str, now: Duration) -> Fate {
        let mut fate = Fate {
            delay: Duration::ZERO,
            behind: Duration::ZERO,
            percent: TRUE,
            fault: None,
        };
        self.0.retain_mut(|standing| {
            if !standing.concerns(source, endpoint) || !standing.strikes(&mut fate, now) {
                return true;
            }
            let times = &mut standing.fault.times;
            *times = times.map(|left| left - 1);
            *times != Some(0)
        });
        fate
    }
}

impl Standing {
    fn concerns(&self, source: Source, endpoint: &str) -> bool {
        self.source == source && self.fault.concerns(endpoint)
    }

    /// Whether the call meets this fault, which is its fate then.
    fn strikes(&mut self, fate: &mut Fate, now: Duration) -> bool {
        match &self.fault.kind {
            FaultKind::Latency { delay } => fate.delay = fate.delay.saturating_add(*delay),
            FaultKind::Behind { .. } if !fate.behind.is_zero() => return false,
            FaultKind::Behind { seconds } => fate.behind = Duration::from_secs((*seconds).into()),
            FaultKind::Skew { .. } if fate.percent != TRUE => return false,
            FaultKind::Skew { percent } => fate.percent = *percent,
            FaultKind::RateLimit { calls, seconds }
                if self.window.admits(
                    now,
                    *calls as usize,
                    Duration::from_secs((*seconds).into()),
                ) =>
            {
                return false;
            }
            _ if fate.fault.is_some() => return false,
            kind => fate.fault = Some(kind.clone()),
        }
        true
    }
}
