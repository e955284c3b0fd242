//! Lists and what is latest, whichever database keeps them.

use dashboard::report::{
    content::Language,
    page::{Cursor, PageNumber},
    record::ReportId,
    store::Store,
};

use super::field::{at, draft, id, on_each_database, size, unpublished};

/// Publishes reports at these moments, and hands out their ids.
async fn published(store: &dyn Store, moments: &[i64]) -> Vec<ReportId> {
    let mut ids = Vec::new();
    for ms in moments {
        let made = store.create(draft(&format!("at {ms}")), at(*ms)).await;
        ids.push(made.expect("kept").id);
    }
    ids
}

async fn walked(store: &dyn Store, step: u32) -> Vec<ReportId> {
    let mut met = Vec::new();
    let mut cursor = None;
    loop {
        let page = store
            .page_behind(cursor, size(step))
            .await
            .expect("it answers");
        met.extend(page.reports.iter().map(|report| report.id));
        let Some(next) = page.next else {
            return met;
        };
        // What goes out as text comes back as text.
        cursor = Some(Cursor::parse(&next.to_string()).expect("a cursor of ours"));
    }
}

#[tokio::test]
async fn an_empty_store_has_an_empty_list_and_no_latest() {
    on_each_database(async |field| {
        let store = &field.store;
        assert_eq!(store.latest_id().await.expect("it answers"), None);
        assert_eq!(store.latest().await.expect("it answers"), None);
        assert_eq!(store.count().await.expect("it answers"), 0);
        assert_eq!(walked(&**store, 10).await, []);
    })
    .await;
}

#[tokio::test]
async fn the_latest_is_the_one_published_last_not_the_one_made_last() {
    on_each_database(async |field| {
        let store = &field.store;
        let ids = published(&**store, &[30, 10, 20]).await;
        let hidden = store
            .create(unpublished("draft"), at(99))
            .await
            .expect("kept");
        assert_eq!(store.latest_id().await.expect("it answers"), Some(ids[0]));
        let latest = store
            .latest()
            .await
            .expect("it answers")
            .expect("there is one");
        assert_eq!(latest.id, ids[0]);
        assert_eq!(store.count().await.expect("it answers"), 3);
        let out = store
            .revise(hidden.id, hidden.revision, draft("out"), at(100))
            .await;
        out.expect("published");
        assert_eq!(
            store.latest_id().await.expect("it answers"),
            Some(hidden.id)
        );
        store.withdraw(hidden.id, at(101)).await.expect("withdrawn");
        assert_eq!(store.latest_id().await.expect("it answers"), Some(ids[0]));
    })
    .await;
}

#[tokio::test]
async fn a_walk_by_cursor_meets_each_report_once_newest_first() {
    on_each_database(async |field| {
        // Several at one moment, and one before 1970: the id decides among equals.
        let store = &field.store;
        let ids = published(&**store, &[50, 10, 50, 50, -20, 70, 10]).await;
        let newest_first = [5, 3, 2, 0, 6, 1, 4].map(|at| ids[at]);
        for step in [1, 2, 3, 7, 100] {
            assert_eq!(
                walked(&**store, step).await,
                newest_first,
                "{step} at a time"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_walk_is_not_disturbed_by_reports_that_come_and_go() {
    on_each_database(async |field| {
        let store = &field.store;
        let ids = published(&**store, &[10, 20, 30, 40]).await;
        let page = store.page_behind(None, size(2)).await.expect("it answers");
        published(&**store, &[50, 60]).await;
        store.withdraw(ids[2], at(70)).await.expect("withdrawn");
        let rest = store
            .page_behind(page.next, size(2))
            .await
            .expect("it answers");
        let met: Vec<_> = rest.reports.iter().map(|report| report.id).collect();
        assert_eq!(met, [ids[1], ids[0]]);
        assert_eq!(rest.next, None);
    })
    .await;
}

#[tokio::test]
async fn numbered_pages_cut_the_same_list() {
    on_each_database(async |field| {
        let store = &field.store;
        let ids = published(&**store, &[10, 20, 30, 40, 50]).await;
        let page = async |number| {
            let number = PageNumber::new(number).expect("within its bounds");
            store
                .page_numbered(number, size(2))
                .await
                .expect("it answers")
        };
        let on = |page: &dashboard::report::page::Page| -> Vec<ReportId> {
            page.reports.iter().map(|report| report.id).collect()
        };
        assert_eq!(on(&page(1).await), [ids[4], ids[3]]);
        assert_eq!(on(&page(2).await), [ids[2], ids[1]]);
        assert!(page(2).await.next.is_some());
        assert_eq!(on(&page(3).await), [ids[0]]);
        assert_eq!(page(3).await.next, None);
        for beyond in [4, 100_000] {
            assert_eq!(on(&page(beyond).await), []);
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_says_what_each_report_is_about_in_each_language() {
    on_each_database(async |field| {
        let store = &field.store;
        published(&**store, &[10]).await;
        let page = store.page_behind(None, size(1)).await.expect("it answers");
        let listed = page.reports.first().expect("there is one");
        assert_eq!((listed.id, listed.published_at), (id(1), at(10)));
        for language in Language::ALL {
            let heading = listed.headings.get(language).expect("it has both");
            assert_eq!(heading.title.as_str(), "at 10");
            assert_eq!(heading.summary.as_str(), "What at 10 says");
        }
    })
    .await;
}
