//! Which pages may listen to live updates here.

use axum::http::{HeaderMap, header};

/// Whether the request's `Origin` may pass. A missing one may: no browser sent it, and
/// only browsers carry somebody else's rights. `null` and foreign ones may not.
pub(crate) fn is_allowed(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    let (Ok(origin), None) = (origin.to_str(), origins.next()) else {
        return false;
    };
    is_same(origin, headers) || allowed.iter().any(|one| one.eq_ignore_ascii_case(origin))
}

/// The scheme is not compared: behind a proxy that ends TLS we do not know it, and
/// host with port already tell one site from another.
fn is_same(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    match (host, authority) {
        (Some(host), Some(authority)) => host.eq_ignore_ascii_case(authority),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_our_own_and_the_listed_origins_pass() {
        let allowed = ["https://board.example".to_owned()];
        let table = [
            (None, true),
            (Some("http://127.0.0.1:8080"), true),
            (Some("https://127.0.0.1:8080"), true),
            (Some("https://board.example"), true),
            (Some("https://BOARD.example"), true),
            (Some("http://board.example"), false),
            (Some("https://board.example:444"), false),
            (Some("https://board.example.evil.test"), false),
            (Some("http://127.0.0.1:9999"), false),
            (Some("http://127.0.0.1"), false),
            (Some("file://127.0.0.1:8080"), false),
            (Some("null"), false),
            (Some(""), false),
        ];
        for (origin, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_allowed(&headers, &allowed), expected, "{origin:?}");
        }
    }

    #[test]
    fn two_origins_are_one_too_many() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("a"));
        headers.append(header::ORIGIN, HeaderValue::from_static("http://a"));
        headers.append(header::ORIGIN, HeaderValue::from_static("http://b"));
        assert!(!is_allowed(&headers, &[]));
    }
}
