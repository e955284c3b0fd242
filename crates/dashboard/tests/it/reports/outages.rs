//! A database that is away, slow or locked: what a caller is told, how soon, and when it is over.
//! Rows G1 and G2 of docs/faults.md, as far as the store alone can show them.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dashboard::report::{
    error::Error,
    store::{Reader, Store},
};
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor as _, PgConnection, query_scalar};

use super::field::{Field, at, draft, id, open, size, sqlite};
use crate::postgres::Postgres;

/// Until when a caller is told, on a machine that others use too.
const TOLD_LIMIT: Duration = Duration::from_millis(2_500);
/// Until when all works again after the database does.
const RECOVERY_LIMIT: Duration = Duration::from_secs(3);

/// What a call says of a database that is away, and that it says so in time.
async fn told<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Error>>) {
    let asked = Instant::now();
    let error = call.await.expect_err("the database is away");
    assert!(asked.elapsed() <= TOLD_LIMIT, "{:?}", asked.elapsed());
    assert!(error.is_unavailable(), "{error:?}");
    let text = error.to_string();
    assert_eq!(text, "the reports' database is not available");
}

/// Many calls at once, of every kind that reads.
async fn all_are_told(store: &dyn Store) {
    let calls = (0..30).map(|number| async move {
        match number % 3 {
            0 => told(store.by_id(id(1), Reader::Anybody)).await,
            1 => told(store.page_behind(None, size(10))).await,
            _ => told(store.latest_id()).await,
        }
    });
    join_all(calls).await;
}

async fn recovers(store: &dyn Store) {
    let since = Instant::now();
    while let Err(error) = store.latest_id().await {
        assert!(error.is_unavailable(), "{error:?}");
        assert!(since.elapsed() < RECOVERY_LIMIT, "{error:?}");
        tokio::task::yield_now().await;
    }
    assert!(since.elapsed() < RECOVERY_LIMIT, "{:?}", since.elapsed());
    let made = store.create(draft("after"), at(9)).await.expect("kept");
    let read = store.by_id(made.id, Reader::Anybody).await;
    assert_eq!(read.expect("it answers"), Some(made));
}

#[tokio::test]
async fn a_server_that_stops_is_told_in_time_and_is_used_again_when_it_returns() {
    let mut server = Postgres::start().await;
    let store = open(&server.database().await);
    let kept = store.create(draft("before"), at(1)).await.expect("kept");
    server.stop();
    all_are_told(&*store).await;
    told(store.create(draft("lost"), at(2))).await;
    server.launch().await;
    recovers(&*store).await;
    let read = store.by_id(kept.id, Reader::Anybody).await;
    assert_eq!(read.expect("it answers"), Some(kept));
    assert_eq!(
        store.count().await.expect("it answers"),
        2,
        "the lost one is not there"
    );
}

#[tokio::test]
async fn a_server_that_answers_nothing_is_told_in_time_and_costs_no_connection() {
    let server = Postgres::start().await;
    let store = open(&server.database().await);
    store.create(draft("before"), at(1)).await.expect("kept");
    // As many connections as the store opens.
    join_all((0..30).map(|_| store.latest_id())).await;
    server.freeze();
    for _ in 0..2 {
        all_are_told(&*store).await;
    }
    server.thaw();
    recovers(&*store).await;
}

#[tokio::test]
async fn connections_that_never_answer_again_are_replaced() {
    let server = Postgres::start().await;
    let address = server.database().await;
    let store = open(&address);
    store.create(draft("before"), at(1)).await.expect("kept");
    let connected = PgConnection::connect(&address).await;
    let mut other = connected.expect("it answers");
    let pid = query_scalar("SELECT pg_backend_pid()");
    let pid: i32 = pid.fetch_one(&mut other).await.expect("it answers");
    other
        .execute("BEGIN; LOCK TABLE crypto_report")
        .await
        .expect("it is locked");
    // All of the store's connections are in the middle of a call when they fall silent.
    let silence = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        let mut watched: i64 = 0;
        while watched < 8 {
            let counted = query_scalar(waiting).fetch_one(&mut other).await;
            watched = counted.expect("it answers");
        }
        server.freeze_connections_but(pid);
    };
    tokio::join!(all_are_told(&*store), silence);
    other.execute("ROLLBACK").await.expect("it is free");
    recovers(&*store).await;
}

#[tokio::test]
async fn a_server_that_comes_later_than_the_program_is_used_when_it_comes() {
    let mut server = Postgres::absent();
    let store = open(&server.address("postgres"));
    told(store.migrate()).await;
    told(store.latest_id()).await;
    server.launch().await;
    recovers(&*store).await;
}

#[tokio::test]
async fn a_table_that_somebody_locks_is_told_in_time_by_all_who_wait() {
    let field = Field::postgres().await;
    field.store.create(draft("x"), at(1)).await.expect("kept");
    let connected = PgConnection::connect(&field.address).await;
    let mut other = connected.expect("it answers");
    let mut holding = other.begin().await.expect("it answers");
    let lock = "LOCK TABLE crypto_report IN ACCESS EXCLUSIVE MODE";
    holding.execute(lock).await.expect("it is locked");
    all_are_told(&*field.store).await;
    told(field.store.withdraw(id(1), at(2))).await;
    holding.rollback().await.expect("it answers");
    recovers(&*field.store).await;
}

#[tokio::test]
async fn a_file_that_somebody_writes_to_is_told_in_time_and_is_read_meanwhile() {
    let field = Field::sqlite();
    let kept = field.store.create(draft("x"), at(1)).await.expect("kept");
    let mut other = sqlite(&path_of(&field)).await;
    other
        .execute("BEGIN IMMEDIATE")
        .await
        .expect("it is locked");
    let writers = (0..5).map(|_| told(field.store.create(draft("y"), at(2))));
    join_all(writers).await;
    let read = field.store.by_id(kept.id, Reader::Anybody).await;
    assert_eq!(read.expect("readers do not wait"), Some(kept));
    other.execute("ROLLBACK").await.expect("it is free");
    recovers(&*field.store).await;
    assert_eq!(field.store.count().await.expect("it answers"), 2);
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_told_at_once_and_not_made_anew() {
    let field = Field::sqlite();
    let kept = field.store.create(draft("x"), at(1)).await.expect("kept");
    let path = path_of(&field);
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).expect("it is moved");
    all_are_told(&*field.store).await;
    told(field.store.create(draft("lost"), at(2))).await;
    assert!(!path.exists());
    std::fs::write(&path, "").expect("another file");
    told(field.store.create(draft("lost"), at(2))).await;
    std::fs::rename(&away, &path).expect("it is moved back");
    recovers(&*field.store).await;
    let read = field.store.by_id(kept.id, Reader::Anybody).await;
    assert_eq!(read.expect("it answers"), Some(kept));
}

#[tokio::test]
async fn a_path_at_which_no_file_can_be_made_is_told() {
    let folder = super::field::Folder::new();
    let file = folder.0.join("file");
    std::fs::write(&file, "").expect("a file");
    let store = open(&format!("sqlite://{}/reports.db", file.display()));
    told(store.migrate()).await;
    told(store.latest_id()).await;
}

fn path_of(field: &Field) -> PathBuf {
    let path = field.address.strip_prefix("sqlite://");
    Path::new(path.expect("a file")).to_owned()
}
