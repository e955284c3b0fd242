//! What the store promises of one report, whichever database keeps it.

use dashboard::report::{
    content::{Body, Content, Language, PerLanguage},
    error::Error,
    record::{Draft, LegacyReport, Publication, Revision, Status},
    store::Reader,
    text::{LegacyHtml, MARKDOWN_MAX_BYTES, Markdown, Summary, Title},
};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::field::{at, content, draft, id, on_each_database, unpublished};

#[tokio::test]
async fn a_report_is_read_as_it_was_written() {
    on_each_database(async |field| {
        let text = "Tổng quan thị trường 📈 'quoted' \\ %s $1 NULL";
        let now: Timestamp = "2026-07-15T12:34:56.789Z".parse().expect("a time");
        let made = field.store.create(draft(text), now).await.expect("kept");
        assert_eq!(made.status, Status::Published);
        assert_eq!(made.revision.get(), 1);
        assert_eq!(made.published_at, Some(now));
        assert_eq!((made.created_at, made.updated_at), (now, now));
        assert_eq!(made.contents, draft(text).contents);
        assert_eq!(
            (&made.symbol, &made.timeframe),
            (&draft("x").symbol, &draft("x").timeframe)
        );
        let read = field.store.by_id(made.id, Reader::Anybody).await;
        assert_eq!(read.expect("it answers"), Some(made));
    })
    .await;
}

#[tokio::test]
async fn a_report_of_one_language_without_symbol_and_of_full_length_is_kept() {
    on_each_database(async |field| {
        let longest = "ờ".repeat(MARKDOWN_MAX_BYTES / "ờ".len());
        let only = Content {
            title: Title::parse(&"đ".repeat(200)).expect("200 characters"),
            summary: Summary::default(),
            body: Body::Markdown(Markdown::parse(&longest).expect("within the limit")),
        };
        let contents = PerLanguage::of(Some(only), None).expect("one");
        let bare = Draft {
            symbol: None,
            timeframe: None,
            contents: contents.clone(),
            publication: Publication::Now,
        };
        let made = field.store.create(bare, at(5)).await.expect("kept");
        assert_eq!(made.contents, contents);
        assert_eq!((&made.symbol, &made.timeframe), (&None, &None));
        let (language, _) = made.contents.get_or_other(Language::En);
        assert_eq!(language, Language::Vi, "the other stands in");
    })
    .await;
}

#[tokio::test]
async fn time_finer_than_a_millisecond_is_cut_off_and_told_so() {
    on_each_database(async |field| {
        let fine: Timestamp = "2026-07-15T12:34:56.789123Z".parse().expect("a time");
        let made = field.store.create(draft("x"), fine).await.expect("kept");
        assert_eq!(made.created_at.to_string(), "2026-07-15T12:34:56.789Z");
    })
    .await;
}

#[tokio::test]
async fn a_draft_is_seen_by_authors_only_until_it_is_published() {
    on_each_database(async |field| {
        let store = &field.store;
        let made = store.create(unpublished("x"), at(1)).await.expect("kept");
        assert_eq!((made.status, made.published_at), (Status::Draft, None));
        let seen = store.by_id(made.id, Reader::Anybody).await;
        assert_eq!(seen.expect("it answers"), None);
        let seen = store.by_id(made.id, Reader::Author).await;
        assert_eq!(seen.expect("it answers"), Some(made.clone()));
        assert_eq!(store.latest_id().await.expect("it answers"), None);
        let revised = store
            .revise(made.id, made.revision, draft("x"), at(2))
            .await;
        let revised = revised.expect("revised");
        assert_eq!(revised.status, Status::Published);
        assert_eq!(revised.published_at, Some(at(2)));
        let seen = store.by_id(made.id, Reader::Anybody).await;
        assert_eq!(seen.expect("it answers"), Some(revised));
    })
    .await;
}

#[tokio::test]
async fn a_revision_replaces_what_is_said_and_keeps_when_it_was_published() {
    on_each_database(async |field| {
        let store = &field.store;
        let made = store.create(draft("old"), at(1)).await.expect("kept");
        let one = PerLanguage::of(None, Some(content("new"))).expect("one");
        let next = Draft {
            symbol: None,
            contents: one.clone(),
            ..unpublished("new")
        };
        let revised = store.revise(made.id, made.revision, next, at(9)).await;
        let revised = revised.expect("revised");
        assert_eq!(revised.contents, one);
        assert_eq!((revised.revision.get(), &revised.symbol), (2, &None));
        assert_eq!((revised.created_at, revised.updated_at), (at(1), at(9)));
        // What everybody has seen does not become a draft again.
        assert_eq!(revised.status, Status::Published);
        assert_eq!(revised.published_at, Some(at(1)));
    })
    .await;
}

#[tokio::test]
async fn of_many_who_read_the_same_revision_one_writes_and_the_others_are_told() {
    on_each_database(async |field| {
        let store = &field.store;
        let made = store.create(draft("first"), at(1)).await.expect("kept");
        let names = (0..12).map(|writer| format!("writer {writer}"));
        let writing = names.map(|name| async move {
            let written = store
                .revise(made.id, made.revision, draft(&name), at(2))
                .await;
            (name, written)
        });
        let (won, lost): (Vec<_>, Vec<_>) = join_all(writing)
            .await
            .into_iter()
            .partition(|(_, written)| written.is_ok());
        assert_eq!((won.len(), lost.len()), (1, 11));
        for (name, written) in lost {
            let error = written.expect_err("it was told");
            assert!(error.is_conflict(), "{name}: {error}");
            assert_eq!(
                error.to_string(),
                format!("report {} is at revision 2, not 1", made.id)
            );
        }
        let stored = store
            .by_id(made.id, Reader::Anybody)
            .await
            .expect("it answers");
        assert_eq!(
            stored.expect("it is there").contents,
            draft(&won[0].0).contents
        );
    })
    .await;
}

