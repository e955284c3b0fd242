//! All endpoints tell of the same market.

use market_sim::{SimOptions, SimTime};
use serde_json::Value;

use crate::rig::{MOMENT_MS, Rig, frozen_at, number, units};

const TICKER: &str = "/binance/api/v3/ticker/24hr";
const SYMBOLS: [&str; 7] = [
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "LINKUSDT", "BNBUSDT",
];

#[tokio::test]
async fn the_open_bar_of_every_interval_closes_at_the_last_price() {
    let rig = Rig::frozen().await;
    for symbol in SYMBOLS {
        let ticker = rig.json(&format!("{TICKER}?symbol={symbol}")).await;
        let price = rig
            .json(&format!("/binance/api/v3/ticker/price?symbol={symbol}"))
            .await;
        assert_eq!(price["price"], ticker["lastPrice"]);
        for interval in ["1s", "1m", "15m", "1h", "4h", "1d", "3d", "1w", "1M"] {
            let bars = rig
                .bars(&format!("symbol={symbol}&interval={interval}&limit=1"))
                .await;
            assert_eq!(bars[0][4], ticker["lastPrice"], "{symbol} {interval}");
        }
    }
}

/// Checks that the first bar, of the longer interval, is what the others add up to.
fn check_sum(whole: &[Value], parts: &[Vec<Value>], place: &str) {
    let (first, last) = (&parts[0], &parts[parts.len() - 1]);
    assert_eq!(whole[0], first[0], "{place}: open time");
    assert_eq!(whole[1], first[1], "{place}: open");
    assert_eq!(whole[4], last[4], "{place}: close");
    assert_eq!(
        units(&whole[2]),
        parts.iter().map(|bar| units(&bar[2])).max().unwrap(),
        "{place}"
    );
    assert_eq!(
        units(&whole[3]),
        parts.iter().map(|bar| units(&bar[3])).min().unwrap(),
        "{place}"
    );
    for sum in [5, 7, 9, 10] {
        let total: i128 = parts.iter().map(|bar| units(&bar[sum])).sum();
        assert_eq!(units(&whole[sum]), total, "{place}: column {sum}");
    }
    let trades: i64 = parts.iter().map(|bar| bar[8].as_i64().unwrap()).sum();
    assert_eq!(whole[8], trades, "{place}: trades");
}

#[tokio::test]
async fn long_bars_are_exactly_the_sum_of_short_ones() {
    let rig = Rig::frozen().await;
    // The last of each is still open, and adds up all the same.
    for (symbol, long, short) in [
        ("BTCUSDT", "1m", "1s"),
        ("XRPUSDT", "1h", "1m"),
        ("ADAUSDT", "1d", "1h"),
        ("LINKUSDT", "12h", "15m"),
        ("ETHUSDT", "1w", "1d"),
        ("BTCUSDT", "1M", "1d"),
        ("BTCUSDT", "3d", "4h"),
    ] {
        for whole in rig
            .bars(&format!("symbol={symbol}&interval={long}&limit=3"))
            .await
        {
            let (start, end) = (&whole[0], &whole[6]);
            let query = format!(
                "symbol={symbol}&interval={short}&startTime={start}&endTime={end}&limit=1000"
            );
            check_sum(
                &whole,
                &rig.bars(&query).await,
                &format!("{symbol} {long} of {short}"),
            );
        }
    }
}

#[tokio::test]
async fn every_bar_holds_its_open_and_close_and_moves() {
    let rig = Rig::frozen().await;
    for symbol in SYMBOLS {
        for interval in ["1s", "1m", "1h", "1d"] {
            let bars = rig
                .bars(&format!("symbol={symbol}&interval={interval}&limit=300"))
                .await;
            for bar in &bars {
                let [open, high, low, close] = [1, 2, 3, 4].map(|column| units(&bar[column]));
                assert!(
                    low > 0 && low <= open.min(close) && high >= open.max(close),
                    "{bar:?}"
                );
                assert!(
                    units(&bar[5]) >= units(&bar[9]),
                    "takers bought more than there was"
                );
            }
            let moved = bars.iter().filter(|bar| bar[2] != bar[3]).count();
            assert!(
                moved > 200,
                "{symbol} {interval}: {moved} of 300 bars moved"
            );
        }
    }
}

