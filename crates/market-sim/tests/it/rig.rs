//! A simulator with a client.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use market_sim::{Fault, FaultKind, SimOptions, SimTime, Simulator, Source, keys};
use serde_json::Value;

/// No answer takes longer than this; the simulator itself waits for nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// The moment at which most tests take place: within a day, an hour, a minute and a second.
pub(crate) const MOMENT: &str = "2025-03-14T15:09:26.535Z";
pub(crate) const MOMENT_MS: i64 = 1_741_964_966_535;

/// What a well-behaved client sends along: its name, and the keys it has.
const HEADERS: [(&str, &str); 3] = [
    ("user-agent", "market-sim-tests"),
    ("x-cmc_pro_api_key", keys::CMC_API_KEY),
    ("x-finnhub-token", keys::FINNHUB_API_KEY),
];

pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    client: Client<HttpConnector, Full<bytes::Bytes>>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: bytes::Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn number_in(&self, name: &str) -> u64 {
        self.header(name)
            .unwrap_or_else(|| panic!("no header {name}"))
            .parse()
            .unwrap()
    }
}

impl Rig {
    /// A simulator whose present stands at [`MOMENT`].
    pub(crate) async fn frozen() -> Self {
        Self::at(MOMENT).await
    }

    pub(crate) async fn at(moment: &str) -> Self {
        Self::with(SimOptions {
            time: frozen_at(moment),
            ..SimOptions::default()
        })
        .await
    }

    /// A simulator in which no time passes but by steps.
    pub(crate) async fn stepped() -> Self {
        Self::with(stepped()).await
    }

    pub(crate) async fn with(options: SimOptions) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        Self {
            simulator,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(
            answer.status,
            200,
            "{path}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, body).await.unwrap()
    }

    /// The answer to a client that sends these headers and no others.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_with("GET", path, ("", headers)).await.unwrap()
    }

    /// The whole answer, or what kept it from arriving.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Answer, String> {
        self.send_with(method, path, (body, &HEADERS)).await
    }

    async fn send_with(
        &self,
        method: &str,
        path: &str,
        (body, headers): (&str, &[(&str, &str)]),
    ) -> Result<Answer, String> {
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.simulator.address()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let whole = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| error.to_string())?;
            let (head, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| format!("body: {error}"))?
                .to_bytes();
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(PATIENCE, whole)
            .await
            .expect("the simulator answers in time")
    }

    pub(crate) async fn bars(&self, query: &str) -> Vec<Vec<Value>> {
        let bars = self.json(&format!("/binance/api/v3/klines?{query}")).await;
        serde_json::from_value(bars).unwrap()
    }

    pub(crate) fn fail(&self, source: Source, kind: FaultKind) {
        self.simulator.inject(source, Fault::always(kind));
    }
}

/// No time passes but by steps, beginning at [`MOMENT`].
pub(crate) fn stepped() -> SimOptions {
    SimOptions {
        time: SimTime::SteppedFrom(MOMENT.parse().unwrap()),
        ..SimOptions::default()
    }
}

pub(crate) fn frozen_at(moment: &str) -> SimTime {
    SimTime::FrozenAt(moment.parse::<Timestamp>().unwrap())
}

/// A decimal in a string, in units of the eighth place: exact, so that sums can be compared.
pub(crate) fn units(value: &Value) -> i128 {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is not text"));
    let (whole, places) = text
        .split_once('.')
        .unwrap_or_else(|| panic!("{text} has no point"));
    assert_eq!(places.len(), 8, "{text}");
    format!("{whole}{places}").parse().unwrap()
}

pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        number => number
            .as_f64()
            .unwrap_or_else(|| panic!("{number} is no number")),
    }
}
