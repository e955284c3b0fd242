//! The served RSI against TA-Lib; golden/generate_rsi.py wrote what it says.

use dashboard::market::figure::Reason;
use market_sim::SimOptions;
use serde::Deserialize;
use serde_json::Value;

use crate::stand::{Stand, json, replay};

#[derive(Deserialize)]
struct Golden {
    at_moments: Vec<Moment>,
}

#[derive(Deserialize)]
struct Moment {
    source_time: String,
    last_closed_day: String,
    bars_used: usize,
    rsi_14: f64,
}

/// Six decimals are promised; the arithmetic is good for far more.
const TOLERANCE: f64 = 1e-9;

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/rsi.json")).expect("the golden file is sound")
}

async fn summary_at(moment: &str, options: SimOptions) -> Value {
    let stand = Stand::with_simulator(options).await;
    let answer = stand.service_at(moment).fetch_dashboard_summary().await;
    json(&answer.value)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_rsi_of_real_candles_is_ta_libs_on_the_bars_that_the_source_calls_closed() {
    for moment in golden().at_moments {
        let Some(options) = replay(&moment.source_time) else {
            return;
        };
        assert!(moment.bars_used >= 250);
        let summary = summary_at(&moment.source_time, options).await;
        let served = summary["btc_rsi_14"].as_f64().unwrap_or_else(|| {
            panic!(
                "no RSI at {}: {}",
                moment.source_time, summary["fields"]["btc_rsi_14"]
            )
        });
        let off = (served - moment.rsi_14).abs();
        assert!(
            off < TOLERANCE,
            "{}: {served} and not {}",
            moment.source_time,
            moment.rsi_14
        );
        let bar = summary["fields"]["btc_rsi_14"]["observed_at"]
            .as_str()
            .unwrap_or_default();
        assert!(
            bar.starts_with(&moment.last_closed_day),
            "{} used {bar}",
            moment.source_time
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_closed_bar_too_few_gives_a_reason_and_no_value() {
    let moment = "2018-09-07T12:00:00Z";
    let Some(options) = replay(moment) else {
        return;
    };
    let summary = summary_at(moment, options).await;
    assert_eq!(summary["btc_rsi_14"], Value::Null);
    assert_eq!(
        summary["fields"]["btc_rsi_14"]["error"],
        Reason::TooFewBars.code()
    );
}
