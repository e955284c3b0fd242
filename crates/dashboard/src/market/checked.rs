//! Checks on what sources send, before anything of it is kept.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::figure::Reason;

/// The largest number that any figure can honestly be: a market in the quintillions.
const LARGEST: f64 = 1e18;
/// Changes in percent; a coin may multiply, but cannot lose more than everything.
const CHANGE: RangeInclusive<f64> = -100.0..=1e6;
/// The longest label that is shown.
const LABEL_LIMIT_BYTES: usize = 64;

/// A decimal in a string, as Binance writes all of its numbers. A bare number is not what is
/// documented, and refused.
pub(crate) fn decimal(json: Option<&Json>) -> Result<f64, Reason> {
    let text = present(json)?.as_str().ok_or(Reason::NotDecodable)?;
    // The parser would take words for numbers ("inf", "NaN"); those fail the check for a digit.
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return Err(Reason::NotDecodable);
    }
    text.parse()
        .map_err(|_| Reason::NotDecodable)
        .and_then(finite)
}

/// A JSON number.
pub(crate) fn number(json: Option<&Json>) -> Result<f64, Reason> {
    present(json)?
        .as_f64()
        .ok_or(Reason::NotDecodable)
        .and_then(finite)
}

/// More than zero.
pub(crate) fn positive(number: f64) -> Result<f64, Reason> {
    if number > 0.0 && number <= LARGEST {
        Ok(number)
    } else {
        Err(Reason::OutOfRange)
    }
}

/// What was traded: zero is possible.
pub(crate) fn volume(number: f64) -> Result<f64, Reason> {
    if (0.0..=LARGEST).contains(&number) {
        Ok(number)
    } else {
        Err(Reason::OutOfRange)
    }
}

/// A change in percent.
pub(crate) fn change(number: f64) -> Result<f64, Reason> {
    if CHANGE.contains(&number) {
        Ok(number)
    } else {
        Err(Reason::OutOfRange)
    }
}

/// A share in percent of a coin that is traded: never nothing.
pub(crate) fn share(number: f64) -> Result<f64, Reason> {
    if number > 0.0 && number <= 100.0 {
        Ok(number)
    } else {
        Err(Reason::OutOfRange)
    }
}

/// A label that people read: short, one line.
pub(crate) fn label(json: Option<&Json>) -> Result<String, Reason> {
    let text = present(json)?.as_str().ok_or(Reason::NotDecodable)?.trim();
    let is_fine = (1..=LABEL_LIMIT_BYTES).contains(&text.len()) && !text.contains(char::is_control);
    if is_fine {
        Ok(text.to_owned())
    } else {
        Err(Reason::OutOfRange)
    }
}

/// A time after 1970, a whole number of so many milliseconds.
pub(crate) fn instant(json: Option<&Json>, unit_ms: i64) -> Result<Timestamp, Reason> {
    let count = present(json)?.as_i64().ok_or(Reason::NotDecodable)?;
    count
        .checked_mul(unit_ms)
        .ok_or(Reason::OutOfRange)
        .and_then(millis)
}

/// A time after 1970, as RFC 3339 writes it.
pub(crate) fn iso(json: Option<&Json>) -> Result<Timestamp, Reason> {
    let text = present(json)?.as_str().ok_or(Reason::NotDecodable)?;
    let time: Timestamp = text.parse().map_err(|_| Reason::NotDecodable)?;
    millis(time.as_millisecond())
}

/// A time after 1970.
pub(crate) fn millis(ms: i64) -> Result<Timestamp, Reason> {
    Timestamp::from_millisecond(ms)
        .ok()
        .filter(|_| ms > 0)
        .ok_or(Reason::OutOfRange)
}

/// A time after 1970, in seconds.
pub(crate) fn seconds(s: i64) -> Result<Timestamp, Reason> {
    s.checked_mul(1_000)
        .ok_or(Reason::OutOfRange)
        .and_then(millis)
}

fn present(json: Option<&Json>) -> Result<&Json, Reason> {
    json.filter(|json| !json.is_null())
        .ok_or(Reason::NotInAnswer)
}

fn finite(number: f64) -> Result<f64, Reason> {
    if number.is_finite() {
        Ok(number)
    } else {
        Err(Reason::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_finite_decimal_in_a_string_is_a_price() {
        assert_eq!(
            decimal(Some(&json!("67012.50000000"))).and_then(positive),
            Ok(67_012.5)
        );
        for (sent, reason) in [
            (json!("NaN"), Reason::NotDecodable),
            (json!("inf"), Reason::NotDecodable),
            (json!("1e999"), Reason::OutOfRange),
            (json!("-1.0"), Reason::OutOfRange),
            (json!("0"), Reason::OutOfRange),
            (json!("abc"), Reason::NotDecodable),
            (json!(67_012.5), Reason::NotDecodable),
            (json!(null), Reason::NotInAnswer),
        ] {
            assert_eq!(
                decimal(Some(&sent)).and_then(positive),
                Err(reason),
                "{sent}"
            );
        }
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!(share(0.0), Err(Reason::OutOfRange));
        assert_eq!(share(100.0), Ok(100.0));
    }

    #[test]
    fn a_label_is_short_and_one_line() {
        assert_eq!(
            label(Some(&json!(" Extreme Fear "))),
            Ok("Extreme Fear".to_owned())
        );
        for sent in [json!(""), json!("a\nb"), json!("x".repeat(65)), json!(7)] {
            assert!(label(Some(&sent)).is_err(), "{sent}");
        }
    }
}
