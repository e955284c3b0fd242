//! What can go wrong with a source on order.

mod kind;
mod poison;

use serde::{Deserialize, Serialize};

pub(crate) use kind::in_header;
pub use kind::{FaultKind, RetryAfter};
pub use poison::Poison;

use crate::error::SimError;
use crate::source::Source;

/// Something that goes wrong: what, where and how often.
///
/// Faults of a source form a queue. A call meets every latency that matches it, the first skew, and
/// the first other fault, so faults with `times` play one after the other. On an open stream every
/// message is such a call, of the endpoint `frames`.
///
/// ```
/// use market_sim::{Fault, FaultKind};
///
/// let fault = Fault::always(FaultKind::Hang);
/// assert_eq!(fault.endpoint, None);
/// assert_eq!(fault.times, None);
/// let once = Fault { endpoint: Some("/api/v3/klines".into()), times: Some(1), ..fault };
/// assert_eq!(once.kind, FaultKind::Hang);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// The documented path it is limited to, such as `/api/v3/klines` or
    /// `/api/v3/coins/{id}/ohlc`; `None`: every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How many calls meet it before it is over, at least 1; `None`: all until the next reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

impl Fault {
    /// The fault on every path of the source, until the next reset.
    pub fn always(kind: FaultKind) -> Self {
        Self {
            kind,
            endpoint: None,
            times: None,
        }
    }

    /// Whether the source can be made to do this; a simulator takes no other faults.
    ///
    /// Errors: the endpoint is none of the source's, `times` is 0, or the kind asks for what cannot
    /// be done, such as a status outside 200 to 599 or a text that no header can hold.
    ///
    /// ```
    /// use market_sim::{Fault, FaultKind, Source};
    ///
    /// let fault = Fault::always(FaultKind::Hang);
    /// assert!(fault.check(Source::Binance).is_ok());
    /// let never = Fault { times: Some(0), ..fault };
    /// assert!(never.check(Source::Binance).is_err());
    /// ```
    pub fn check(&self, source: Source) -> Result<(), SimError> {
        self.flaw(source).map_or(Ok(()), |reason| {
            Err(SimError::Fault {
                source_name: source.name(),
                reason,
            })
        })
    }

    fn flaw(&self, source: Source) -> Option<String> {
        let known = source.endpoints();
        if let Some(endpoint) = &self.endpoint
            && !known.contains(&endpoint.as_str())
        {
            return Some(format!("endpoint {endpoint:?} is none of {known:?}"));
        }
        if source == Source::BinanceWs && matches!(self.kind, FaultKind::Behind { .. }) {
            return Some("a stream cannot be behind".into());
        }
        if self.times == Some(0) {
            return Some("times is 0, so no call would meet it".into());
        }
        self.kind.flaw()
    }

    pub(crate) fn concerns(&self, endpoint: &str) -> bool {
        self.endpoint
            .as_deref()
            .is_none_or(|wanted| wanted == endpoint)
    }
}
