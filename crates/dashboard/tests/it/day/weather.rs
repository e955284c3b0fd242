//! What goes wrong when, drawn from a seed.

use std::time::Duration;

use market_sim::{FaultKind, Poison, RetryAfter, Source};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// One source that fails in one way for a while.
#[derive(Clone, Debug)]
pub(crate) struct Spell {
    source: Source,
    kind: FaultKind,
    from: Duration,
    until: Duration,
}

/// Who has prices for the round.
const OF_PRICES: [Source; 3] = [Source::Binance, Source::Coinbase, Source::Kraken];
/// Failures of one source in a day, failures of all exchanges together, and lies about all prices.
const SPELLS: usize = 20;
const STORMS: usize = 6;
const LIES: usize = 3;
/// After the worst refusal a source is left alone for an hour, and its answer is due a minute later.
const RECOVERY: Duration = Duration::from_secs(65 * 60);

/// A day's worth of trouble, in order of time.
pub(crate) fn drawn(random: &mut StdRng) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Source::ALL
        .into_iter()
        .filter(|source| *source != Source::BinanceWs)
        .flat_map(|source| [source; SPELLS])
        .map(|source| {
            let (from, until) = span(random, 5..=1_200);
            let kind = failure(random);
            Spell {
                source,
                kind,
                from,
                until,
            }
        })
        .collect();
    for _ in 0..STORMS {
        // Whoever is left has to stand in.
        let (from, until) = span(random, 300..=1_200);
        spells.extend(OF_PRICES.map(|source| Spell {
            source,
            kind: FaultKind::Reset,
            from,
            until,
        }));
    }
    for _ in 0..LIES {
        tell_lies(&mut spells, random);
    }
    spells
}

/// What fails at this moment.
pub(crate) fn at(spells: &[Spell], now: Duration) -> Vec<(Source, FaultKind)> {
    let rages = |spell: &&Spell| spell.from <= now && now < spell.until;
    let raging = spells.iter().filter(rages);
    raging
        .map(|spell| (spell.source, spell.kind.clone()))
        .collect()
}

/// The moments at which something begins or ends.
pub(crate) fn turns(spells: &[Spell]) -> Vec<Duration> {
    let mut turns: Vec<_> = spells
        .iter()
        .flat_map(|spell| [spell.from, spell.until])
        .collect();
    turns.sort_unstable();
    turns.dedup();
    turns
}

/// One source is wrong about every price, by more than a fifth, for ten minutes at most: after the
/// hard time of prices nobody knows any more who of two is right. The others are well, or there
/// would be nobody to contradict it.
fn tell_lies(spells: &mut Vec<Spell>, random: &mut StdRng) {
    let (from, until) = span(random, 60..=600);
    let liar = *OF_PRICES.choose(random).expect("there are three");
    let percent = *[40, 75, 130, 200, 5_000]
        .choose(random)
        .expect("there are five");
    spells.retain(|spell| {
        let is_witness = OF_PRICES.contains(&spell.source);
        !(is_witness && spell.from < until + RECOVERY && from < spell.until + RECOVERY)
    });
    let mut add = |source, kind| {
        spells.push(Spell {
            source,
            kind,
            from,
            until,
        });
    };
    add(liar, FaultKind::Skew { percent });
    if liar == Source::Coinbase {
        // It is asked for prices only when Binance fails.
        let status = FaultKind::Status {
            status: 500,
            retry_after: None,
        };
        add(Source::Binance, status);
    }
}

fn span(random: &mut StdRng, seconds: std::ops::RangeInclusive<u64>) -> (Duration, Duration) {
    let from = Duration::from_millis(random.random_range(0..86_400_000));
    (
        from,
        from + Duration::from_secs(random.random_range(seconds)),
    )
}

fn failure(random: &mut StdRng) -> FaultKind {
    let status = |status, retry_after| FaultKind::Status {
        status,
        retry_after,
    };
    let poison = |value| FaultKind::Poison { value };
    let wait = Some(RetryAfter::Seconds(random.random_range(1..=300)));
    let late = Duration::from_millis(random.random_range(50..=12_000));
    let kinds = [
        status(429, wait.clone()),
        status(429, None),
        status(418, wait.clone()),
        status(503, wait),
        status(500, None),
        status(502, None),
        status(401, None),
        status(403, None),
        status(404, None),
        status(451, None),
        FaultKind::RateLimit {
            calls: 3,
            seconds: 60,
        },
        FaultKind::Pending,
        FaultKind::Html,
        FaultKind::Garbage,
        FaultKind::Empty,
        FaultKind::Oversized,
        FaultKind::Truncated,
        FaultKind::Reset,
        FaultKind::Redirect {
            to: "http://127.0.0.1:1/".into(),
        },
        FaultKind::Hang,
        FaultKind::Hang,
        FaultKind::Latency { delay: late },
        FaultKind::Latency { delay: late },
        poison(Poison::Negative),
        poison(Poison::Zero),
        poison(Poison::Nan),
        poison(Poison::Text),
        poison(Poison::Empty),
        poison(Poison::Huge),
        poison(Poison::Null),
        poison(Poison::WrongType),
        poison(Poison::Listed),
        FaultKind::Behind {
            seconds: 2 * 86_400,
        },
    ];
    kinds.choose(random).expect("there are some").clone()
}
