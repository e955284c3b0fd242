//! The streams, and the events that each has at a moment.

use serde_json::{Value, json};

use crate::api::binance::day::Day;
use crate::coin::Coin;
use crate::market::{Interval, Range};
use crate::noise::mix;
use crate::scene::{Candle, Scene};

/// Bars that have closed since the last event and are still told of after a long step.
const MAX_CLOSED_BARS: usize = 1_000;
/// A bar's events are this far apart, those of the shortest a second.
const KLINE_EVERY_MS: i64 = 2_000;
/// Trades further back are not told of after a step.
const TRADES_MS: i64 = 1_000;
/// There is one trade in each tick.
const TICK_MS: i64 = 250;

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Channel {
    /// `<symbol>@miniTicker`.
    Mini(Coin),
    /// `!miniTicker@arr`.
    AllMini,
    /// `<symbol>@ticker`.
    Day(Coin),
    /// `<symbol>@kline_<interval>`, with the interval's name.
    Klines(Coin, Interval, String),
    /// `<symbol>@aggTrade`.
    Trades(Coin),
}

impl Channel {
    /// The stream of this name; symbols are lower case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if name == "!miniTicker@arr" {
            return Some(Self::AllMini);
        }
        let (symbol, kind) = name.split_once('@')?;
        if symbol.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let coin = Coin::from_symbol(&symbol.to_ascii_uppercase())?;
        match kind {
            "miniTicker" => Some(Self::Mini(coin)),
            "ticker" => Some(Self::Day(coin)),
            "aggTrade" => Some(Self::Trades(coin)),
            _ => {
                let interval = kind.strip_prefix("kline_")?;
                let parsed = Interval::parse(interval)?;
                Some(Self::Klines(coin, parsed, interval.to_owned()))
            }
        }
    }

    /// What is to be sent now if something was last sent at `since_ms`.
    pub(super) fn events(&self, scene: &Scene<'_>, since_ms: i64) -> Vec<Value> {
        match self {
            Self::Mini(coin) => vec![Day::of(scene, *coin).mini_event()],
            Self::AllMini => changed(scene, since_ms).into_iter().collect(),
            Self::Day(coin) => vec![Day::of(scene, *coin).full_event()],
            Self::Klines(coin, interval, name) => {
                klines(scene, since_ms, &Klines(*coin, *interval, name))
            }
            Self::Trades(coin) => trades(scene, since_ms, *coin),
        }
    }
}

/// The mini tickers that are not what they were; none: no event.
fn changed(scene: &Scene<'_>, since_ms: i64) -> Option<Value> {
    let before = scene.at(since_ms);
    let events: Vec<Value> = Coin::ALL
        .into_iter()
        .filter(|coin| scene.day(*coin) != before.day(*coin))
        .map(|coin| Day::of(scene, coin).mini_event())
        .collect();
    (!events.is_empty()).then_some(Value::Array(events))
}

struct Klines<'a>(Coin, Interval, &'a str);

/// The bars that have closed since, each once, and the open one whenever it is due.
fn klines(scene: &Scene<'_>, since_ms: i64, wanted: &Klines<'_>) -> Vec<Value> {
    let Klines(coin, interval, name) = *wanted;
    let now_ms = scene.now_ms();
    let first = interval.open_of(since_ms.min(now_ms));
    let opens = Range::newest(interval, MAX_CLOSED_BARS + 1).opens(scene.life(coin), now_ms);
    let candles: Vec<Candle> = opens
        .into_iter()
        .filter(|open_ms| *open_ms >= first)
        .map(|open_ms| scene.candle(coin, interval, open_ms))
        .collect();
    let has_closed = candles.len() > 1;
    let is_due = |every_ms: i64| since_ms.div_euclid(every_ms) != now_ms.div_euclid(every_ms);
    if !(has_closed || name == "1s" || is_due(KLINE_EVERY_MS)) {
        return Vec::new();
    }
    let event = |candle: &Candle| kline_event(scene, (coin, name), candle);
    candles.iter().map(event).collect()
}

fn kline_event(scene: &Scene<'_>, (coin, interval): (Coin, &str), candle: &Candle) -> Value {
    let is_closed = candle.close_ms < scene.now_ms();
    let said_ms = scene.now_ms().min(candle.close_ms + 1);
    let bar = candle.bar;
    let last_id = scene.at(said_ms.min(candle.close_ms)).last_trade(coin);
    json!({
        "e": "kline",
        "E": said_ms,
        "s": coin.symbol(),
        "k": {
            "t": candle.open_ms,
            "T": candle.close_ms,
            "s": coin.symbol(),
            "i": interval,
            "f": last_id + 1 - bar.trades as i64,
            "L": last_id,
            "o": bar.open.to_string(),
            "c": bar.close.to_string(),
            "h": bar.high.to_string(),
            "l": bar.low.to_string(),
            "v": bar.volume.to_string(),
            "n": bar.trades as i64,
            "x": is_closed,
            "q": bar.turnover.to_string(),
            "V": bar.taker_volume.to_string(),
            "Q": bar.taker_turnover.to_string(),
            "B": "0",
        },
    })
}

/// One for each tick of the last second at most.
fn trades(scene: &Scene<'_>, since_ms: i64, coin: Coin) -> Vec<Value> {
    let now_ms = scene.now_ms();
    let life = scene.life(coin);
    let from_ms = since_ms.clamp(now_ms - TRADES_MS, now_ms);
    let ticks = from_ms.div_euclid(TICK_MS) + 1..=now_ms.div_euclid(TICK_MS);
    let moments = ticks.map(|tick| tick * TICK_MS);
    let traded = moments.filter(|at_ms| (life.from_ms..life.until_ms).contains(at_ms));
    let event = |at_ms: i64| {
        let tick = scene.span(coin, at_ms, at_ms);
        let last_id = scene.at(at_ms).last_trade(coin);
        json!({
            "e": "aggTrade",
            "E": at_ms,
            "s": coin.symbol(),
            "a": at_ms / TICK_MS,
            "p": tick.close.to_string(),
            "q": tick.volume.to_string(),
            "f": last_id + 1 - tick.trades as i64,
            "l": last_id,
            "T": at_ms,
            "m": mix(scene.seed(), at_ms as u64) & 1 == 0,
            "M": true,
        })
    };
    traded.map(event).collect()
}
