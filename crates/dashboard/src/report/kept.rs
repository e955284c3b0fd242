//! What the store does, once for both databases.

use std::future::Future;

use futures_util::{FutureExt as _, future::BoxFuture};
use jiff::Timestamp;
use tokio::{sync::OnceCell, time::timeout};

use super::{
    content::{Body, Content, PerLanguage},
    error::Error,
    page::{Cursor, Page, PageNumber, PageSize},
    record::{
        Draft, LegacyReport, Publication, Report, ReportId, Revision, Status, Symbol, Timeframe,
    },
    row::ReportRow,
    session::{Database, Session, Value, Writing, late, told},
    statement,
    store::{Answer, CALL_LIMIT, MIGRATE_LIMIT, Reader, Store},
};

/// Reports kept in a database.
#[derive(Debug)]
pub(super) struct Kept<D> {
    database: D,
    /// Filled when the schema was found to be this program's, or made so.
    is_migrated: OnceCell<()>,
}

impl<D: Database> Kept<D> {
    pub(super) fn in_database(database: D) -> Self {
        Self {
            database,
            is_migrated: OnceCell::new(),
        }
    }

    async fn migrated(&self) -> Result<(), Error> {
        let migrate = || self.database.migrate();
        let done = self.is_migrated.get_or_try_init(migrate).await;
        done.map_err(told::<D>)?;
        Ok(())
    }

    async fn reading(&self) -> Result<Box<dyn Session>, Error> {
        self.migrated().await?;
        self.database.reading().await.map_err(told::<D>)
    }

    async fn writing(&self) -> Result<Box<dyn Writing>, Error> {
        self.migrated().await?;
        self.database.writing().await.map_err(told::<D>)
    }

    async fn report(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Report>, Error> {
        let mut session = self.reading().await?;
        let rows = session.reports(sql, values).await.map_err(told::<D>)?;
        rows.into_iter().next().map(ReportRow::report).transpose()
    }

    async fn page(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        size: PageSize,
    ) -> Result<Page, Error> {
        let mut session = self.reading().await?;
        let rows = session.reports(sql, values).await.map_err(told::<D>)?;
        let held = usize::try_from(size.get()).expect("a page's size fits every target");
        // One more than fits was asked for: it tells that there is another page.
        let has_more = rows.len() > held;
        let on_it = rows.into_iter().take(held).map(ReportRow::listed);
        let reports = on_it.collect::<Result<Vec<_>, _>>()?;
        let next = reports.last().filter(|_| has_more).map(Cursor::behind);
        Ok(Page { reports, next })
    }

    async fn create(&self, draft: Draft, now: Timestamp) -> Result<Report, Error> {
        let mut writing = self.writing().await?;
        let values = [
            Value::Text(draft.status().code()),
            Value::MaybeText(draft.symbol.as_ref().map(Symbol::as_str)),
            Value::MaybeText(draft.timeframe.as_ref().map(Timeframe::as_str)),
            Value::Number(now.as_millisecond()),
            Value::MaybeNumber(publication_time(&draft, now)),
        ];
        let id = writing.number(statement::CREATE, &values).await;
        let id = id.map_err(told::<D>)?.unwrap_or_default();
        let id = ReportId::new(id)?;
        add_contents::<D>(&mut *writing, id, &draft.contents).await?;
        committed::<D>(writing, id).await
    }

    async fn revise(
        &self,
        id: ReportId,
        expected: Revision,
        draft: Draft,
        now: Timestamp,
    ) -> Result<Report, Error> {
        let mut writing = self.writing().await?;
        let values = [
            Value::Number(id.get()),
            Value::Number(expected.get()),
            Value::Text(draft.status().code()),
            Value::MaybeText(draft.symbol.as_ref().map(Symbol::as_str)),
            Value::MaybeText(draft.timeframe.as_ref().map(Timeframe::as_str)),
            Value::Number(now.as_millisecond()),
            Value::MaybeNumber(publication_time(&draft, now)),
        ];
        let written = writing.run(statement::REVISE, &values).await;
        if written.map_err(told::<D>)? == 0 {
            let stored = stored::<D>(&mut *writing, id).await?;
            return Err(match stored.status {
                Status::Withdrawn => Error::Withdrawn(id),
                Status::Draft | Status::Published => Error::Conflict {
                    id,
                    expected,
                    current: stored.revision,
                },
            });
        }
        let values = [Value::Number(id.get())];
        let removed = writing.run(statement::REMOVE_CONTENTS, &values).await;
        removed.map_err(told::<D>)?;
        add_contents::<D>(&mut *writing, id, &draft.contents).await?;
        committed::<D>(writing, id).await
    }

    async fn withdraw(&self, id: ReportId, now: Timestamp) -> Result<Report, Error> {
        let mut writing = self.writing().await?;
        let values = [Value::Number(id.get()), Value::Number(now.as_millisecond())];
        let written = writing.run(statement::WITHDRAW, &values).await;
        written.map_err(told::<D>)?;
        committed::<D>(writing, id).await
    }

    async fn import(&self, report: LegacyReport) -> Result<Report, Error> {
        let id = report.id();
        let mut writing = self.writing().await?;
        if let Some(sql) = D::BEFORE_IMPORT {
            writing.run(sql, &[]).await.map_err(told::<D>)?;
        }
        let values = [
            Value::Number(id.get()),
            Value::Number(report.created_at().as_millisecond()),
        ];
        let written = writing.run(statement::IMPORT, &values).await;
        if written.map_err(told::<D>)? == 0 {
            return Err(Error::AlreadyThere(id));
        }
        if let Some(sql) = D::AFTER_IMPORT {
            let values = [Value::Number(id.get())];
            writing.run(sql, &values).await.map_err(told::<D>)?;
        }
        add_contents::<D>(&mut *writing, id, report.contents()).await?;
        committed::<D>(writing, id).await
    }
}

impl<D: Database> Store for Kept<D> {
    fn migrate(&self) -> Answer<'_, ()> {
        let migrated = timeout(MIGRATE_LIMIT, self.migrated());
        async move { migrated.await.unwrap_or_else(|_| Err(late())) }.boxed()
    }

