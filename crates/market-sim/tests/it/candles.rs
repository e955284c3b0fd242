//! Real candles, replayed.

use std::path::{Path, PathBuf};

use market_sim::{MarketSource, SimError, SimOptions, Simulator};

use crate::rig::{Rig, frozen_at, number, units};

const FILE: &str = "btcusdt-1d-2018-2022.csv";
const HEADING: &str = "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,\
    Number of trades,Taker buy base asset volume,Taker buy quote asset volume,Ignore";
const FIRST: &str = "2018-01-01 00:00:00.000000 UTC,13715.65,13818.55,12750.0,13380.0,8609.915844,\
    2018-01-01 23:59:59.999000 UTC,114799747.44197056,105595,3961.938946,52809747.44038045,0";
const SECOND: &str = "1514851200000,13382.16,15473.49,12890.02,14675.11,20078.092111,\
    1514937599999,279717107.4337192,177728,11346.326739,158080088.68331683,0";

/// The captured candles; `None`, said aloud, on a machine that has none.
fn captured() -> Option<PathBuf> {
    let folder = std::env::var_os("CAPTURES_DIR").map(PathBuf::from);
    let folder = folder
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/captures"));
    let file = folder.join(FILE);
    if !file.is_file() {
        eprintln!(
            "NOT CHECKED: {} is absent (set CAPTURES_DIR)",
            file.display()
        );
        return None;
    }
    Some(file)
}

