//! A row as a database gives it, and the report that is made of it. What is stored is parsed like
//! what comes in: a database can be written to by others.

use jiff::Timestamp;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{
    content::{Body, Content, PerLanguage},
    error::{Cause, Error},
    record::{Heading, Listed, Report, ReportId, Revision, Status, Symbol, Timeframe},
    text::{LegacyHtml, Markdown, Summary, Title},
};

#[derive(Debug)]
pub(super) struct ReportRow {
    id: i64,
    status: String,
    revision: i64,
    symbol: Option<String>,
    timeframe: Option<String>,
    created_at: i64,
    updated_at: i64,
    published_at: Option<i64>,
    vi: ContentColumns,
    en: ContentColumns,
}

/// The columns of one language; all are null where it has no content.
#[derive(Debug)]
struct ContentColumns {
    title: Option<String>,
    summary: Option<String>,
    markdown: Option<String>,
    legacy_html: Option<String>,
}

impl<'r, R> FromRow<'r, R> for ReportRow
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            status: row.try_get("status")?,
            revision: row.try_get("revision")?,
            symbol: row.try_get("symbol")?,
            timeframe: row.try_get("timeframe")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            published_at: row.try_get("published_at")?,
            vi: ContentColumns {
                title: row.try_get("vi_title")?,
                summary: row.try_get("vi_summary")?,
                markdown: row.try_get("vi_markdown")?,
                legacy_html: row.try_get("vi_legacy_html")?,
            },
            en: ContentColumns {
                title: row.try_get("en_title")?,
                summary: row.try_get("en_summary")?,
                markdown: row.try_get("en_markdown")?,
                legacy_html: row.try_get("en_legacy_html")?,
            },
        })
    }
}

impl ReportRow {
    /// The report, whole.
    pub(super) fn report(self) -> Result<Report, Error> {
        let id = self.id;
        self.parsed_report().map_err(|cause| damaged(id, cause))
    }

    /// The report as a list shows it.
    pub(super) fn listed(self) -> Result<Listed, Error> {
        let id = self.id;
        self.parsed_listed().map_err(|cause| damaged(id, cause))
    }

    fn parsed_report(self) -> Result<Report, Cause> {
        Ok(Report {
            id: ReportId::new(self.id)?,
            revision: Revision::new(self.revision)?,
            status: Status::parse(&self.status)?,
            symbol: self.symbol.as_deref().map(Symbol::parse).transpose()?,
            timeframe: self
                .timeframe
                .as_deref()
                .map(Timeframe::parse)
                .transpose()?,
            created_at: time(self.created_at)?,
            updated_at: time(self.updated_at)?,
            published_at: self.published_at.map(time).transpose()?,
            contents: PerLanguage::of(self.vi.content()?, self.en.content()?)?,
        })
    }

    fn parsed_listed(self) -> Result<Listed, Cause> {
        let published_at = self
            .published_at
            .ok_or("a published report without a time")?;
        Ok(Listed {
            id: ReportId::new(self.id)?,
            revision: Revision::new(self.revision)?,
            symbol: self.symbol.as_deref().map(Symbol::parse).transpose()?,
            timeframe: self
                .timeframe
                .as_deref()
                .map(Timeframe::parse)
                .transpose()?,
            published_at: time(published_at)?,
            updated_at: time(self.updated_at)?,
            headings: PerLanguage::of(self.vi.heading()?, self.en.heading()?)?,
        })
    }
}

impl ContentColumns {
    fn heading(&self) -> Result<Option<Heading>, Cause> {
        let (Some(title), Some(summary)) = (&self.title, &self.summary) else {
            return Ok(None);
        };
        Ok(Some(Heading {
            title: Title::parse(title)?,
            summary: Summary::parse(summary)?,
        }))
    }

    fn content(self) -> Result<Option<Content>, Cause> {
        let Some(Heading { title, summary }) = self.heading()? else {
            return Ok(None);
        };
        let body = match (self.markdown, self.legacy_html) {
            (Some(text), None) => Body::Markdown(Markdown::parse(&text)?),
            (None, Some(text)) => Body::Legacy(LegacyHtml::parse(&text)?),
            _ => return Err("a content without one body".into()),
        };
        Ok(Some(Content {
            title,
            summary,
            body,
        }))
    }
}

fn time(ms: i64) -> Result<Timestamp, Cause> {
    Ok(Timestamp::from_millisecond(ms)?)
}

fn damaged(id: i64, source: Cause) -> Error {
    Error::Damaged { id, source }
}
