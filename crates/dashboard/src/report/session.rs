//! A database as the store sees it: connections, and the few things that are done on one.

use std::fmt;

use futures_util::future::BoxFuture;

use super::{
    error::{Cause, Error},
    row::ReportRow,
};

/// What is bound to a placeholder of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Flag(bool),
    Number(i64),
    MaybeNumber(Option<i64>),
    Text(&'a str),
    MaybeText(Option<&'a str>),
}

pub(super) type Done<'a, T> = BoxFuture<'a, Result<T, sqlx::Error>>;

/// One connection.
pub(super) trait Session: Send {
    /// Runs a statement, and says how many rows it wrote.
    fn run<'a>(&'a mut self, sql: &'static str, values: &'a [Value<'a>]) -> Done<'a, u64>;

    /// The first number of the first row.
    fn number<'a>(
        &'a mut self,
        sql: &'static str,
        values: &'a [Value<'a>],
    ) -> Done<'a, Option<i64>>;

    /// Rows of reports.
    fn reports<'a>(
        &'a mut self,
        sql: &'static str,
        values: &'a [Value<'a>],
    ) -> Done<'a, Vec<ReportRow>>;
}

/// One connection in a transaction, which is rolled back when it is dropped.
pub(super) trait Writing: Session {
    /// Makes what was written last.
    fn commit(self: Box<Self>) -> Done<'static, ()>;
}

/// A database.
pub(super) trait Database: fmt::Debug + Send + Sync + 'static {
    /// What an import does first, and last with its id, so that new reports get other ids.
    const BEFORE_IMPORT: Option<&'static str>;
    const AFTER_IMPORT: Option<&'static str>;

    fn meaning(code: &str) -> Meaning;

    /// A connection to read by.
    fn reading(&self) -> Done<'_, Box<dyn Session>>;

    /// A connection in a transaction that nobody else writes beside.
    fn writing(&self) -> Done<'_, Box<dyn Writing>>;

    /// Brings the schema up to date, one program at a time.
    fn migrate(&self) -> Done<'_, ()>;

    /// Waits for connections in use and closes all.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// What a code of a database's own means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is busy, stopping, starting, or refuses us: try again later.
    Away,
    Full,
    Other,
}

pub(super) fn late() -> Error {
    let cause: Cause = "no answer in time".into();
    Error::Unavailable(cause)
}

/// What a database's error means to a caller. Codes decide, never text.
pub(super) fn told<D: Database>(error: sqlx::Error) -> Error {
    use sqlx::migrate::MigrateError as Migrate;
    let coded = |said: &dyn sqlx::error::DatabaseError| said.code().map(|code| D::meaning(&code));
    let meaning = match &error {
        sqlx::Error::Database(said) => coded(&**said).unwrap_or(Meaning::Other),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Meaning::Away,
        sqlx::Error::Migrate(failed) => match &**failed {
            Migrate::Execute(sqlx::Error::Database(said))
            | Migrate::ExecuteMigration(sqlx::Error::Database(said), _) => {
                coded(&**said).unwrap_or(Meaning::Other)
            }
            Migrate::Execute(_) | Migrate::ExecuteMigration(..) => Meaning::Away,
            _ => return Error::Schema(error.into()),
        },
        _ => Meaning::Other,
    };
    match meaning {
        Meaning::Away => Error::Unavailable(error.into()),
        Meaning::Full => Error::Full(error.into()),
        Meaning::Other => Error::Database(error.into()),
    }
}
