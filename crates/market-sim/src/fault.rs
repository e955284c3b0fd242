//! What can go wrong with a source on order.

use std::time::Duration;

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::error::SimError;

/// The longest latency that may be ordered: more is a hang, which there is too.
const MAX_LATENCY: Duration = Duration::from_secs(600);

/// One of the simulated APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Binance spot, under `/binance`.
    Binance,
    /// CoinGecko, under `/coingecko`.
    CoinGecko,
    /// alternative.me, Fear & Greed, under `/fng`.
    Fng,
}

impl Source {
    pub(crate) const ALL: [Self; 3] = [Self::Binance, Self::CoinGecko, Self::Fng];

    /// The name in paths, counters and control bodies.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::CoinGecko => "coingecko",
            Self::Fng => "fng",
        }
    }

    /// The documented paths that are served.
    pub(crate) fn endpoints(self) -> &'static [&'static str] {
        match self {
            Self::Binance => &[
                "/api/v3/ping",
                "/api/v3/time",
                "/api/v3/exchangeInfo",
                "/api/v3/ticker/price",
                "/api/v3/ticker/24hr",
                "/api/v3/klines",
            ],
            Self::CoinGecko => &["/api/v3/ping", "/api/v3/global"],
            Self::Fng => &["/fng/"],
        }
    }
}

/// Something that goes wrong: what, where and how often.
///
/// Faults of a source form a queue. A call meets every latency that matches it and the first other
/// fault that does, so faults with `times` play one after the other.
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
    /// The documented path it is limited to, such as `/api/v3/klines`; `None`: every path.
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
    /// Errors: the endpoint is none of the source's, `times` is 0, a status is not within 200 to
    /// 599, a latency is above ten minutes, or a `retry_after` cannot stand in a header.
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
        if self.times == Some(0) {
            return Some("times is 0, so no call would meet it".into());
        }
        match &self.kind {
            FaultKind::Status { status, .. } if !(200..=599).contains(status) => {
                Some(format!("status {status} is not within 200 to 599"))
            }
            FaultKind::Status {
                retry_after: Some(wait),
                ..
            } if wait.header().is_none() => Some(format!(
                "retry_after is {wait:?}, which cannot stand in a header"
            )),
            FaultKind::Latency { delay } if *delay > MAX_LATENCY => {
                Some(format!("ms is above {}", MAX_LATENCY.as_millis()))
            }
            _ => None,
        }
    }

    pub(crate) fn concerns(&self, endpoint: &str) -> bool {
        self.endpoint
            .as_deref()
            .is_none_or(|wanted| wanted == endpoint)
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The answer comes late; the rest of the call goes on as it would.
    Latency {
        /// How late.
        #[serde(rename = "ms", with = "milliseconds")]
        delay: Duration,
    },
    /// A status with an error body in the source's shape.
    Status {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
    },
    /// 200 with an HTML page.
    Html,
    /// 200 with a body that is called JSON and is none.
    Garbage,
    /// The right answer with wrong values in it.
    Poison {
        /// What the values become.
        value: Poison,
    },
    /// Half the right answer under the length of the whole, then the end of the connection.
    Truncated,
    /// No answer, on an open connection.
    Hang,
    /// A connection reset (RST) instead of an answer.
    Reset,
    /// 200 with no body.
    Empty,
    /// 200 with the beginning of a JSON array that goes on for 8 MiB, in chunks.
    Oversized,
}

/// The text of a `Retry-After` header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "retry_after is neither whole seconds nor a text"
)]
pub enum RetryAfter {
    /// Seconds from now.
    Seconds(u64),
    /// Anything else, such as an HTTP date, as it is to be sent: visible ASCII, not empty.
    Text(String),
}

impl RetryAfter {
    /// As it is sent; `None` if no header can say it.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match self {
            Self::Seconds(seconds) => Some(HeaderValue::from(*seconds)),
            // What is trimmed on its way would not arrive as it was ordered.
            Self::Text(text) if text.is_empty() || text.trim() != text => None,
            Self::Text(text) => HeaderValue::from_str(text)
                .ok()
                .filter(|value| value.to_str().is_ok()),
        }
    }
}

/// What the figures of an answer become; names, labels and times stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Poison {
    /// The figure below zero.
    Negative,
    /// Zero.
    Zero,
    /// The text `NaN`.
    Nan,
    /// The text `abc`.
    Text,
    /// The text `1e999`, infinite to whoever parses it.
    Huge,
    /// JSON null.
    Null,
    /// A number where text belongs and text where a number belongs.
    WrongType,
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(delay: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        u64::deserialize(input).map(Duration::from_millis)
    }
}