/// A candle file of this test's own, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path =
            std::env::temp_dir().join(format!("market-sim-{}-{name}.csv", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn replaying(path: &Path, moment: &str) -> SimOptions {
    SimOptions {
        market: MarketSource::Candles(path.to_owned()),
        time: frozen_at(moment),
        ..SimOptions::default()
    }
}

/// A figure as the file writes it, with Binance's eight places.
fn eight_places(text: &str) -> String {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{places:0<8}")
}

#[tokio::test]
async fn closed_bars_are_the_files_to_the_digit() {
    let Some(file) = captured() else { return };
    let text = std::fs::read_to_string(&file).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let rig = Rig::with(replaying(&file, "2023-01-01T00:00:00Z")).await;
    let mut bars = Vec::new();
    while bars.len() < rows.len() {
        let from: i64 = bars
            .last()
            .map_or(0, |bar: &Vec<serde_json::Value>| bar[6].as_i64().unwrap());
        let query = format!("symbol=BTCUSDT&interval=1d&startTime={from}&limit=1000");
        let more = rig.bars(&query).await;
        assert!(
            !more.is_empty(),
            "only {} of {} bars came",
            bars.len(),
            rows.len()
        );
        bars.extend(more);
    }
    assert_eq!(bars.len(), rows.len());
    for (bar, row) in bars.iter().zip(rows) {
        for column in [1, 2, 3, 4, 5, 7, 9, 10] {
            assert_eq!(bar[column], eight_places(row[column]).as_str(), "{row:?}");
        }
        assert_eq!(bar[8].to_string(), row[8]);
    }
    let newest = rig.bars("symbol=BTCUSDT&interval=1d&limit=1").await;
    assert_eq!(
        newest[0],
        bars[bars.len() - 1],
        "nothing is invented after the last"
    );
    let last = rig
        .json("/binance/api/v3/ticker/price?symbol=BTCUSDT")
        .await;
    assert_eq!(last["price"], newest[0][4]);
}

#[tokio::test]
async fn the_open_bar_is_a_piece_of_its_days_candle() {
    let Some(file) = captured() else { return };
    let rig = Rig::with(replaying(&file, "2021-05-19T13:14:15Z")).await;
    let bars = rig.bars("symbol=BTCUSDT&interval=1d&limit=2").await;
    let again = Rig::with(replaying(&file, "2021-05-19T13:14:15Z")).await;
    assert_eq!(bars, again.bars("symbol=BTCUSDT&interval=1d&limit=2").await);
    assert!(
        bars[0][6].as_i64().unwrap()
            < rig.json("/binance/api/v3/time").await["serverTime"]
                .as_i64()
                .unwrap()
    );

    rig.simulator.set_time(frozen_at("2021-05-20T00:00:00Z"));
    let closed = rig
        .bars("symbol=BTCUSDT&interval=1d&limit=2")
        .await
        .swap_remove(0);
    assert_eq!(closed[0], bars[1][0]);
    assert_eq!(closed[1], bars[1][1], "the open is exact");
    let (low, high) = (units(&closed[3]), units(&closed[2]));
    assert!(low <= units(&bars[1][3]) && units(&bars[1][2]) <= high);
    assert!((low..=high).contains(&units(&bars[1][4])));
    assert!(
        units(&bars[1][5]) < units(&closed[5]),
        "part of the day's volume"
    );

    let hours = rig
        .bars(&format!(
            "symbol=BTCUSDT&interval=1h&startTime={}&limit=24",
            closed[0]
        ))
        .await;
    assert_eq!(hours[0][1], closed[1]);
    assert_eq!(hours[23][4], closed[4]);
    assert_eq!(hours.iter().map(|bar| units(&bar[2])).max().unwrap(), high);
    assert_eq!(
        hours.iter().map(|bar| units(&bar[5])).sum::<i128>(),
        units(&closed[5])
    );
}

#[tokio::test]
async fn other_coins_stay_seeded_and_global_follows_the_replay() {
    let file = Scratch::new("two", format!("{HEADING}\n{FIRST}\n{SECOND}\n").as_bytes());
    let moment = "2018-01-02T12:00:00Z";
    let rig = Rig::with(replaying(&file.0, moment)).await;
    let seeded = Rig::at(moment).await;
    let price = |symbol| format!("/binance/api/v3/ticker/price?symbol={symbol}");
    let ether = rig.json(&price("ETHUSDT")).await;
    assert_eq!(ether, seeded.json(&price("ETHUSDT")).await);
    let bitcoin = number(&rig.json(&price("BTCUSDT")).await["price"]);
    assert!((12_890.02..=15_473.49).contains(&bitcoin));
    let global = rig.json("/coingecko/api/v3/global").await;
    let cap = &global["data"]["total_market_cap"];
    assert!((number(&cap["usd"]) / number(&cap["btc"]) - bitcoin).abs() < 1e-6);
}

#[test]
fn the_last_noon_is_that_of_the_last_candle() {
    let file = Scratch::new("noon", format!("{HEADING}\n{FIRST}\n{SECOND}\n").as_bytes());
    let noon = MarketSource::Candles(file.0.clone())
        .last_noon()
        .unwrap()
        .unwrap();
    assert_eq!(noon, "2018-01-02T12:00:00Z".parse().unwrap());
}

/// The line that the simulator complains about when it starts with this file.
async fn refused_line(name: &str, bytes: &[u8]) -> u64 {
    let file = Scratch::new(name, bytes);
    match Simulator::start(replaying(&file.0, "2018-01-02T12:00:00Z")).await {
        Err(SimError::Candle { line, .. }) => line,
        other => panic!("{name}: {other:?}"),
    }
}

#[tokio::test]
async fn a_bad_figure_is_an_error_that_names_its_line() {
    for (right, wrong) in [
        ("13715.65", "much"),
        ("13715.65", "-13715.65"),
        ("13715.65", "13715.123456789"),
        ("13715.65", "1234567890123.0"),
        ("13715.65", ""),
        ("12750.0", "NaN"),
        ("12750.0", "0.0"),
        ("13818.55", "13000.0"),
        ("105595", "105595.5"),
        ("2018-01-01 00", "2018-02-30 00"),
        ("2018-01-01 00", "2018-01-01 01"),
        ("2018-01-01 23", "2018-01-02 23"),
        ("2018-01-01 00:00:00.000000 UTC", "99999999999999999"),
        (",0", ",0,0"),
    ] {
        let text = format!("{HEADING}\n{}\n", FIRST.replace(right, wrong));
        assert_eq!(refused_line("figure", text.as_bytes()).await, 2, "{wrong}");
    }
}

#[tokio::test]
async fn a_bad_file_is_an_error_that_names_the_line() {
    let files = [
        (String::new(), 1),
        (format!("{HEADING}\n"), 1),
        (format!("{HEADING}\n{FIRST}\n1,2,3\n"), 3),
        (format!("{HEADING}\n{FIRST}\n{FIRST}\n"), 3),
        (format!("{HEADING}\n{SECOND}\n{FIRST}\n"), 3),
        (format!("{FIRST}\n{HEADING}\n"), 2),
    ];
    for (text, line) in files {
        assert_eq!(refused_line("file", text.as_bytes()).await, line, "{text}");
    }
    assert_eq!(refused_line("bytes", b"\xff\xfe,1\n").await, 1);
    let absent = MarketSource::Candles("/nowhere/candles.csv".into());
    assert!(matches!(
        absent.last_noon(),
        Err(SimError::OpenCandles { .. })
    ));
}
