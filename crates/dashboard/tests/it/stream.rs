//! Prices by Binance's stream, and what happens when it fails.

use std::{sync::Arc, time::Duration};

use dashboard::{
    cache::keys::Interval,
    indicator::Indicator,
    market::{
        answer::{Connection, StreamReport},
        service::DataService,
        stream::Pace,
        symbol::Symbol,
    },
};
use market_sim::{Fault, FaultKind, Poison, SimOptions, SimTime, Source};
use serde_json::Value;
use tokio_util::sync::DropGuard;

use crate::{
    rig::{Rig, until},
    stand::{Stand, json},
};

const TICKERS: &str = "binance /api/v3/ticker/24hr";
const KLINES: &str = "binance /api/v3/klines";
const ATTEMPTS: &str = "binance-ws /stream";

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// A service that listens to the stream of a simulator in which time goes by steps alone.
struct Listening {
    stand: Stand,
    service: Arc<DataService>,
    stream: Option<DropGuard>,
}

/// So quick that no test waits for it, and so patient that only what a test orders ends it.
fn pace() -> Pace {
    Pace {
        gather: Duration::from_millis(10),
        lasts: HOUR,
        silence: HOUR,
        wait: Duration::from_millis(1),
        wait_max: Duration::from_millis(20),
        attempts: 10_000,
        garbage: 1_000,
        ..Pace::default()
    }
}

/// A coin's price and change in the JSON.
fn names(symbol: Symbol) -> [String; 2] {
    [
        format!("{symbol}_price_usd"),
        format!("{symbol}_change_24h"),
    ]
}

impl Listening {
    async fn new(pace: Pace) -> Self {
        Self::starting_at("2025-03-14T12:00:00Z", pace).await
    }

    async fn starting_at(moment: &str, pace: Pace) -> Self {
        let time = SimTime::SteppedFrom(moment.parse().expect("a moment"));
        let mut stand = Stand::with_simulator(SimOptions {
            time,
            ..SimOptions::default()
        })
        .await;
        // Without the stream, each round asks for prices.
        stand.config.refresh_interval = Duration::from_millis(1);
        let service = stand.service_at(moment);
        Self {
            stream: Some(service.stream_with(pace)),
            stand,
            service,
        }
    }

    async fn round(&self) -> Value {
        json(&self.service.fetch_dashboard_summary_direct().await.value)
    }

    fn report(&self) -> Option<StreamReport> {
        let mut reports = self.service.sources().into_iter();
        reports.find_map(|report| report.stream)
    }

    fn count(&self, of: impl Fn(&StreamReport) -> u64) -> u64 {
        self.report().as_ref().map_or(0, of)
    }

    /// Lets time pass until a round finds all prices without asking for them.
    async fn streaming(&self) -> Value {
        until("prices by stream", || async {
            self.stand.simulator.step(SECOND);
            let before = self.stand.calls(TICKERS);
            let summary = self.round().await;
            (self.stand.calls(TICKERS) == before).then_some(summary)
        })
        .await
    }

    /// Waits until rounds have the very prices that the source has now, and gives them.
    async fn settled(&self) -> Value {
        self.streaming().await;
        let mut right = Vec::new();
        for symbol in Symbol::ALL {
            let ticker = self.service.fetch_market_data_direct(symbol).await;
            right.push(ticker.expect("the source answers").value);
        }
        until("the newest prices", || async {
            let summary = self.round().await;
            let is_right = right.iter().all(|ticker| {
                let [price, change] = names(ticker.symbol);
                summary[price] == ticker.price && summary[change].as_f64() == ticker.change_24h
            });
            is_right.then_some(summary)
        })
        .await
    }

    /// Waits until a round asks for prices again.
    async fn asking(&self) {
        let before = self.stand.calls(TICKERS);
        until("prices to be asked for", || async {
            self.round().await;
            (self.stand.calls(TICKERS) > before).then_some(())
        })
        .await;
    }

    async fn reconnected(&self, times: u64) {
        until("another connection", || async {
            let report = self.report()?;
            (report.connection == Connection::Connected && report.reconnects >= times).then_some(())
        })
        .await;
    }

