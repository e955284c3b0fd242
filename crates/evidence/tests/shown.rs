//! What must be shown, briefly: each in real processes, on a real Redis, over a
//! network of our own. `scripts/prove` runs the same at full size.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{path::Path, time::Duration};

use evidence::{
    chaos, converge, history_run,
    scenario::{Scenario, Size},
    table::Table,
};
use tokio::sync::Mutex;

/// Times are part of what is shown, and the machine may have two cores: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

const SEED: u64 = 20_261_122;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_evidence"))
}

async fn shown(scenario: Scenario) {
    let _turn = TURN.lock().await;
    holds(&scenario.run(program(), Size::Brief).await.unwrap());
}

fn holds(table: &Table) {
    assert!(table.holds(), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_held_in_the_network_while_others_write_is_never_seen() {
    shown(Scenario::LateWrite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_proven_is_older_than_delta_on_a_half_open_link_or_after_a_stop() {
    shown(Scenario::CutOff).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_proven_is_older_than_delta_where_pushes_vanish() {
    shown(Scenario::LostPushes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_redis_cli_is_void_in_every_process() {
    shown(Scenario::Changes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_in_three_processes_cause_one_load_and_one_more_when_it_is_killed() {
    shown(Scenario::OneLoad).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_during_an_outage_is_not_served_after_it() {
    shown(Scenario::Outage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_that_a_removed_group_met_are_not_served_afterwards() {
    shown(Scenario::Groups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_among_foreign_keys_are_removed_in_one_round_trip() {
    shown(Scenario::Scale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_end_with_what_was_written_last() {
    let _turn = TURN.lock().await;
    holds(&converge::run(program(), 12).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promises_hold_under_a_bad_network_and_kills() {
    let _turn = TURN.lock().await;
    let span = Duration::from_secs(8);
    let table = history_run::run(program(), span, SEED, 5_000).await;
    holds(&table.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_is_well_after_some_seconds_of_chaos() {
    let _turn = TURN.lock().await;
    let table = chaos::run(program(), Duration::from_secs(12), SEED).await;
    holds(&table.unwrap());
}
