//! The figures of a rolling day, as REST and the streams write them.

use serde_json::{Value, json};

use crate::amount::Amount;
use crate::coin::Coin;
use crate::market::{Bar, DAY_MS};
use crate::noise::{mix, unit};
use crate::scene::Scene;

/// The figures of a rolling day up to now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) struct Day {
    pub(in crate::api) coin: Coin,
    pub(in crate::api) close_ms: i64,
    pub(in crate::api) bar: Bar,
    /// The last price before the day.
    previous: Amount,
    last_quantity: Amount,
    bid_quantity: Amount,
    ask_quantity: Amount,
    last_id: i64,
}

impl Day {
    pub(in crate::api) fn of(scene: &Scene<'_>, coin: Coin) -> Self {
        let last_ms = scene.last_ms(coin);
        let bar = scene.day(coin);
        let before_ms = last_ms - DAY_MS - 1;
        let quantity = |salt: u64| {
            let part = unit(mix(mix(scene.seed(), last_ms as u64), coin.number() + salt));
            // A quote is worth some thousand USDT, whatever the coin.
            Amount::from_f64((200.0 + 9_000.0 * part) / bar.close.as_f64())
        };
        Self {
            coin,
            close_ms: scene.now_ms(),
            bar,
            previous: scene.span(coin, before_ms, before_ms).close,
            last_quantity: quantity(10),
            bid_quantity: quantity(20),
            ask_quantity: quantity(30),
            last_id: scene.last_trade(coin),
        }
    }

    /// MINI of the day ticker.
    pub(super) fn mini(&self) -> Value {
        json!({
            "symbol": self.coin.symbol(),
            "lastPrice": self.bar.close.to_string(),
            "openPrice": self.bar.open.to_string(),
            "highPrice": self.bar.high.to_string(),
            "lowPrice": self.bar.low.to_string(),
            "volume": self.bar.volume.to_string(),
            "quoteVolume": self.bar.turnover.to_string(),
            "openTime": self.open_ms(),
            "closeTime": self.close_ms,
            "firstId": self.first_id(),
            "lastId": self.last_id,
            "count": self.bar.trades as i64,
        })
    }

    /// FULL of the day ticker.
    pub(super) fn full(&self) -> Value {
        let mut full = self.mini();
        full["priceChange"] = json!(self.change().to_string());
        full["priceChangePercent"] = json!(self.percent());
        full["weightedAvgPrice"] = json!(self.bar.average().to_string());
        full["prevClosePrice"] = json!(self.previous.to_string());
        full["lastQty"] = json!(self.last_quantity.to_string());
        full["bidPrice"] = json!(self.bar.close.to_string());
        full["bidQty"] = json!(self.bid_quantity.to_string());
        full["askPrice"] = json!(self.ask().to_string());
        full["askQty"] = json!(self.ask_quantity.to_string());
        full
    }

    /// The event of the stream `<symbol>@miniTicker`.
    pub(in crate::api) fn mini_event(&self) -> Value {
        json!({
            "e": "24hrMiniTicker",
            "E": self.close_ms,
            "s": self.coin.symbol(),
            "c": self.bar.close.to_string(),
            "o": self.bar.open.to_string(),
            "h": self.bar.high.to_string(),
            "l": self.bar.low.to_string(),
            "v": self.bar.volume.to_string(),
            "q": self.bar.turnover.to_string(),
        })
    }

    /// The event of the stream `<symbol>@ticker`.
    pub(in crate::api) fn full_event(&self) -> Value {
        let mut event = self.mini_event();
        event["e"] = json!("24hrTicker");
        event["p"] = json!(self.change().to_string());
        event["P"] = json!(self.percent());
        event["w"] = json!(self.bar.average().to_string());
        event["x"] = json!(self.previous.to_string());
        event["Q"] = json!(self.last_quantity.to_string());
        event["b"] = json!(self.bar.close.to_string());
        event["B"] = json!(self.bid_quantity.to_string());
        event["a"] = json!(self.ask().to_string());
        event["A"] = json!(self.ask_quantity.to_string());
        event["O"] = json!(self.open_ms());
        event["C"] = json!(self.close_ms);
        event["F"] = json!(self.first_id());
        event["L"] = json!(self.last_id);
        event["n"] = json!(self.bar.trades as i64);
        event
    }

    fn open_ms(&self) -> i64 {
        self.close_ms - DAY_MS
    }

    fn first_id(&self) -> i64 {
        self.last_id + 1 - self.bar.trades as i64
    }

    fn change(&self) -> Amount {
        self.bar.close - self.bar.open
    }

    fn percent(&self) -> String {
        let percent = self.change().as_f64() / self.bar.open.as_f64() * 100.0;
        format!("{percent:.3}")
    }

    fn ask(&self) -> Amount {
        self.bar.close + self.coin.tick()
    }
}
