//! Numbers as people read them. `static/format.js` writes the same forms.

use std::time::Duration;

const NBSP: char = '\u{a0}';
const MINUS: char = '\u{2212}';
/// What stands where there is no figure.
pub(crate) const NOTHING: &str = "\u{2013}";

/// Without a sign: prices are in USDT as a rule, which is not the dollar. Below one, four
/// significant digits: two decimals would show 0.00.
pub(crate) fn price(value: f64) -> String {
    if value >= 10.0 || value <= 0.0 {
        return grouped(value, 2);
    }
    if value >= 1.0 {
        return grouped(value, 4);
    }
    // Finite and in (0, 1): the logarithm is negative and small.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let digits = (3.0 - value.log10().floor()).clamp(4.0, 12.0) as usize;
    format!("{value:.digits$}")
}

/// US dollars, in three or four digits and a unit: $3.33 T.
pub(crate) fn compact(value: f64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")];
    // A value that rounds up to the next unit is written in it: 1.00 T, not 1,000.0 B.
    let unit = UNITS
        .into_iter()
        .find(|(least, _)| value.abs() >= least * 0.9995);
    let (size, name) = unit.unwrap_or((1.0, ""));
    let scaled = value / size;
    let digits = if scaled.abs() >= 99.95 { 1 } else { 2 };
    if name.is_empty() {
        format!("${}", grouped(scaled, digits))
    } else {
        format!("${}{NBSP}{name}", grouped(scaled, digits))
    }
}

/// Always with its sign; the sign of a zero is dropped.
pub(crate) fn percent(value: f64) -> String {
    let text = grouped(value.abs(), 2);
    let sign = match (text.as_str(), value < 0.0) {
        ("0.00", _) => String::new(),
        (_, true) => MINUS.to_string(),
        (_, false) => "+".to_owned(),
    };
    format!("{sign}{text}{NBSP}%")
}

/// A part of a whole.
pub(crate) fn share(value: f64) -> String {
    format!("{}{NBSP}%", grouped(value, 1))
}

/// One decimal.
pub(crate) fn decimal(value: f64) -> String {
    grouped(value, 1)
}

/// `up`, `down` or `flat`, as the shown text has it.
pub(crate) fn direction(value: f64) -> &'static str {
    if value.abs() < 0.005 {
        "flat"
    } else if value < 0.0 {
        "down"
    } else {
        "up"
    }
}

/// An age in the largest unit that still says something: 4 s, 12 min, 16 h, 3 d.
pub(crate) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}{NBSP}s"),
        60..3_600 => format!("{}{NBSP}min", seconds / 60),
        3_600..172_800 => format!("{}{NBSP}h", seconds / 3_600),
        _ => format!("{}{NBSP}d", seconds / 86_400),
    }
}

/// What an RSI means in words: the usual borders 30 and 70.
pub(crate) fn rsi_word(value: f64) -> &'static str {
    if value >= 70.0 {
        "Overbought"
    } else if value <= 30.0 {
        "Oversold"
    } else {
        "Neutral"
    }
}

fn grouped(value: f64, digits: usize) -> String {
    let plain = format!("{:.digits$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = String::with_capacity(plain.len() + 8);
    if value < 0.0 {
        text.push('-');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if digits > 0 {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_price_keeps_four_significant_digits() {
        let table = [
            (64_231.123_4, "64,231.12"),
            (1_234_567.0, "1,234,567.00"),
            (142.5, "142.50"),
            (2.431_27, "2.4313"),
            (0.5213, "0.5213"),
            (0.052134, "0.05213"),
            (0.000_012_34, "0.00001234"),
        ];
        for (value, text) in table {
            assert_eq!(price(value), text);
        }
    }

    #[test]
    fn a_large_number_is_told_in_three_digits_and_a_unit() {
        let table = [
            (3.331e12, "$3.33\u{a0}T"),
            (208.62e9, "$208.6\u{a0}B"),
            (999.99e9, "$1.00\u{a0}T"),
            (45_600_000.0, "$45.60\u{a0}M"),
            (12.0, "$12.00"),
        ];
        for (value, text) in table {
            assert_eq!(compact(value), text);
        }
    }

    #[test]
    fn a_change_has_a_sign_unless_it_is_nothing() {
        assert_eq!(percent(1.234), "+1.23\u{a0}%");
        assert_eq!(percent(-1.236), "\u{2212}1.24\u{a0}%");
        assert_eq!(percent(-0.001), "0.00\u{a0}%");
        assert_eq!(direction(-0.001), "flat");
        assert_eq!(direction(-0.006), "down");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let table = [
            (4, "4 s"),
            (61, "1 min"),
            (57_600, "16 h"),
            (172_800, "2 d"),
        ];
        for (seconds, text) in table {
            assert_eq!(
                age(Duration::from_secs(seconds)),
                text.replace(' ', "\u{a0}")
            );
        }
    }
}