    fn spoil(&self, kind: FaultKind) {
        let fault = Fault {
            endpoint: Some("frames".to_owned()),
            ..Fault::always(kind)
        };
        self.stand.simulator.inject(Source::BinanceWs, fault);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_come_by_stream_and_are_asked_for_no_more() {
    let listening = Listening::new(pace()).await;
    listening.streaming().await;
    let asked = listening.stand.calls(TICKERS);
    listening.stand.simulator.step(60 * SECOND);
    let summary = listening.settled().await;
    for symbol in Symbol::ALL {
        let field = &summary["fields"][&names(symbol)[0]];
        assert_eq!(field["status"], "fresh", "{field}");
        assert_eq!(
            (&field["source"], &field["quote"]),
            (&"binance".into(), &"USDT".into())
        );
    }
    let to_compare = Symbol::ALL.len() as u64;
    assert_eq!(listening.stand.calls(TICKERS), asked + to_compare);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_stood_in_for_at_once_and_comes_back() {
    let listening = Listening::new(pace()).await;
    listening.streaming().await;
    let refused = FaultKind::Status {
        status: 503,
        retry_after: None,
    };
    listening.stand.break_source(Source::BinanceWs, refused);
    listening.stand.simulator.drop_streams();
    listening.asking().await;
    let report = listening.report().expect("it goes on trying");
    assert_eq!(report.connection, Connection::Reconnecting);
    listening.stand.simulator.reset();
    listening.streaming().await;
    assert_eq!(listening.count(|report| report.reconnects), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_end_is_followed_by_a_new_connection_at_once() {
    let listening = Listening::new(Pace {
        wait: HOUR,
        wait_max: HOUR,
        ..pace()
    })
    .await;
    listening.streaming().await;
    let asked = listening.stand.calls(TICKERS);
    listening.stand.simulator.announce_shutdown();
    listening.reconnected(1).await;
    listening.round().await;
    assert_eq!(
        listening.stand.calls(TICKERS),
        asked,
        "nobody had to stand in"
    );
    // A server that does nothing else is not called again and again.
    listening.stand.simulator.announce_shutdown();
    listening.asking().await;
    assert_eq!(listening.stand.calls(ATTEMPTS), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_comes_or_that_is_old_is_replaced() {
    let moment = Duration::from_millis(50);
    for pace in [
        Pace {
            silence: moment,
            ..pace()
        },
        Pace {
            life: moment,
            ..pace()
        },
    ] {
        // No time passes in the simulator, and so it has nothing to say.
        Listening::new(pace).await.reconnected(3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_that_are_not_renewed_are_asked_for_though_the_connection_stands() {
    let listening = Listening::new(Pace {
        lasts: Duration::from_millis(500),
        ..pace()
    })
    .await;
    listening.streaming().await;
    listening.spoil(FaultKind::Hang);
    listening.asking().await;
    assert_eq!(listening.count(|report| report.reconnects), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_no_use_change_no_figure() {
    let listening = Listening::new(pace()).await;
    let poison = |value| FaultKind::Poison { value };
    for kind in [
        FaultKind::Garbage,
        FaultKind::Html,
        FaultKind::Empty,
        FaultKind::Pending,
        FaultKind::Status {
            status: 500,
            retry_after: None,
        },
        FaultKind::Redirect {
            to: "http://127.0.0.1:1/".to_owned(),
        },
        poison(Poison::Nan),
        poison(Poison::Text),
        poison(Poison::Empty),
        poison(Poison::Listed),
        poison(Poison::Zero),
        poison(Poison::Negative),
        poison(Poison::Huge),
        poison(Poison::WrongType),
        poison(Poison::Null),
        FaultKind::PoisonField {
            field: "E".to_owned(),
            value: Poison::Text,
        },
        FaultKind::PoisonField {
            field: "s".to_owned(),
            value: Poison::Null,
        },
    ] {
        let before = listening.settled().await;
        listening.spoil(kind.clone());
        let rejected = listening.count(|report| report.rejected);
        listening.stand.simulator.step(SECOND);
        until("the messages to be refused", || async {
            (listening.count(|report| report.rejected) >= rejected + 7).then_some(())
        })
        .await;
        let after = listening.round().await;
        for symbol in Symbol::ALL {
            for name in names(symbol) {
                assert_eq!(after[&name], before[&name], "{kind:?}: {name}");
                let status = &after["fields"][&name]["status"];
                assert_eq!(status, "fresh", "{kind:?}: {name}");
            }
        }
        listening.stand.simulator.reset();
    }
    assert_eq!(listening.count(|report| report.reconnects), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_sees_another_market_is_marked_and_takes_no_good_price_away() {
    for percent in [50, 150] {
        let listening = Listening::new(pace()).await;
        let before = listening.settled().await;
        listening.spoil(FaultKind::Skew { percent });
        let heard = listening.count(|report| report.messages);
        listening.stand.simulator.step(SECOND);
        until("the lies", || async {
            (listening.count(|report| report.messages) >= heard + 7).then_some(())
        })
        .await;
        let marked = until("every price to be marked", || async {
            let summary = listening.round().await;
            let is_marked =
                |symbol| summary["fields"][&names(symbol)[0]]["error"] == "sources_disagree";
            Symbol::ALL.into_iter().all(is_marked).then_some(summary)
        })
        .await;
        for symbol in Symbol::ALL {
            for name in names(symbol) {
                assert_eq!(marked[&name], before[&name], "{percent}: {name}");
                let status = &marked["fields"][&name]["status"];
                assert_eq!(status, "stale", "{percent}: {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_of_no_use_in_a_row_or_one_without_end_bring_another_connection() {
    for (kind, garbage) in [(FaultKind::Garbage, 10), (FaultKind::Oversized, 1_000)] {
        let listening = Listening::new(Pace { garbage, ..pace() }).await;
        listening.streaming().await;
        listening.spoil(kind);
        until("the connection to be given up", || async {
            listening.stand.simulator.step(SECOND);
            (listening.count(|report| report.reconnects) > 0).then_some(())
        })
        .await;
        assert!(listening.count(|report| report.rejected) > 0);
        listening.stand.simulator.reset();
        listening.streaming().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered() {
    let listening = Listening::new(pace()).await;
    listening.streaming().await;
    for _ in 0..6 {
        let heard = listening.count(|report| report.messages);
        listening.stand.simulator.step(20 * SECOND);
        // Tickers come behind the ping: by the last of them the answer is on its way.
        until("the tickers behind a ping", || async {
            (listening.count(|report| report.messages) >= heard + 7).then_some(())
        })
        .await;
    }
    assert_eq!(listening.stand.simulator.open_streams(), 1);
    assert_eq!(listening.count(|report| report.reconnects), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_limited_whatever_fails() {
    let refused = FaultKind::Status {
        status: 418,
        retry_after: None,
    };
    let mut refusing = Vec::new();
    for attempts in [5, 100] {
        let listening = Listening::new(Pace { attempts, ..pace() }).await;
        listening
            .stand
            .break_source(Source::BinanceWs, refused.clone());
        listening.stand.simulator.drop_streams();
        refusing.push(listening);
    }
    until("a hundred attempts", || async {
        (refusing[1].stand.calls(ATTEMPTS) >= 100).then_some(())
    })
    .await;
    // In the same time.
    assert_eq!(refusing[0].stand.calls(ATTEMPTS), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_closes_the_stream_and_asks_for_prices_again() {
    let mut listening = Listening::new(pace()).await;
    listening.streaming().await;
    drop(listening.stream.take());
    until("the stream to be closed", || async {
        (listening.stand.simulator.open_streams() == 0 && listening.report().is_none())
            .then_some(())
    })
    .await;
    listening.asking().await;
    // Whoever leads again listens again.
    listening.stream = Some(listening.service.stream_with(pace()));
    listening.streaming().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_that_closes_brings_a_new_rsi_long_before_candles_are_due() {
    let listening = Listening::starting_at("2025-03-14T23:59:50Z", pace()).await;
    listening.streaming().await;
    let bar = |summary: &Value| summary["fields"]["btc_rsi_14"]["observed_at"].clone();
    let before = bar(&listening.round().await);
    let cached = || async {
        let (coin, rsi, day) = (Symbol::Btc, Indicator::RSI_14, Interval::Day1);
        let read = listening.service.fetch_technical_indicator(coin, rsi, day);
        read.await.expect("the source answers").value.bar_time
    };
    let day_before = cached().await;
    let asked = listening.stand.calls(KLINES);
    listening.stand.simulator.step(15 * SECOND);
    until("the RSI of the new bar", || async {
        (bar(&listening.round().await) != before).then_some(())
    })
    .await;
    until("and whoever asks for it alone has it", || async {
        (cached().await > day_before).then_some(())
    })
    .await;
    assert_eq!(listening.stand.calls(KLINES), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_listens_and_tells_how_the_stream_does() {
    let rig = Rig::start(&[]).await;
    let stream = until("an open stream", || async {
        let sources = rig.get("/api/v1/sources").await.json();
        let sources = sources["sources"].as_array().expect("a list").clone();
        let binance = sources.into_iter().find(|one| one["source"] == "binance")?;
        let stream = binance["stream"].clone();
        (stream["state"] == "connected" && stream["messages"].as_u64() > Some(0)).then_some(stream)
    })
    .await;
    assert_eq!(
        (&stream["reconnects"], &stream["rejected"]),
        (&0.into(), &0.into())
    );
    assert!(stream["since"].is_string());
}
