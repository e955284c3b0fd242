//! One calculation: an indicator over the candles of a coin.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::coin::Coin;
use crate::indicator;
use crate::market::{Bar, Interval, Range};
use crate::scene::Scene;

/// The parameters of a calculation, as text.
pub(super) type Parameters = HashMap<String, String>;

/// How many candles a calculation knows: enough for its beginning not to show.
const BARS: usize = 500;
const MAX_PERIOD: usize = 400;
const MAX_BACK: usize = 50;
const MAX_RESULTS: usize = 20;
const INTERVALS: [&str; 10] = [
    "1m", "5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d", "1w",
];

/// The candles that a calculation is about.
#[derive(Debug)]
pub(super) struct Series {
    coin: Coin,
    interval: Interval,
}

impl Series {
    /// The candles that these three name, or a sentence.
    pub(super) fn read(
        exchange: Option<&str>,
        symbol: Option<&str>,
        interval: Option<&str>,
    ) -> Result<Self, String> {
        if exchange != Some("binance") {
            return Err("the exchange is not binance".into());
        }
        let coin = symbol
            .and_then(|symbol| symbol.split_once('/'))
            .and_then(|(base, quote)| Coin::from_symbol(&format!("{base}{quote}")))
            .ok_or("the symbol is not one there is, such as BTC/USDT")?;
        let interval = interval
            .filter(|interval| INTERVALS.contains(interval))
            .and_then(Interval::parse)
            .ok_or_else(|| format!("the interval is none of {}", INTERVALS.join(", ")))?;
        Ok(Self { coin, interval })
    }
}

/// What an indicator says of the last bar, or a list with one entry for each of several bars.
pub(super) fn result(
    scene: &Scene<'_>,
    series: &Series,
    indicator: &str,
    parameters: &Parameters,
) -> Result<Value, String> {
    let back = number(parameters, "backtrack", (0, 0, MAX_BACK))?;
    let several = ["backtracks", "results"]
        .into_iter()
        .find(|name| parameters.contains_key(*name));
    let candles = scene.candles(series.coin, &Range::newest(series.interval, BARS));
    let bars: Vec<Bar> = candles.iter().map(|candle| candle.bar).collect();
    let value = |back: usize| {
        let known = bars.len().saturating_sub(back);
        value(indicator, parameters, &bars[..known])
    };
    let Some(name) = several else {
        return value(back);
    };
    let count = number(parameters, name, (1, 1, MAX_RESULTS))?;
    let entry = |back: usize| {
        let mut entry = value(back)?;
        entry["backtrack"] = json!(back);
        Ok(entry)
    };
    (back..back + count).map(entry).collect()
}

/// A whole number within bounds: its default, its least and its most.
fn number(
    parameters: &Parameters,
    name: &str,
    (default, least, most): (usize, usize, usize),
) -> Result<usize, String> {
    let Some(text) = parameters.get(name) else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{name} is not a whole number from {least} to {most}"))
}

fn value(indicator: &str, parameters: &Parameters, bars: &[Bar]) -> Result<Value, String> {
    let period = |name: &str, default: usize| number(parameters, name, (default, 1, MAX_PERIOD));
    let closes = indicator::closes(bars);
    let plain = |value: f64| json!({"value": value});
    let found = match indicator {
        "rsi" => indicator::rsi(&closes, period("period", 14)?).map(plain),
        "ema" => indicator::ema(&closes, period("period", 30)?).map(plain),
        "sma" => indicator::sma(&closes, period("period", 30)?).map(plain),
        "atr" => indicator::atr(bars, period("period", 14)?).map(plain),
        "macd" => {
            let (fast, slow) = (
                period("optInFastPeriod", 12)?,
                period("optInSlowPeriod", 26)?,
            );
            let signal = period("optInSignalPeriod", 9)?;
            indicator::macd(&closes, fast, slow, signal).map(|macd| {
                json!({
                    "valueMACD": macd.line,
                    "valueMACDSignal": macd.signal,
                    "valueMACDHist": macd.line - macd.signal,
                })
            })
        }
        "bbands" => {
            let deviations = period("stddev", 2)? as f64;
            indicator::bands(&closes, period("period", 20)?, deviations).map(|bands| {
                json!({
                    "valueUpperBand": bands.upper,
                    "valueMiddleBand": bands.middle,
                    "valueLowerBand": bands.lower,
                })
            })
        }
        "stoch" => {
            let (smoothing, d_period) = (period("kSmooth", 3)?, period("dPeriod", 3)?);
            indicator::stochastic(bars, period("kPeriod", 14)?, smoothing, d_period)
                .map(|stochastic| json!({"valueK": stochastic.k, "valueD": stochastic.d}))
        }
        _ => return Err(format!("there is no indicator {indicator:?}")),
    };
    found.ok_or_else(|| "there are not enough candles".into())
}
