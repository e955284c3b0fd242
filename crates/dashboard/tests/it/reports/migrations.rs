//! How a database comes to its schema.

use dashboard::report::{error::Error, store::Reader};
use futures_util::future::join_all;

use super::field::{Field, at, draft, on_each_database, open};

#[tokio::test]
async fn programs_that_start_at_once_migrate_once() {
    // The first moment of a new file is short: several of them, to meet in it.
    for _ in 0..10 {
        programs_start_on(&Field::sqlite()).await;
    }
    programs_start_on(&Field::postgres().await).await;
}

async fn programs_start_on(field: &Field) {
    let stores: Vec<_> = (0..6).map(|_| open(&field.address)).collect();
    for migrated in join_all(stores.iter().map(|store| store.migrate())).await {
        migrated.expect("one migrates, the others wait");
    }
    let made = stores[0].create(draft("x"), at(1)).await.expect("kept");
    for store in &stores {
        let read = store.by_id(made.id, Reader::Anybody).await;
        assert!(read.expect("it answers").is_some());
    }
}

#[tokio::test]
async fn a_database_that_is_there_already_keeps_what_it_has() {
    on_each_database(async |field| {
        let made = field.store.create(draft("x"), at(1)).await.expect("kept");
        field.store.close().await;
        let again = open(&field.address);
        again.migrate().await.expect("nothing to do");
        let read = again.by_id(made.id, Reader::Anybody).await;
        assert_eq!(read.expect("it answers"), Some(made));
    })
    .await;
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_refused_and_left_alone() {
    on_each_database(async |field| {
        field.store.migrate().await.expect("migrated");
        field
            .execute(
                "INSERT INTO _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 SELECT 999, 'newer', success, checksum, execution_time FROM _sqlx_migrations",
            )
            .await;
        let older = open(&field.address);
        for refused in [older.migrate().await, older.count().await.map(drop)] {
            assert!(matches!(refused, Err(Error::Schema(_))), "{refused:?}");
        }
    })
    .await;
}
