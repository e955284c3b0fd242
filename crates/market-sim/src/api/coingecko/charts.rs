//! CoinGecko's histories of one coin.

use serde_json::{Value, json};

use super::{Refusal, coin_of, dollars_per_wanted, figure};
use crate::api::call::Call;
use crate::market::{Interval, Range};
use crate::scene::Scene;
use crate::totals::MARKETS;

const DAY_S: i64 = 86_400;
/// The history that the plan without payment has.
const MAX_DAYS: i64 = 365;

/// Prices, capitalisations and turnovers at even steps, and now.
pub(super) fn history(scene: &Scene<'_>, call: &Call) -> Result<Value, Refusal> {
    let coin = coin_of(call)?;
    let rate = dollars_per_wanted(scene, call)?;
    let days = days(call)?;
    let step_s = match days {
        ..=1 => 300,
        2..=90 => 3_600,
        _ => DAY_S,
    };
    let steps_a_day = (DAY_S / step_s) as usize;
    let wanted = days as usize * steps_a_day;
    // A day more, because the turnover at each point is that of the day before it.
    let range = Range::newest(Interval::of_seconds(step_s), wanted + steps_a_day);
    let candles = scene.candles(coin, &range);

    let traits = coin.traits();
    let mut chart = Chart::default();
    for (place, candle) in candles.iter().enumerate().skip(steps_a_day) {
        let day = &candles[place - steps_a_day..place];
        let volume = day.iter().map(|step| step.bar.turnover.as_f64()).sum();
        chart.push(candle.open_ms, candle.bar.open.as_f64() / rate, volume);
    }
    let now = scene.day(coin);
    chart.push(
        scene.now_ms(),
        now.close.as_f64() / rate,
        now.turnover.as_f64(),
    );
    let caps = chart.prices.iter();
    let caps: Vec<_> = caps
        .map(|(at_ms, price)| (*at_ms, price * traits.supply))
        .collect();
    Ok(json!({
        "prices": written(&chart.prices),
        "market_caps": written(&caps),
        "total_volumes": chart.volumes.iter()
            .map(|(at_ms, dollars)| json!([at_ms, dollars * MARKETS / rate]))
            .collect::<Vec<_>>(),
    }))
}

/// Bars, each under the moment at which it ends.
pub(super) fn candles(scene: &Scene<'_>, call: &Call) -> Result<Value, Refusal> {
    let coin = coin_of(call)?;
    let rate = dollars_per_wanted(scene, call)?;
    let days = days(call)?;
    let step_s = match days {
        1 => 1_800,
        7 | 14 | 30 => 4 * 3_600,
        90 | 180 | MAX_DAYS => 4 * DAY_S,
        _ => return Err(Refusal::Bad("invalid days".into())),
    };
    let range = Range::newest(
        Interval::of_seconds(step_s),
        (days * DAY_S / step_s) as usize,
    );
    let row = |candle: &crate::scene::Candle| {
        let bar = candle.bar;
        let [open, high, low, close] =
            [bar.open, bar.high, bar.low, bar.close].map(|price| figure(price.as_f64() / rate));
        json!([candle.close_ms + 1, open, high, low, close])
    };
    Ok(scene.candles(coin, &range).iter().map(row).collect())
}

/// Points in time with what held there.
#[derive(Default)]
struct Chart {
    prices: Vec<(i64, f64)>,
    volumes: Vec<(i64, f64)>,
}

impl Chart {
    fn push(&mut self, at_ms: i64, price: f64, volume: f64) {
        self.prices.push((at_ms, price));
        self.volumes.push((at_ms, volume));
    }
}

fn written(points: &[(i64, f64)]) -> Vec<Value> {
    points
        .iter()
        .map(|(at_ms, value)| json!([at_ms, figure(*value)]))
        .collect()
}

/// How far back the history is to reach.
fn days(call: &Call) -> Result<i64, Refusal> {
    let text = call
        .param("days")
        .ok_or_else(|| Refusal::Bad("missing parameter days".into()))?;
    if text == "max" {
        return Err(Refusal::BeyondPlan);
    }
    match text.parse() {
        Ok(days @ 1..=MAX_DAYS) => Ok(days),
        Ok(1..) => Err(Refusal::BeyondPlan),
        _ => Err(Refusal::Bad("invalid days".into())),
    }
}
