//! The list of what can go wrong, and which of it can be done.

use std::time::Duration;

use axum::http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::Poison;

/// The longest latency that may be ordered: more is a hang, which there is too.
const MAX_LATENCY: Duration = Duration::from_secs(600);
/// A source a hundred times too dear is wrong enough, and its sums do not overflow.
const MAX_PERCENT: u32 = 10_000;
/// More calls than any source grants at once; each of them is remembered for as long as it counts.
const MAX_CALLS: u32 = 100_000;

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
    /// The source sees another market: all its prices, and what is reckoned from them, are this
    /// many hundredths of the others'. The rest of the call goes on as it would.
    Skew {
        /// 100 is right, 125 a quarter too dear; 1 to 10,000.
        percent: u32,
    },
    /// The source stands still: its answers are the right ones of so long ago. The rest of the call
    /// goes on as it would. Not for the stream, which tells what happens.
    Behind {
        /// How long ago; more than 0.
        seconds: u32,
    },
    /// A status with an error body in the source's shape; 200 is an error inside a good answer.
    Status {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
    },
    /// Calls beyond so many in a sliding window are refused, in the way of the source.
    RateLimit {
        /// How many are answered, 1 to 100,000.
        calls: u32,
        /// The length of the window.
        seconds: u32,
    },
    /// 202 with a word that the answer is not ready; with `times` it is ready after that.
    Pending,
    /// Any answer at all.
    Canned {
        /// The HTTP status, 200 to 599.
        status: u16,
        /// Sent as it is: as JSON if it is that, otherwise as an HTML page.
        body: String,
    },
    /// 302 to another address.
    Redirect {
        /// The `Location` header.
        to: String,
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
    /// The right answer with one wrong field, wherever it occurs.
    PoisonField {
        /// The field's name; in a tuple its place, such as `4` for the close of a kline.
        field: String,
        /// What its value becomes, figure or not.
        value: Poison,
    },
    /// Half the right answer under the length of the whole, then the end of the connection.
    Truncated,
    /// The right answer, a byte at a time.
    Drip {
        /// The pause before each byte.
        #[serde(rename = "ms", with = "milliseconds")]
        pause: Duration,
    },
    /// No answer, on an open connection.
    Hang,
    /// A connection reset (RST) instead of an answer.
    Reset,
    /// 200 with no body.
    Empty,
    /// 200 with the beginning of a JSON array that goes on for 8 MiB, in chunks.
    Oversized,
    /// 200 with half a megabyte of gzip that unpacks to 64 MiB of blanks.
    GzipBomb,
}

impl FaultKind {
    /// Why this cannot be done.
    pub(super) fn flaw(&self) -> Option<String> {
        match self {
            Self::Status { status, .. } | Self::Canned { status, .. }
                if !(200..=599).contains(status) =>
            {
                Some(format!("status {status} is not within 200 to 599"))
            }
            Self::Status {
                retry_after: Some(wait),
                ..
            } if wait.header().is_none() => Some(format!(
                "retry_after is {wait:?}, which cannot stand in a header"
            )),
            Self::Redirect { to } if in_header(to).is_none() => {
                Some(format!("to is {to:?}, which cannot stand in a header"))
            }
            Self::Latency { delay } | Self::Drip { pause: delay } if *delay > MAX_LATENCY => {
                Some(format!("ms is above {}", MAX_LATENCY.as_millis()))
            }
            Self::Skew { percent } if !(1..=MAX_PERCENT).contains(percent) => Some(format!(
                "percent {percent} is not within 1 to {MAX_PERCENT}"
            )),
            Self::RateLimit { calls, .. } if !(1..=MAX_CALLS).contains(calls) => {
                Some(format!("calls {calls} is not within 1 to {MAX_CALLS}"))
            }
            Self::Behind { seconds: 0 } => Some("seconds is 0, which is not behind".into()),
            Self::RateLimit { seconds: 0, .. } => Some("seconds is 0, which limits nothing".into()),
            _ => None,
        }
    }
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
            Self::Text(text) => in_header(text),
        }
    }
}

/// The text as a header, if one can hold it.
pub(crate) fn in_header(text: &str) -> Option<HeaderValue> {
    // What is trimmed on its way would not arrive as it was ordered.
    if text.is_empty() || text.trim() != text {
        return None;
    }
    let value = HeaderValue::from_str(text).ok()?;
    value.to_str().is_ok().then_some(value)
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