#[tokio::test]
async fn a_withdrawn_report_is_out_of_sight_for_good() {
    on_each_database(async |field| {
        let store = &field.store;
        let made = store.create(draft("x"), at(1)).await.expect("kept");
        let withdrawn = store.withdraw(made.id, at(2)).await.expect("withdrawn");
        assert_eq!(withdrawn.status, Status::Withdrawn);
        assert_eq!(withdrawn.revision.get(), 2);
        let again = store.withdraw(made.id, at(3)).await.expect("withdrawn");
        assert_eq!(again, withdrawn, "the second time changes nothing");
        let seen = store.by_id(made.id, Reader::Anybody).await;
        assert_eq!(seen.expect("it answers"), None);
        assert_eq!(store.latest().await.expect("it answers"), None);
        assert_eq!(store.count().await.expect("it answers"), 0);
        let revised = store
            .revise(made.id, withdrawn.revision, draft("y"), at(4))
            .await;
        assert!(matches!(revised, Err(Error::Withdrawn(which)) if which == made.id));
    })
    .await;
}

#[tokio::test]
async fn ids_that_nothing_has_are_no_error_to_read_and_one_to_write() {
    on_each_database(async |field| {
        let store = &field.store;
        for number in [1, i64::from(i32::MAX), 1 << 31, 1 << 32, i64::MAX] {
            let missing = id(number);
            let read = store.by_id(missing, Reader::Author).await;
            assert_eq!(read.expect("it answers"), None, "{number}");
            let first = Revision::new(1).expect("a revision");
            let revised = store.revise(missing, first, draft("x"), at(1)).await;
            assert!(matches!(revised, Err(Error::NotFound(which)) if which == missing));
            let withdrawn = store.withdraw(missing, at(1)).await;
            assert!(matches!(withdrawn, Err(Error::NotFound(which)) if which == missing));
        }
    })
    .await;
}

#[tokio::test]
async fn a_legacy_row_keeps_its_id_and_its_markup_and_new_reports_get_other_ids() {
    on_each_database(async |field| {
        let store = &field.store;
        let markup = "<p onclick=\"x()\">Báo cáo</p><script>x()</script>\r\n";
        let legacy = |number| {
            let body = LegacyHtml::parse(markup).expect("markup");
            let content = Content {
                body: Body::Legacy(body),
                ..content("old")
            };
            let contents = PerLanguage::of(Some(content), None).expect("one");
            LegacyReport::new(id(number), at(77), contents).expect("an id of its time")
        };
        let first = store.create(draft("new"), at(100)).await.expect("kept");
        let kept = store.import(legacy(41)).await.expect("imported");
        assert_eq!((kept.id, kept.status), (id(41), Status::Published));
        assert_eq!(kept.published_at, Some(at(77)));
        let content = kept.contents.get(Language::Vi).expect("it has one");
        assert!(matches!(&content.body, Body::Legacy(html) if html.unsanitised() == markup));
        for taken in [41, first.id.get()] {
            let again = store.import(legacy(taken)).await;
            assert!(matches!(again, Err(Error::AlreadyThere(which)) if which == id(taken)));
        }
        let next = store.create(draft("next"), at(101)).await.expect("kept");
        assert!(next.id > id(41), "{}", next.id);
        store.import(legacy(40)).await.expect("imported");
        let last = store.create(draft("last"), at(102)).await.expect("kept");
        assert!(
            last.id > next.id,
            "an import of a lower id gives none out again"
        );
        store
            .import(legacy(i64::from(i32::MAX)))
            .await
            .expect("imported");
        let beyond = store.create(draft("beyond"), at(103)).await.expect("kept");
        assert!(beyond.id.get() > i64::from(i32::MAX));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_is_no_report_is_told_and_harms_no_other() {
    on_each_database(async |field| {
        let store = &field.store;
        let sound = store.create(draft("sound"), at(1)).await.expect("kept");
        let hurt = store.create(draft("hurt"), at(2)).await.expect("kept");
        field
            .execute("UPDATE report_content SET title = '' WHERE title = 'hurt'")
            .await;
        let read = store.by_id(hurt.id, Reader::Anybody).await;
        let error = read.expect_err("it is no report");
        assert!(matches!(error, Error::Damaged { id, .. } if id == hurt.id.get()));
        let read = store.by_id(sound.id, Reader::Anybody).await;
        assert_eq!(read.expect("it answers"), Some(sound));
    })
    .await;
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_made_whole_or_not_at_all() {
    on_each_database(async |field| {
        let store = &field.store;
        let made = store.create(draft("0"), at(1)).await.expect("kept");
        for polls in 1..40 {
            let text = polls.to_string();
            let current = store
                .by_id(made.id, Reader::Author)
                .await
                .expect("it answers");
            let revision = current.expect("it is there").revision;
            let mut writing = store.revise(made.id, revision, draft(&text), at(2));
            // Each poll lets it get one answer further.
            for _ in 0..polls {
                if futures_util::poll!(writing.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(writing);
            let stored = store
                .by_id(made.id, Reader::Author)
                .await
                .expect("it answers");
            let stored = stored.expect("it is there").contents;
            let vi = stored.get(Language::Vi);
            assert!(vi.is_some() && vi == stored.get(Language::En), "{stored:?}");
        }
        let last = store.create(draft("last"), at(3)).await;
        last.expect("no connection was lost to it");
    })
    .await;
}
