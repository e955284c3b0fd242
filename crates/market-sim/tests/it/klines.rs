//! Which bars a range names.

use crate::rig::{MOMENT_MS, Rig};
use serde_json::Value;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

fn opens(bars: &[Vec<Value>]) -> Vec<i64> {
    bars.iter().map(|bar| bar[0].as_i64().unwrap()).collect()
}

fn day(date: &str) -> i64 {
    format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_millisecond()
}

#[tokio::test]
async fn without_a_range_the_newest_bars_come_and_the_last_is_open() {
    let rig = Rig::frozen().await;
    let bars = rig.bars("symbol=BTCUSDT&interval=1h").await;
    assert_eq!(bars.len(), 500);
    let last = MOMENT_MS / HOUR_MS * HOUR_MS;
    let expected: Vec<i64> = (0..500)
        .map(|number| last - (499 - number) * HOUR_MS)
        .collect();
    assert_eq!(opens(&bars), expected);
    for bar in &bars {
        assert_eq!(bar[6], bar[0].as_i64().unwrap() + HOUR_MS - 1);
    }
    assert!(bars[499][6].as_i64().unwrap() > MOMENT_MS);
    assert!(bars[498][6].as_i64().unwrap() < MOMENT_MS);
}

#[tokio::test]
async fn with_a_start_the_oldest_bars_from_there_come() {
    let rig = Rig::frozen().await;
    let start = day("2025-01-10");
    let query = format!("symbol=BTCUSDT&interval=1d&startTime={start}&limit=3");
    assert_eq!(
        opens(&rig.bars(&query).await),
        [0, 1, 2].map(|days| start + days * DAY_MS)
    );

    let later = start + 1;
    let query = format!("symbol=BTCUSDT&interval=1d&startTime={later}&limit=2");
    assert_eq!(
        opens(&rig.bars(&query).await),
        [1, 2].map(|days| start + days * DAY_MS)
    );
}

#[tokio::test]
async fn with_an_end_alone_the_newest_bars_up_to_it_come() {
    let rig = Rig::frozen().await;
    let end = day("2025-01-10");
    let query = format!("symbol=BTCUSDT&interval=1d&endTime={end}&limit=3");
    assert_eq!(
        opens(&rig.bars(&query).await),
        [2, 1, 0].map(|days| end - days * DAY_MS)
    );
    let before = end - 1;
    let query = format!("symbol=BTCUSDT&interval=1d&endTime={before}&limit=1");
    assert_eq!(opens(&rig.bars(&query).await), [end - DAY_MS]);
}

#[tokio::test]
async fn a_range_is_cut_by_its_limit_and_by_now() {
    let rig = Rig::frozen().await;
    let (start, end) = (day("2025-01-01"), day("2025-01-08"));
    let range = format!("symbol=BTCUSDT&interval=1d&startTime={start}&endTime={end}");
    assert_eq!(rig.bars(&range).await.len(), 8);
    assert_eq!(opens(&rig.bars(&format!("{range}&limit=1")).await), [start]);

    let query = "symbol=BTCUSDT&interval=1d&endTime=99999999999999999999&limit=1";
    assert_eq!(opens(&rig.bars(query).await), [MOMENT_MS / DAY_MS * DAY_MS]);
    for empty in [
        format!("symbol=BTCUSDT&interval=1m&startTime={end}&endTime={start}"),
        format!(
            "symbol=BTCUSDT&interval=1m&startTime={}",
            MOMENT_MS + 60_000
        ),
        "symbol=BTCUSDT&interval=1m&startTime=99999999999999999999".to_owned(),
        "symbol=BTCUSDT&interval=1m&endTime=0".to_owned(),
    ] {
        assert_eq!(rig.bars(&empty).await, Vec::<Vec<Value>>::new(), "{empty}");
    }
}

#[tokio::test]
async fn history_begins_when_the_exchange_did() {
    let rig = Rig::frozen().await;
    let bars = rig
        .bars("symbol=BTCUSDT&interval=1d&startTime=0&limit=1")
        .await;
    assert_eq!(opens(&bars), [day("2017-08-17")]);
    let bars = rig.bars("symbol=BTCUSDT&interval=1M&limit=1000").await;
    assert_eq!(opens(&bars)[..2], [day("2017-08-01"), day("2017-09-01")]);
    let bars = rig
        .bars("symbol=BTCUSDT&interval=1w&startTime=0&limit=1")
        .await;
    assert_eq!(opens(&bars), [day("2017-08-14")]);
}

#[tokio::test]
async fn weeks_begin_on_monday_and_months_on_the_first() {
    let rig = Rig::frozen().await;
    let weeks = rig.bars("symbol=BTCUSDT&interval=1w&limit=2").await;
    assert_eq!(opens(&weeks), [day("2025-03-03"), day("2025-03-10")]);
    assert_eq!(weeks[1][6], day("2025-03-17") - 1);
    let months = rig.bars("symbol=BTCUSDT&interval=1M&limit=3").await;
    assert_eq!(
        opens(&months),
        [day("2025-01-01"), day("2025-02-01"), day("2025-03-01")]
    );
    assert_eq!(months[1][6], day("2025-03-01") - 1);
    let start = day("2024-02-01");
    let leap = rig
        .bars(&format!(
            "symbol=BTCUSDT&interval=1M&startTime={start}&limit=1"
        ))
        .await;
    assert_eq!(leap[0][6], day("2024-03-01") - 1);
}

#[tokio::test]
async fn a_bar_that_has_just_opened_holds_one_price() {
    let rig = Rig::at("2025-03-14T15:00:00Z").await;
    let bars = rig.bars("symbol=BTCUSDT&interval=1h&limit=1").await;
    assert_eq!(opens(&bars), [day("2025-03-14") + 15 * HOUR_MS]);
    assert!(
        bars[0][2..5].iter().all(|price| *price == bars[0][1]),
        "{bars:?}"
    );
}
