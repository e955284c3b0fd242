//! What the stream's messages say, checked like every other answer. Pure.

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::{
    cache::keys::Interval,
    market::{
        checked::{change, decimal, instant, positive},
        figure::Reason,
        source::binance,
        symbol::Symbol,
    },
};

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Said {
    /// A coin's last price, and what it changed by in 24 h, in percent.
    Price {
        symbol: Symbol,
        price: f64,
        change: f64,
        at: Timestamp,
    },
    /// A coin's daily bar is over.
    BarClosed(Symbol),
    /// The server is about to go away.
    Farewell,
    /// A daily bar goes on.
    Nothing,
}

/// The names of the streams that are listened to, as they stand in the address.
pub(super) fn names(symbols: &[Symbol]) -> String {
    let day = binance::code(Interval::Day1);
    let names = symbols.iter().map(|symbol| {
        let pair = symbol.binance_pair().to_ascii_lowercase();
        format!("{pair}@miniTicker/{pair}@kline_{day}")
    });
    names.collect::<Vec<_>>().join("/")
}

/// Reads a message of a combined stream.
pub(super) fn read(text: &str, symbols: &[Symbol]) -> Result<Said, Reason> {
    let message: Json = serde_json::from_str(text).map_err(|_| Reason::NotDecodable)?;
    let event = message.get("data").ok_or(Reason::NotInAnswer)?;
    match event.get("e").and_then(Json::as_str) {
        Some("24hrMiniTicker") => price(event, coin(event, symbols)?),
        Some("kline") => bar(event, coin(event, symbols)?),
        Some("serverShutdown") => Ok(Said::Farewell),
        _ => Err(Reason::NotDecodable),
    }
}

fn coin(event: &Json, symbols: &[Symbol]) -> Result<Symbol, Reason> {
    let pair = event.get("s").and_then(Json::as_str);
    let mut ours = symbols.iter().copied();
    ours.find(|symbol| Some(symbol.binance_pair()) == pair)
        .ok_or(Reason::NotInAnswer)
}

fn price(event: &Json, symbol: Symbol) -> Result<Said, Reason> {
    let price = decimal(event.get("c")).and_then(positive)?;
    let open = decimal(event.get("o")).and_then(positive)?;
    // Three decimals, as the same source gives where it is asked.
    let percent = ((price - open) / open * 100_000.0).round() / 1_000.0;
    Ok(Said::Price {
        symbol,
        price,
        change: change(percent)?,
        at: instant(event.get("E"), 1)?,
    })
}

fn bar(event: &Json, symbol: Symbol) -> Result<Said, Reason> {
    let bar = event.get("k").ok_or(Reason::NotInAnswer)?;
    let is_closed = bar.get("x").and_then(Json::as_bool);
    let interval = bar.get("i").and_then(Json::as_str);
    if interval != Some(binance::code(Interval::Day1)) {
        return Err(Reason::NotDecodable);
    }
    match is_closed {
        Some(true) => Ok(Said::BarClosed(symbol)),
        Some(false) => Ok(Said::Nothing),
        None => Err(Reason::NotDecodable),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OURS: [Symbol; 2] = [Symbol::Btc, Symbol::Eth];

    fn said(event: &Json) -> Result<Said, Reason> {
        read(&json!({"stream": "x", "data": event}).to_string(), &OURS)
    }

    fn ticker() -> Json {
        json!({"e": "24hrMiniTicker", "E": 1_700_000_000_000_i64, "s": "BTCUSDT",
               "c": "102.00000000", "o": "100.00000000", "h": "1", "l": "1", "v": "1", "q": "1"})
    }

    #[test]
    fn a_ticker_gives_a_price_and_its_change() {
        let Ok(Said::Price {
            symbol,
            price,
            change,
            at,
        }) = said(&ticker())
        else {
            panic!("no price");
        };
        assert_eq!((symbol, price, change), (Symbol::Btc, 102.0, 2.0));
        assert_eq!(at.as_millisecond(), 1_700_000_000_000);
    }

    #[test]
    fn a_ticker_with_a_field_that_cannot_be_is_refused() {
        for (field, value) in [
            ("c", json!(102.0)),
            ("c", json!("NaN")),
            ("c", json!("-1")),
            ("c", json!("1e999")),
            ("c", json!(null)),
            ("o", json!("0")),
            ("o", json!("0.000000000001")),
            ("o", json!(["100"])),
            ("E", json!("1700000000000")),
            ("E", json!(-1)),
            ("E", json!(null)),
            ("s", json!("SOLUSDT")),
            ("s", json!(7)),
            ("e", json!("trade")),
            ("e", json!(null)),
        ] {
            let mut event = ticker();
            event[field] = value.clone();
            assert!(said(&event).is_err(), "{field} = {value}");
        }
    }

    #[test]
    fn only_a_daily_bar_that_says_so_is_closed() {
        let bar = |k: Json| said(&json!({"e": "kline", "E": 1, "s": "ETHUSDT", "k": k}));
        assert_eq!(
            bar(json!({"i": "1d", "x": true})),
            Ok(Said::BarClosed(Symbol::Eth))
        );
        assert_eq!(bar(json!({"i": "1d", "x": false})), Ok(Said::Nothing));
        for odd in [
            json!({"i": "1h", "x": true}),
            json!({"i": "1d", "x": "true"}),
            json!(null),
        ] {
            assert!(bar(odd.clone()).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_no_message_of_a_combined_stream_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            "{",
            "7",
            r#"{"e":"serverShutdown"}"#,
            r#"{"data":[]}"#,
        ] {
            assert!(read(text, &OURS).is_err(), "{text}");
        }
        let deep = "[".repeat(60_000);
        assert!(read(&deep, &OURS).is_err());
    }

    #[test]
    fn the_names_are_in_lower_case_and_two_for_each_coin() {
        let expected = "btcusdt@miniTicker/btcusdt@kline_1d/ethusdt@miniTicker/ethusdt@kline_1d";
        assert_eq!(names(&OURS), expected);
    }
}
