//! What goes wrong when a source is read. Types decide what follows, never the text.

use std::time::Duration;

use super::{figure::Reason, technical::NoTechnical, transport::Unreached};

/// Why a read of a source gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error("no answer in time")]
    TimedOut,
    /// Invariant: the error names no address, which may carry a secret.
    #[error("the connection failed")]
    NotReachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("answered with status {status}")]
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    #[error("answered with a redirect, status {status}, which is not followed")]
    Redirected { status: u16 },
    #[error("the body is larger than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    #[error("the body is not what is documented")]
    NotDecodable(#[source] serde_json::Error),
    #[error("the body does not hold what it should: {}", .0.code())]
    Rejected(Reason),
    #[error("a read that was shared failed: {}", .reason.code())]
    Shared { reason: Reason, verdict: Verdict },
    #[error("not asked: it does not offer that")]
    NotOffered,
    #[error("not asked: others used up the time")]
    NoTimeLeft,
    #[error("it is still being computed there")]
    Pending,
    #[error("not asked: its allowance is used up for another {wait:?}")]
    OverBudget { wait: Duration },
    #[error("not asked: the breaker is open")]
    BreakerOpen,
    #[error("not asked: the source wants to be left alone for another {wait:?}")]
    CoolingDown { wait: Duration },
    #[error("the cache could not say")]
    Cache(#[source] terrace::Error),
}

/// What an error says about the source as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The source did not work: counts towards its breaker.
    Broken,
    /// The source works, but leave it alone for so long; none: it did not say how long.
    LeaveAlone(Option<Duration>),
    /// The source does not serve us at all, and will not soon.
    ShutOut(Duration),
    /// Only this question failed.
    Unrelated,
    /// Nobody was asked.
    Unasked,
}

/// A firewall's 403 may mean rate; a shut door stays shut for longer.
const FORBIDDEN_PAUSE: Duration = Duration::from_secs(5 * 60);
const SHUT_OUT_PAUSE: Duration = Duration::from_secs(60 * 60);
/// What is still being computed is asked for again after this.
const PENDING_PAUSE: Duration = Duration::from_millis(1_500);

impl UpstreamError {
    /// The code that readers see.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::TimedOut | Self::NoTimeLeft => Reason::TimedOut,
            Self::NotReachable(_) => Reason::NotReachable,
            Self::Status {
                status: 418 | 429, ..
            } => Reason::RateLimited,
            Self::Status { status: 500.., .. } => Reason::ServerFailed,
            Self::Status { .. } => Reason::Refused,
            Self::Redirected { .. } => Reason::Redirected,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::NotDecodable(_) => Reason::NotDecodable,
            Self::Rejected(reason) | Self::Shared { reason, .. } => *reason,
            Self::NotOffered => Reason::NotInAnswer,
            Self::Pending => Reason::NotReady,
            Self::OverBudget { .. } => Reason::OverBudget,
            Self::BreakerOpen => Reason::BreakerOpen,
            Self::CoolingDown { .. } => Reason::CoolingDown,
            Self::Cache(_) => Reason::Failed,
        }
    }

    /// Whether the same question may get an answer a moment later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::TimedOut | Self::NotReachable(_) | Self::Pending => true,
            Self::Status {
                status,
                retry_after,
            } => match status {
                408 | 500..=599 => true,
                // Without a word on how long, the host is left alone for a while (health.rs).
                429 => retry_after.is_some(),
                _ => false,
            },
            _ => false,
        }
    }

    /// How long the source itself asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Pending => Some(PENDING_PAUSE),
            _ => None,
        }
    }

    /// The first error stays; but what a source answered says more than that another was not asked.
    pub(crate) fn or_if_asked(self, second: Self) -> Self {
        let is_unasked = |error: &Self| error.verdict() == Verdict::Unasked;
        if is_unasked(&self) && !is_unasked(&second) {
            second
        } else {
            self
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Status {
                status: 418 | 429,
                retry_after,
            } => Verdict::LeaveAlone(*retry_after),
            Self::Status {
                status: 503,
                retry_after: Some(wait),
            } => Verdict::LeaveAlone(Some(*wait)),
            Self::Status { status: 403, .. } => Verdict::ShutOut(FORBIDDEN_PAUSE),
            Self::Status {
                status: 401 | 402 | 451,
                ..
            } => Verdict::ShutOut(SHUT_OUT_PAUSE),
            Self::TimedOut
            | Self::NotReachable(_)
            | Self::Status { status: 500.., .. }
            | Self::Redirected { .. }
            | Self::TooLarge { .. }
            | Self::NotDecodable(_) => Verdict::Broken,
            Self::Shared { verdict, .. } => *verdict,
            Self::Status { .. } | Self::Rejected(_) | Self::Pending => Verdict::Unrelated,
            Self::NotOffered
            | Self::NoTimeLeft
            | Self::OverBudget { .. }
            | Self::BreakerOpen
            | Self::CoolingDown { .. }
            | Self::Cache(_) => Verdict::Unasked,
        }
    }
}

impl From<Reason> for UpstreamError {
    fn from(reason: Reason) -> Self {
        Self::Rejected(reason)
    }
}

impl From<Unreached> for UpstreamError {
    fn from(unreached: Unreached) -> Self {
        match unreached {
            Unreached::TimedOut => Self::TimedOut,
            Unreached::Failed(cause) => Self::NotReachable(cause),
            Unreached::TooLarge => Self::TooLarge {
                limit_bytes: super::transport::BODY_LIMIT_BYTES,
            },
        }
    }
}

/// Nothing can be had now: every source failed, and what is cached is too old or was never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no source has it: {}", .0.code())]
pub struct Unavailable(pub Reason);

/// Why there is no indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TechnicalError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    NoTechnical(#[from] NoTechnical),
}

/// The service could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No HTTP client, for want of certificates for instance.
    #[error("preparing the HTTP client for the market sources")]
    Client(#[source] reqwest::Error),
}