#[tokio::test]
async fn the_day_ticker_is_the_rolling_day_of_klines() {
    // At a full minute the rolling day is made of whole minutes, and the tick of this very moment.
    let rig = Rig::at("2025-03-14T15:09:00Z").await;
    let ticker = rig.json(&format!("{TICKER}?symbol=BTCUSDT")).await;
    let start = ticker["openTime"].as_i64().unwrap();
    let middle = start + 720 * 60_000;
    let minutes = |from| format!("symbol=BTCUSDT&interval=1m&startTime={from}&limit=720");
    let mut bars = rig.bars(&minutes(start)).await;
    bars.extend(rig.bars(&minutes(middle)).await);
    bars.extend(rig.bars("symbol=BTCUSDT&interval=1m&limit=1").await);

    assert_eq!(ticker["openPrice"], bars[0][1]);
    let highest = bars.iter().map(|bar| units(&bar[2])).max().unwrap();
    assert_eq!(units(&ticker["highPrice"]), highest);
    assert_eq!(
        units(&ticker["lowPrice"]),
        bars.iter().map(|bar| units(&bar[3])).min().unwrap()
    );
    let volume: i128 = bars.iter().map(|bar| units(&bar[5])).sum();
    assert_eq!(units(&ticker["volume"]), volume);
}

#[tokio::test]
async fn the_day_ticker_agrees_with_itself_and_with_yesterday() {
    let rig = Rig::frozen().await;
    for symbol in SYMBOLS {
        rig.simulator
            .set_time(frozen_at("2025-03-13T15:09:26.535Z"));
        let yesterday = rig
            .json(&format!("/binance/api/v3/ticker/price?symbol={symbol}"))
            .await;
        rig.simulator.set_time(frozen_at(crate::rig::MOMENT));
        let ticker = rig.json(&format!("{TICKER}?symbol={symbol}")).await;

        assert_eq!(ticker["openPrice"], yesterday["price"], "{symbol}");
        let (open, last) = (units(&ticker["openPrice"]), units(&ticker["lastPrice"]));
        assert_eq!(units(&ticker["priceChange"]), last - open);
        let percent = format!("{:.3}", (last - open) as f64 / open as f64 * 100.0);
        assert_eq!(ticker["priceChangePercent"], percent.as_str());
        let average = units(&ticker["weightedAvgPrice"]);
        assert!(units(&ticker["lowPrice"]) <= average && average <= units(&ticker["highPrice"]));
        let trades = ticker["lastId"].as_i64().unwrap() - ticker["firstId"].as_i64().unwrap() + 1;
        assert_eq!(ticker["count"], trades);
        assert_eq!(ticker["closeTime"], MOMENT_MS);
        assert_eq!(ticker["openTime"], MOMENT_MS - 86_400_000);
    }
}

#[tokio::test]
async fn global_follows_from_prices_at_the_last_ten_minutes() {
    let rig = Rig::frozen().await;
    let now = rig.json("/coingecko/api/v3/global").await["data"].clone();
    let updated_at = now["updated_at"].as_i64().unwrap();
    assert_eq!(updated_at, MOMENT_MS / 1_000 / 600 * 600);

    rig.simulator.set_time(frozen_at("2025-03-14T15:00:00Z"));
    assert_eq!(rig.json("/coingecko/api/v3/global").await["data"], now);
    let cap = number(&now["total_market_cap"]["usd"]);
    for (asset, symbol, supply) in [
        ("btc", "BTCUSDT", 19_950_000.0),
        ("eth", "ETHUSDT", 120_700_000.0),
    ] {
        let price = rig
            .json(&format!("/binance/api/v3/ticker/price?symbol={symbol}"))
            .await;
        let price = number(&price["price"]);
        let share = price * supply / cap * 100.0;
        assert!(
            (share - number(&now["market_cap_percentage"][asset])).abs() < 1e-9,
            "{asset}"
        );
        let in_coins = number(&now["total_market_cap"][asset]);
        assert!((in_coins * price / cap - 1.0).abs() < 1e-12, "{asset}");
    }

    rig.simulator.set_time(frozen_at("2025-03-13T15:00:00Z"));
    let before = rig.json("/coingecko/api/v3/global").await["data"].clone();
    let change = (cap / number(&before["total_market_cap"]["usd"]) - 1.0) * 100.0;
    assert!((change - number(&now["market_cap_change_percentage_24h_usd"])).abs() < 1e-9);
}

