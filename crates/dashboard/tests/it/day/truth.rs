//! What may be shown: what the market said, for as long as it counts.

use std::{collections::HashMap, time::Duration};

use axum::body::{Body, to_bytes};
use dashboard::market::{
    figure::{Figure, Group, Reading, Sample, Value},
    summary::Summary,
};
use hyper::Request;
use jiff::Timestamp;
use market_sim::{SimOptions, SimTime, Simulator, keys};
use tower_service::Service as _;

use super::world::World;

/// An RSI over fewer bars differs by what those before them still weigh.
const RSI_TOLERANCE: f64 = 1e-6;
/// What a reader of candles may take from the source's time to the last bar.
const SLOWEST: Duration = Duration::from_secs(30);

/// A market that nothing happens to.
pub(crate) struct Truth {
    simulator: Simulator,
    /// Bitcoin's RSI by the day, which holds over the bars before it.
    rsi: HashMap<i64, f64>,
}

impl Truth {
    pub(crate) fn new(start: &str, seed: u64) -> Self {
        let options = SimOptions {
            seed,
            time: SimTime::SteppedFrom(start.parse().expect("a timestamp")),
            ..SimOptions::default()
        };
        let simulator = Simulator::offline(options).expect("a seeded market needs no file");
        Self {
            simulator,
            rsi: HashMap::new(),
        }
    }

    /// Fails on a figure that is older than its hard time, or that the market never had.
    pub(crate) async fn check(&mut self, summary: &Summary, world: &World) {
        for reading in summary.readings() {
            let Reading { figure, state } = reading;
            let Some(sample) = state.sample() else {
                continue;
            };
            let age = age(figure.group(), sample, summary.last_updated());
            let hard = hard(figure.group());
            assert!(
                age <= hard,
                "{figure:?} is {age:?} old, {hard:?} at most: {state:?}"
            );
            let is_true = match (&sample.value, figure) {
                (Value::Text(_), _) => true,
                (Value::Number(rsi), Figure::BtcRsi14) => self.had_rsi(*rsi, sample).await,
                // A lie that nobody can find out: an index of nothing is extreme fear.
                (Value::Whole(0), Figure::FearGreed) if label(summary) == Some("Extreme Fear") => {
                    world.was_a_lie(sample.source, 0.0) || world.was_said(sample.source, 0.0)
                }
                (Value::Number(number), _) => world.was_said(sample.source, *number),
                (Value::Whole(number), _) => world.was_said(sample.source, f64::from(*number)),
            };
            assert!(is_true, "{figure:?} at {}: {state:?}", world.now());
        }
    }

    async fn had_rsi(&mut self, rsi: f64, sample: &Sample) -> bool {
        let received = sample.received_at;
        let before = received.checked_sub(SLOWEST).expect("long after 1970");
        for moment in [received, before] {
            let day = moment.as_second().div_euclid(86_400);
            if !self.rsi.contains_key(&day) {
                let rsi = self.rsi_at(moment).await;
                self.rsi.insert(day, rsi);
            }
            if (self.rsi[&day] - rsi).abs() < RSI_TOLERANCE {
                return true;
            }
        }
        false
    }

    async fn rsi_at(&self, moment: Timestamp) -> f64 {
        self.simulator.set_time(SimTime::SteppedFrom(moment));
        let path = format!(
            "/taapi/rsi?secret={}&exchange=binance&symbol=BTC/USDT&interval=1d&period=14&backtrack=1",
            keys::TAAPI_SECRET
        );
        let request = Request::get(path)
            .body(Body::empty())
            .expect("a sound request");
        let response = self
            .simulator
            .router()
            .call(request)
            .await
            .expect("infallible");
        let body = to_bytes(response.into_body(), 4_096).await.expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        body["value"].as_f64().expect("a number")
    }
}

fn label(summary: &Summary) -> Option<&str> {
    match &summary.state(Figure::FearGreedLabel)?.sample()?.value {
        Value::Text(label) => Some(label),
        _ => None,
    }
}

/// Of an index of the day, a bar or a market that is closed: since it was heard of. Of what changes all
/// the time: since the source says that it was so, which may be ten minutes ago where it caches.
fn age(group: Group, sample: &Sample, at: Timestamp) -> Duration {
    let since = match group {
        Group::Prices => sample.observed_at + Duration::from_secs(2 * 60),
        Group::Global => sample.observed_at + Duration::from_secs(10 * 60),
        _ => sample.received_at,
    };
    let since = since.min(sample.received_at);
    Duration::try_from(at.duration_since(since)).unwrap_or_default()
}

/// How long figures count after their last good reading; upstreams.md 2.8.
fn hard(group: Group) -> Duration {
    let minutes = match group {
        Group::Prices => 15,
        Group::Candles => 60,
        Group::Global => 6 * 60,
        Group::UsStocks => 24 * 60,
        Group::FearGreed | Group::CrossCheck => 48 * 60,
    };
    Duration::from_secs(minutes * 60)
}
