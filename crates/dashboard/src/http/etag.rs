//! `If-None-Match` (RFC 9110, 13.1.2).

use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, HeaderValue};

/// Whether the client that sent `headers` has the version that `current` names, on whichever
/// line of the header it says so. Weak comparison: a `W/` on either side does not matter.
pub(crate) fn is_known(headers: &HeaderMap, current: &str) -> bool {
    let mut lines = headers.get_all(IF_NONE_MATCH).iter();
    lines.any(|line| matches(line, current))
}

fn matches(sent: &HeaderValue, current: &str) -> bool {
    let Ok(sent) = sent.to_str() else {
        return false;
    };
    let current = opaque(current);
    sent.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || opaque(tag) == current)
}

fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let table = [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ];
        for (sent, expected) in table {
            let sent = HeaderValue::from_static(sent);
            assert_eq!(matches(&sent, "W/\"a\""), expected, "{sent:?}");
        }
    }
}
