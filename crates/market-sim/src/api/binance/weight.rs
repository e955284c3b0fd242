//! Binance's request weight: counted per minute, refused above the limit, banned beyond that.

use std::time::Duration;

use crate::api::call::Call;

/// Weight that one address may use in a minute.
pub(super) const LIMIT: u32 = 6_000;
const MINUTE: Duration = Duration::from_secs(60);
/// A client that was told to wait and goes on this often is banned. Binance does not say how much
/// patience it has; a well-behaved client needs none.
const PATIENCE: u32 = 10;
/// The shortest ban that Binance documents.
const BAN: Duration = Duration::from_secs(120);

/// The weight used in the current minute, which begins with its first call; in steady time.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    minute: Option<Minute>,
    banned_until: Option<Duration>,
}

#[derive(Debug)]
struct Minute {
    began: Duration,
    used: u32,
    refusals: u32,
}

/// Why a call was refused, and when it may be repeated.
#[derive(Debug, Clone, Copy)]
pub(super) enum Excess {
    TooMuch(Duration),
    Banned(Duration),
}

/// What a call costs, whether or not it is answered.
pub(super) fn of(call: &Call) -> u32 {
    let has = |name: &str| call.param(name).is_some();
    match call.endpoint {
        "/api/v3/exchangeInfo" => 20,
        "/api/v3/klines" | "/api/v3/avgPrice" => 2,
        "/api/v3/ticker/price" if has("symbol") => 2,
        "/api/v3/ticker/price" => 4,
        // There are fewer than 21 symbols, so any list costs what one symbol does.
        "/api/v3/ticker/24hr" if has("symbol") || has("symbols") => 2,
        "/api/v3/ticker/24hr" => 80,
        _ => 1,
    }
}

impl Meter {
    /// Counts a call; the weight used so far, and whether that is too much.
    pub(super) fn charge(&mut self, weight: u32, now: Duration) -> (u32, Result<(), Excess>) {
        if let Some(until) = self.banned_until.filter(|until| *until > now) {
            return (LIMIT, Err(Excess::Banned(until - now)));
        }
        if self
            .minute
            .as_ref()
            .is_none_or(|minute| now >= minute.began + MINUTE)
        {
            self.minute = None;
        }
        let minute = self.minute.get_or_insert(Minute {
            began: now,
            used: 0,
            refusals: 0,
        });
        minute.used = minute.used.saturating_add(weight);
        if minute.used <= LIMIT {
            return (minute.used, Ok(()));
        }
        minute.refusals += 1;
        if minute.refusals > PATIENCE {
            self.banned_until = Some(now + BAN);
            return (minute.used, Err(Excess::Banned(BAN)));
        }
        (
            minute.used,
            Err(Excess::TooMuch(minute.began + MINUTE - now)),
        )
    }
}
