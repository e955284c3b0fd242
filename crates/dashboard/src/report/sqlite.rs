//! Reports in a SQLite file.

use std::{
    fs, io,
    ops::DerefMut,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use sqlx::{
    Arguments as _, Connection as _, SqlSafeStr as _, SqliteConnection, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    query_as_with, query_scalar_with, query_with,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
        SqliteSynchronous,
    },
};

use tokio::time::sleep;

use super::{
    row::ReportRow,
    session::{Database, Done, Meaning, Session, Value, Writing},
    store::CALL_LIMIT,
};

/// Readers do not wait for one another, nor for the writer; a few are enough for a file.
const READERS: u32 = 4;
/// How long SQLite itself waits for another program's lock. Less than a call may take, so that
/// the answer says that the database is busy.
const BUSY_LIMIT: Duration = Duration::from_millis(1_500);

/// How often a file is opened that another program is just making, and the pause between.
const OPENINGS: u32 = 30;
const OPENING_PAUSE: Duration = Duration::from_millis(50);
/// SQLite's code for what another connection is at.
const BUSY: u32 = 5;

/// A file of reports.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    readers: SqlitePool,
    /// SQLite lets one connection write at a time: here they wait in order, not by polling.
    writer: SqlitePool,
    /// The file that was migrated.
    file: OnceLock<FileIdentity>,
}

/// Device and inode.
type FileIdentity = (u64, u64);

/// A connection, its own or within a transaction.
struct Held<C>(C);

impl Sqlite {
    pub(super) fn at(path: &Path) -> Self {
        let pool = || SqlitePoolOptions::new().acquire_timeout(CALL_LIMIT);
        let reader = options(path).pragma("query_only", "ON");
        Self {
            path: path.to_owned(),
            readers: pool().max_connections(READERS).connect_lazy_with(reader),
            writer: pool().max_connections(1).connect_lazy_with(options(path)),
            file: OnceLock::new(),
        }
    }

    /// That the file that connections have open is the one at the path. Otherwise what is
    /// written would be acknowledged, and lost with a file that has no name any more.
    fn is_in_place(&self) -> Result<(), sqlx::Error> {
        // One look at the file system, which the page cache answers: not worth a thread.
        let found = identity(&self.path)?;
        if self.file.get().is_none_or(|migrated| *migrated == found) {
            return Ok(());
        }
        let said = "another file is in the place of the database: a restart opens it";
        Err(io::Error::other(said).into())
    }

    /// A connection to the file, which is made if it is missing. While another program turns a
    /// new file to its log, SQLite refuses at once, whatever its busy timeout.
    async fn made(&self) -> Result<SqliteConnection, sqlx::Error> {
        let options = options(&self.path).create_if_missing(true);
        let mut openings = 1;
        loop {
            match SqliteConnection::connect_with(&options).await {
                Err(sqlx::Error::Database(said))
                    if openings < OPENINGS && said.code().and_then(|c| kind(&c)) == Some(BUSY) =>
                {
                    openings += 1;
                    sleep(OPENING_PAUSE).await;
                }
                opened => return opened,
            }
        }
    }
}

impl Database for Sqlite {
    const BEFORE_IMPORT: Option<&'static str> = None;
    // AUTOINCREMENT goes on from the largest id that there ever was.
    const AFTER_IMPORT: Option<&'static str> = None;

    fn meaning(code: &str) -> Meaning {
        const FULL: u32 = 13;
        // Busy, locked, read-only, input or output, cannot be opened, locking protocol.
        const AWAY: [u32; 6] = [BUSY, 6, 8, 10, 14, 15];
        match kind(code) {
            Some(FULL) => Meaning::Full,
            Some(kind) if AWAY.contains(&kind) => Meaning::Away,
            _ => Meaning::Other,
        }
    }

    fn reading(&self) -> Done<'_, Box<dyn Session>> {
        async move {
            self.is_in_place()?;
            let connection = self.readers.acquire().await?;
            Ok(Box::new(Held(connection)) as Box<dyn Session>)
        }
        .boxed()
    }

    fn writing(&self) -> Done<'_, Box<dyn Writing>> {
        async move {
            self.is_in_place()?;
            // A transaction that begins by reading could not begin to write beside another's.
            let begun = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            Ok(Box::new(Held(begun)) as Box<dyn Writing>)
        }
        .boxed()
    }

    fn migrate(&self) -> Done<'_, ()> {
        async move {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            // Only here: a file that went away must not come back empty.
            let mut connection = self.made().await?;
            // sqlx takes no lock of its own on SQLite. This one makes all or nothing of it, too.
            let mut begun = connection.begin_with("BEGIN IMMEDIATE").await?;
            // `run` cannot be awaited in a boxed future ("not general enough"); this is what it calls.
            let target = &mut *begun;
            migrator().run_direct(None, target, false).await?;
            begun.commit().await?;
            connection.close().await?;
            // Whoever came first has filled it, with the same file.
            let _ = self.file.set(identity(&self.path)?);
            Ok(())
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            self.readers.close().await;
            // The last connection that can write folds the log into the file.
            self.writer.close().await;
        }
        .boxed()
    }
}

impl<C: DerefMut<Target = SqliteConnection> + Send> Session for Held<C> {
    fn run<'a>(&'a mut self, sql: &'static str, values: &'a [Value<'a>]) -> Done<'a, u64> {
        async move {
            let query = query_with(sql, arguments(values)?);
            Ok(query.execute(&mut *self.0).await?.rows_affected())
        }
        .boxed()
    }

    fn number<'a>(
        &'a mut self,
        sql: &'static str,
        values: &'a [Value<'a>],
    ) -> Done<'a, Option<i64>> {
        async move {
            let query = query_scalar_with(sql, arguments(values)?);
            query.fetch_optional(&mut *self.0).await
        }
        .boxed()
    }

    fn reports<'a>(
        &'a mut self,
        sql: &'static str,
        values: &'a [Value<'a>],
    ) -> Done<'a, Vec<ReportRow>> {
        async move {
            let query = query_as_with(sql, arguments(values)?);
            query.fetch_all(&mut *self.0).await
        }
        .boxed()
    }
}

impl Writing for Held<Transaction<'static, sqlx::Sqlite>> {
    fn commit(self: Box<Self>) -> Done<'static, ()> {
        self.0.commit().boxed()
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_LIMIT)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would outlive the program's end but not a power cut; reports are written seldom.
        .synchronous(SqliteSynchronous::Full)
}

fn migrator() -> Migrator {
    let first = include_str!("../../migrations/sqlite/0001_reports.sql");
    let simple = MigrationType::Simple;
    let first = Migration::new(1, "reports".into(), simple, first.into_sql_str(), false);
    Migrator::with_migrations(vec![first])
}

fn arguments(values: &[Value<'_>]) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match *value {
            Value::Flag(flag) => arguments.add(flag),
            Value::Number(number) => arguments.add(number),
            Value::MaybeNumber(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text.to_owned()),
            Value::MaybeText(text) => arguments.add(text.map(str::to_owned)),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// The lowest byte is the kind of an error; the others say more of it.
fn kind(code: &str) -> Option<u32> {
    Some(code.parse::<u32>().ok()? & 0xff)
}

fn identity(path: &Path) -> io::Result<FileIdentity> {
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}
