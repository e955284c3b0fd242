//! Moments as texts.

use jiff::Timestamp;

/// As RFC 3339 in UTC, to the millisecond.
pub(super) fn iso(moment_ms: i64) -> String {
    // Rounding down can lead below the first moment there is.
    let moment = Timestamp::from_millisecond(moment_ms).unwrap_or(Timestamp::MIN);
    format!("{moment:.3}")
}
