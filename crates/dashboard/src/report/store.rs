//! The store of reports: what can be asked of it, whichever database keeps them.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::{
    address::DatabaseUrl,
    error::Error,
    kept::Kept,
    page::{Cursor, Page, PageNumber, PageSize},
    postgres::Postgres,
    record::{Draft, LegacyReport, Report, ReportId, Revision},
    sqlite::Sqlite,
};

/// What one call may take, waiting for a connection included: a reader of a report that is in no
/// cache is told after this time that the database is gone.
pub const CALL_LIMIT: Duration = Duration::from_secs(2);
/// What [`Store::migrate`] may take. A large table takes longer to change than to read.
pub const MIGRATE_LIMIT: Duration = Duration::from_secs(60);

/// The answer to one call.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Which reports a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Published ones.
    Anybody,
    /// Drafts and withdrawn ones as well.
    Author,
}

/// Keeps reports.
///
/// Every call answers within [`CALL_LIMIT`], or says [`Error::Unavailable`]; so does any number of
/// calls together. A store whose database is away works again when the database does.
///
/// A write that was answered is there, whatever becomes of the program. One that was refused as
/// unavailable may be there as well; [`revise`](Self::revise) and [`import`](Self::import) tell
/// when they are tried again, [`create`](Self::create) does not. Dropping a write that has not
/// answered is the same.
pub trait Store: fmt::Debug + Send + Sync {
    /// Brings the schema up to this program's, one program at a time. Any other call does so
    /// first, if it was not done; calling it at the start makes that nobody's wait.
    ///
    /// # Errors
    /// [`Error::Schema`] for one that is newer than this program.
    fn migrate(&self) -> Answer<'_, ()>;

    /// Keeps a new report.
    fn create(&self, draft: Draft, now: Timestamp) -> Answer<'_, Report>;

    /// Replaces what a report says, if it still is what the writer has read.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else wrote meanwhile, [`Error::Withdrawn`],
    /// [`Error::NotFound`].
    fn revise(
        &self,
        id: ReportId,
        expected: Revision,
        draft: Draft,
        now: Timestamp,
    ) -> Answer<'_, Report>;

    /// Takes a report out of sight, for good. One that is out of sight stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    fn withdraw(&self, id: ReportId, now: Timestamp) -> Answer<'_, Report>;

    /// Keeps a row of an earlier system, under its own id.
    ///
    /// # Errors
    /// [`Error::AlreadyThere`] when that id is in use.
    fn import(&self, report: LegacyReport) -> Answer<'_, Report>;

    /// One report; none where there is none, or none that the reader may see.
    fn by_id(&self, id: ReportId, reader: Reader) -> Answer<'_, Option<Report>>;

    /// The id of the report that was published last.
    fn latest_id(&self) -> Answer<'_, Option<ReportId>>;

    /// The report that was published last.
    fn latest(&self) -> Answer<'_, Option<Report>>;

    /// Published reports, newest first, from behind a cursor or from the beginning. Costs the
    /// same however far back the cursor is.
    fn page_behind(&self, cursor: Option<Cursor>, size: PageSize) -> Answer<'_, Page>;

    /// The page of that number. Costs more the higher the number.
    fn page_numbered(&self, number: PageNumber, size: PageSize) -> Answer<'_, Page>;

    /// How many reports are published.
    fn count(&self) -> Answer<'_, u64>;

    /// Waits for calls under way, and lets go of the database.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// A store on the database at an address. Asks it nothing yet: a service starts whether or not
/// its database answers.
///
/// # Errors
/// [`Error::Invalid`] when the address cannot be one.
pub fn open(url: &DatabaseUrl) -> Result<Arc<dyn Store>, Error> {
    Ok(match url {
        DatabaseUrl::Sqlite(path) => Arc::new(Kept::in_database(Sqlite::at(path))),
        DatabaseUrl::Postgres(url) => Arc::new(Kept::in_database(Postgres::at(url)?)),
    })
}
