//! Every way in which a source can fail, and the reason that readers are given for it.

use std::time::Duration;

use dashboard::market::figure::{Group, Reason, Source as Of};
use market_sim::{FaultKind, Poison, RetryAfter};

/// A way to fail, and why it is no answer.
pub(crate) type Failure = (FaultKind, Reason);

/// Hundredths of the right prices, as who sees another market tells them.
pub(crate) const SKEWS: [u32; 2] = [50, 150];

/// The whole menu of the simulator, but for what takes too long ([`slow`]) and for one wrong field,
/// which is a part of an answer (`field.rs`).
pub(crate) fn menu() -> Vec<Failure> {
    let canned = |status, body: &str| FaultKind::Canned {
        status,
        body: body.to_owned(),
    };
    let mut menu = vec![
        (FaultKind::Pending, Reason::NotReady),
        (canned(200, "null"), Reason::NotDecodable),
        (
            canned(502, "<html>bad gateway</html>"),
            Reason::ServerFailed,
        ),
        (FaultKind::Html, Reason::NotDecodable),
        (FaultKind::Garbage, Reason::NotDecodable),
        (FaultKind::Empty, Reason::NotDecodable),
        // Nobody asked for gzip, so nobody unpacks it.
        (FaultKind::GzipBomb, Reason::NotDecodable),
        (FaultKind::Oversized, Reason::TooLarge),
        (FaultKind::Truncated, Reason::NotReachable),
        (FaultKind::Reset, Reason::NotReachable),
    ];
    menu.push((
        FaultKind::Redirect {
            to: "http://127.0.0.1:1/".into(),
        },
        Reason::Redirected,
    ));
    menu.push((
        FaultKind::RateLimit {
            calls: 1,
            seconds: 3_600,
        },
        Reason::RateLimited,
    ));
    let skews = SKEWS.map(|percent| (FaultKind::Skew { percent }, Reason::SourcesDisagree));
    menu.extend(skews);
    menu.extend(refusals());
    menu.extend(poisons());
    menu
}

/// Those that use up the time.
pub(crate) fn slow() -> Vec<Failure> {
    let kinds = [
        FaultKind::Hang,
        FaultKind::Latency {
            delay: Duration::from_secs(600),
        },
        FaultKind::Drip {
            pause: Duration::from_secs(1),
        },
    ];
    kinds.map(|kind| (kind, Reason::TimedOut)).into()
}

fn refusals() -> Vec<Failure> {
    let a_date = || RetryAfter::Text("Thu, 31 Dec 2099 23:59:59 GMT".to_owned());
    [
        (200, None, Reason::Refused),
        (400, None, Reason::Refused),
        (401, None, Reason::Refused),
        (402, None, Reason::Refused),
        (403, None, Reason::Refused),
        (404, None, Reason::Refused),
        (408, None, Reason::Refused),
        (451, None, Reason::Refused),
        (418, Some(RetryAfter::Seconds(120)), Reason::RateLimited),
        (429, Some(RetryAfter::Seconds(30)), Reason::RateLimited),
        (429, Some(a_date()), Reason::RateLimited),
        (429, None, Reason::RateLimited),
        (500, None, Reason::ServerFailed),
        (503, None, Reason::ServerFailed),
        (503, Some(RetryAfter::Seconds(60)), Reason::ServerFailed),
    ]
    .map(|(status, retry_after, reason)| {
        let kind = FaultKind::Status {
            status,
            retry_after,
        };
        (kind, reason)
    })
    .into()
}

fn poisons() -> Vec<Failure> {
    [
        (Poison::Null, Reason::NotInAnswer),
        (Poison::Negative, Reason::OutOfRange),
        (Poison::Zero, Reason::OutOfRange),
        (Poison::Huge, Reason::OutOfRange),
        (Poison::Nan, Reason::NotDecodable),
        (Poison::Text, Reason::NotDecodable),
        (Poison::Empty, Reason::NotDecodable),
        (Poison::WrongType, Reason::NotDecodable),
        (Poison::Listed, Reason::NotDecodable),
    ]
    .map(|(value, reason)| (FaultKind::Poison { value }, reason))
    .into()
}

/// What a source's failure is called where the figures of a group were asked for; none where what it
/// says then can be true.
pub(crate) fn reason(of: Of, group: Group, (kind, usual): &Failure) -> Option<Reason> {
    let poison = match kind {
        FaultKind::Poison { value } => Some(*value),
        _ => None,
    };
    match (poison, of) {
        // That is the RSI of a market that only fell; and its newer generation writes lists.
        (Some(Poison::Zero | Poison::Listed), Of::Taapi) => None,
        // The text of a number that no number can hold; a text at all where numbers are written.
        (Some(Poison::Huge), _) if !writes_texts(of, group) => Some(Reason::NotDecodable),
        // Who sees another market answers.
        _ if matches!(kind, FaultKind::Skew { .. }) => None,
        _ if matches!(kind, FaultKind::Status { status: 200, .. }) => {
            Some(error_in_a_good_answer(of, group))
        }
        _ => Some(*usual),
    }
}

/// Each says no in its own way where the status says yes.
fn error_in_a_good_answer(of: Of, group: Group) -> Reason {
    match (of, group) {
        (Of::AlternativeMe, _) => Reason::Refused,
        (Of::Kraken | Of::CoinMarketCap, _) => Reason::ServerFailed,
        (Of::Binance, Group::Candles)
        | (Of::Coinbase | Of::CoinGecko, Group::Prices)
        | (Of::Taapi | Of::Finnhub, _) => Reason::NotInAnswer,
        _ => Reason::NotDecodable,
    }
}

/// Whether the figures are decimals in texts.
fn writes_texts(of: Of, group: Group) -> bool {
    match of {
        Of::Binance | Of::AlternativeMe | Of::Kraken => true,
        Of::Coinbase => group == Group::Prices,
        _ => false,
    }
}

/// Whether the source is left alone for a while, because it asked for that or shut its door.
pub(crate) fn is_left_alone(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::RateLimit { .. } => true,
        FaultKind::Status {
            status,
            retry_after,
        } => match status {
            401 | 402 | 403 | 418 | 429 | 451 => true,
            503 => retry_after.is_some(),
            _ => false,
        },
        _ => false,
    }
}