#[tokio::test]
async fn fear_and_greed_has_one_value_a_day_and_fitting_labels() {
    let rig = Rig::frozen().await;
    let all = rig.json("/fng/fng/?limit=0").await["data"].clone();
    let all = all.as_array().unwrap();
    let mut labels = std::collections::BTreeSet::new();
    for (days_back, item) in all.iter().enumerate() {
        let midnight = MOMENT_MS / 86_400_000 * 86_400 - 86_400 * days_back as i64;
        assert_eq!(item["timestamp"], midnight.to_string());
        let value = number(&item["value"]) as i64;
        let label = match value {
            0..=25 => "Extreme Fear",
            26..=46 => "Fear",
            47..=54 => "Neutral",
            55..=75 => "Greed",
            76..=100 => "Extreme Greed",
            _ => panic!("{value} is out of range"),
        };
        assert_eq!(item["value_classification"], label, "{value}");
        labels.insert(label);
    }
    assert_eq!(
        all.last().unwrap()["timestamp"],
        "1517443200",
        "it began on 1 February 2018"
    );
    assert_eq!(
        labels.len(),
        5,
        "years of values meet every label: {labels:?}"
    );
    // 15:09:26.535 is in second 54,566 of its day.
    assert_eq!(all[0]["time_until_update"], (86_400 - 54_566).to_string());
    let dated = rig.json("/fng/fng/?limit=2&date_format=world").await;
    assert_eq!(dated["data"][0]["timestamp"], "14-03-2025");
}

#[tokio::test]
async fn the_seed_decides_everything() {
    let with_seed = |seed| SimOptions {
        seed,
        time: frozen_at(crate::rig::MOMENT),
        ..SimOptions::default()
    };
    let first = Rig::with(with_seed(7)).await;
    let same = Rig::with(with_seed(7)).await;
    let other = Rig::with(with_seed(8)).await;
    for path in [
        "/binance/api/v3/ticker/24hr",
        "/binance/api/v3/klines?symbol=BNBUSDT&interval=5m",
        "/coingecko/api/v3/global",
        "/fng/fng/?limit=30",
    ] {
        let expected = first.get(path).await.body;
        assert_eq!(expected, same.get(path).await.body, "{path}");
        assert_ne!(expected, other.get(path).await.body, "{path}");
    }
}

#[tokio::test]
async fn history_does_not_change_as_time_goes_on() {
    let rig = Rig::frozen().await;
    let closed = "symbol=BTCUSDT&interval=1h&endTime=1741964400000&limit=48";
    let before = rig.bars(closed).await;
    rig.simulator.set_time(frozen_at("2025-06-01T00:00:00Z"));
    let after = rig.bars(closed).await;
    assert_eq!(before[..47], after[..47]);
    assert_eq!(
        before[47][1], after[47][1],
        "the bar that was open keeps its open"
    );
    assert_ne!(before[47][5], after[47][5]);
}

#[tokio::test]
async fn prices_stay_near_their_levels_and_within_sane_days() {
    let rig = Rig::frozen().await;
    for (symbol, level) in [
        ("BTCUSDT", 100_000.0),
        ("ETHUSDT", 3_500.0),
        ("SOLUSDT", 180.0),
        ("XRPUSDT", 2.2),
        ("ADAUSDT", 0.8),
        ("LINKUSDT", 18.0),
        ("BNBUSDT", 650.0),
    ] {
        let bars = rig
            .bars(&format!("symbol={symbol}&interval=1d&limit=1000"))
            .await;
        assert_eq!(bars.len(), 1_000);
        for bar in bars {
            let (open, close) = (number(&bar[1]), number(&bar[4]));
            assert!((0.4..2.5).contains(&(close / level)), "{symbol}: {bar:?}");
            assert!((0.8..1.25).contains(&(close / open)), "{symbol}: {bar:?}");
        }
    }
}

#[tokio::test]
async fn running_time_starts_where_it_was_told_to() {
    let start = crate::rig::MOMENT.parse().unwrap();
    let options = SimOptions {
        time: SimTime::RunningFrom(start),
        ..SimOptions::default()
    };
    let rig = Rig::with(options).await;
    let now = rig.json("/binance/api/v3/time").await["serverTime"]
        .as_i64()
        .unwrap();
    assert!((MOMENT_MS..MOMENT_MS + 60_000).contains(&now), "{now}");
}
