//! What is told of a source that is well again.

use dashboard::market::figure::{Reason, Source as Of};
use market_sim::FaultKind;

use super::{
    PLACES,
    queue::{Outage, everything},
    runtime,
    stage::{Patience, Stage, moments},
};

#[test]
fn nothing_is_held_against_a_source_that_is_well_again() {
    let mut wrong = Vec::new();
    for (failing, gone) in PLACES {
        let outage = Outage {
            failing: vec![failing],
            failure: (FaultKind::Garbage, Reason::NotDecodable),
            hits: everything,
            gone,
        };
        let flaws = runtime().block_on(flaws(&outage));
        wrong.extend(flaws.into_iter().map(|flaw| format!("{outage:?}: {flaw}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn flaws(outage: &Outage) -> Vec<String> {
    let [start, _] = moments();
    let stage = Stage::at(start, Patience::Ample).await;
    stage.refreshed().await;
    stage.wait().await;
    stage.suffer(outage).await;
    stage.refreshed().await;
    stage.stand.simulator.reset();
    stage.wait().await;
    let summary = stage.refreshed().await;
    // Who stood in and failed is not asked again; that is not held against it for ever.
    stage.wait().await;
    stage.refreshed().await;
    let sources = stage.json("/api/v1/sources").await;

    let mut flaws = Vec::new();
    if summary["partial_failure"] != false {
        flaws.push(format!("the summary is {summary}"));
    }
    for report in sources["sources"].as_array().expect("a list") {
        let is_asked_again =
            |of: &Of| report["source"] == of.name() && Outage::none().is_asked(*of);
        if Of::ALL.iter().any(is_asked_again) && !report["last_error"].is_null() {
            flaws.push(format!("the report is {report}"));
        }
    }
    flaws
}
