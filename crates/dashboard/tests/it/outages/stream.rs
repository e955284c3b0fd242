//! The stream of prices switched to every failure: whatever becomes of it, prices are asked for.

use dashboard::market::stream::Pace;
use market_sim::{FaultKind, Source};

use super::{
    failure,
    queue::{Known, Outage},
    runtime,
    stage::{Patience, Stage, moments},
    truth::Truths,
    verdict::{sources_flaws, summary_flaws},
};
use crate::rig::until;

const ATTEMPTS: &str = "binance-ws /stream";

#[test]
fn when_the_stream_cannot_be_had_prices_are_asked_for_and_no_source_is_blamed() {
    let truths = runtime().block_on(Truths::of(moments(), &[]));
    let menu = [failure::menu(), failure::slow()].concat();
    // Who lies opens a stream all the same: what comes of that is told beside its other messages.
    let is_refusal = |(kind, _): &failure::Failure| !matches!(kind, FaultKind::Skew { .. });
    let mut wrong = Vec::new();
    for (kind, _) in menu.into_iter().filter(is_refusal) {
        let flaws = runtime().block_on(flaws(&kind, &truths));
        wrong.extend(flaws.into_iter().map(|flaw| format!("{kind:?}: {flaw}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn flaws(kind: &FaultKind, truths: &Truths) -> Vec<String> {
    let [_, end] = moments();
    let stage = Stage::at(end, Patience::Ample).await;
    stage.fail(Source::BinanceWs, kind).await;
    let _listening = stage.service().stream_with(Pace::default());
    until("an attempt at a stream", || async {
        (stage.stand.calls(ATTEMPTS) > 0).then_some(())
    })
    .await;
    let summary = stage.refreshed().await;
    let sources = stage.json("/api/v1/sources").await;
    let well = Outage::none();
    let mut flaws = summary_flaws(&summary, &well, Known::Nothing, truths);
    let calls_of = |of| stage.calls_of(of);
    flaws.extend(sources_flaws(&sources, &well, Known::Nothing, calls_of));
    let binance = &sources["sources"][0];
    let stream = &binance["stream"];
    if stream["state"] != "connecting" {
        flaws.push(format!("the stream of {} is {stream}", binance["source"]));
    }
    flaws
}