    fn create(&self, draft: Draft, now: Timestamp) -> Answer<'_, Report> {
        within_limit(self.create(draft, now))
    }

    fn revise(
        &self,
        id: ReportId,
        expected: Revision,
        draft: Draft,
        now: Timestamp,
    ) -> Answer<'_, Report> {
        within_limit(self.revise(id, expected, draft, now))
    }

    fn withdraw(&self, id: ReportId, now: Timestamp) -> Answer<'_, Report> {
        within_limit(self.withdraw(id, now))
    }

    fn import(&self, report: LegacyReport) -> Answer<'_, Report> {
        within_limit(self.import(report))
    }

    fn by_id(&self, id: ReportId, reader: Reader) -> Answer<'_, Option<Report>> {
        within_limit(async move {
            let is_author = reader == Reader::Author;
            let values = [Value::Number(id.get()), Value::Flag(is_author)];
            self.report(statement::BY_ID, &values).await
        })
    }

    fn latest_id(&self) -> Answer<'_, Option<ReportId>> {
        within_limit(async move {
            let mut session = self.reading().await?;
            let id = session.number(statement::LATEST_ID, &[]).await;
            id.map_err(told::<D>)?.map(ReportId::new).transpose()
        })
    }

    fn latest(&self) -> Answer<'_, Option<Report>> {
        within_limit(self.report(statement::LATEST, &[]))
    }

    fn page_behind(&self, cursor: Option<Cursor>, size: PageSize) -> Answer<'_, Page> {
        within_limit(async move {
            let limit = Value::Number(i64::from(size.get()) + 1);
            let Some(cursor) = cursor else {
                let values = [limit, Value::Number(0)];
                return self.page(statement::PAGE_AT, &values, size).await;
            };
            let time = Value::Number(cursor.published_at().as_millisecond());
            let values = [time, Value::Number(cursor.id().get()), limit];
            self.page(statement::PAGE_BEHIND, &values, size).await
        })
    }

    fn page_numbered(&self, number: PageNumber, size: PageSize) -> Answer<'_, Page> {
        within_limit(async move {
            let limit = Value::Number(i64::from(size.get()) + 1);
            let values = [limit, Value::Number(number.offset(size))];
            self.page(statement::PAGE_AT, &values, size).await
        })
    }

    fn count(&self) -> Answer<'_, u64> {
        within_limit(async move {
            let mut session = self.reading().await?;
            let counted = session.number(statement::COUNT, &[]).await;
            let counted = counted.map_err(told::<D>)?.unwrap_or_default();
            Ok(u64::try_from(counted).unwrap_or_default())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.database.close()
    }
}

/// A call with its deadline. The pools have one for a connection; this is for all of it, since a
/// server that is frozen accepts connections and answers nothing.
fn within_limit<'a, T: 'a>(
    call: impl Future<Output = Result<T, Error>> + Send + 'a,
) -> Answer<'a, T> {
    async move {
        let answered = timeout(CALL_LIMIT, call).await;
        answered.unwrap_or_else(|_| Err(late()))
    }
    .boxed()
}

fn publication_time(draft: &Draft, now: Timestamp) -> Option<i64> {
    (draft.publication == Publication::Now).then(|| now.as_millisecond())
}

async fn add_contents<D: Database>(
    writing: &mut dyn Writing,
    id: ReportId,
    contents: &PerLanguage<Content>,
) -> Result<(), Error> {
    for (language, content) in contents.iter() {
        let (markdown, legacy) = match &content.body {
            Body::Markdown(text) => (Some(text.as_str()), None),
            Body::Legacy(text) => (None, Some(text.unsanitised())),
        };
        let values = [
            Value::Number(id.get()),
            Value::Text(language.code()),
            Value::Text(content.title.as_str()),
            Value::Text(content.summary.as_str()),
            Value::MaybeText(markdown),
            Value::MaybeText(legacy),
        ];
        let added = writing.run(statement::ADD_CONTENT, &values).await;
        added.map_err(told::<D>)?;
    }
    Ok(())
}

/// What is stored, as the transaction sees it.
async fn stored<D: Database>(writing: &mut dyn Writing, id: ReportId) -> Result<Report, Error> {
    let values = [Value::Number(id.get()), Value::Flag(true)];
    let rows = writing.reports(statement::BY_ID, &values).await;
    let row = rows.map_err(told::<D>)?.into_iter().next();
    row.ok_or(Error::NotFound(id))?.report()
}

/// Commits, and answers with what is stored now: read before, since nothing may fail after.
async fn committed<D: Database>(
    mut writing: Box<dyn Writing>,
    id: ReportId,
) -> Result<Report, Error> {
    let report = stored::<D>(&mut *writing, id).await?;
    writing.commit().await.map_err(told::<D>)?;
    Ok(report)
}
