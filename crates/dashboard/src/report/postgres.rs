//! Reports in PostgreSQL.

use std::{ops::DerefMut, str::FromStr as _, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Arguments as _, Connection as _, PgConnection, SqlSafeStr as _, Transaction,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions},
    query_as_with, query_scalar_with, query_with,
};
use tokio::time::timeout;

use super::{
    address::DatabaseUrl,
    error::Error,
    row::ReportRow,
    session::{Database, Done, Meaning, Session, Value, Writing},
    store::CALL_LIMIT,
};

/// A server has a hundred by default, for all its clients.
const CONNECTIONS: u32 = 8;
/// After this the server itself gives up. Less than a call may take, so that no statement goes
/// on for nobody.
const STATEMENT_LIMIT_MS: &str = "1500";
/// A program that was stopped in a transaction must not keep its locks.
const IDLE_TRANSACTION_LIMIT_MS: &str = "5000";
/// How long a connection that is given back may take to show that it is sound.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// A server with reports.
pub(super) struct Postgres {
    options: PgConnectOptions,
    pool: PgPool,
}

/// A connection, its own or within a transaction.
struct Held<C>(C);

/// Whether sqlx can read an address.
pub(super) fn is_address(text: &str) -> bool {
    PgConnectOptions::from_str(text).is_ok()
}

impl Postgres {
    pub(super) fn at(url: &SecretString) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url.expose_secret())
            .map_err(|_| Error::invalid("database address", DatabaseUrl::TAKES))?
            .application_name("dashboard");
        let limited = options.clone().options([
            ("statement_timeout", STATEMENT_LIMIT_MS),
            ("lock_timeout", STATEMENT_LIMIT_MS),
            (
                "idle_in_transaction_session_timeout",
                IDLE_TRANSACTION_LIMIT_MS,
            ),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CALL_LIMIT)
            // The pool pings what is given back, and waits for the answer without end: calls
            // given up before a frozen server would keep all connections.
            .after_release(|connection, _| {
                async move {
                    let answered = timeout(RELEASE_LIMIT, connection.ping()).await;
                    answered.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
                    Ok(true)
                }
                .boxed()
            })
            .connect_lazy_with(limited);
        Ok(Self { options, pool })
    }
}

/// Not the options: they hold the password.
impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Database for Postgres {
    // Whoever inserts waits: an id that is being imported must not be given out meanwhile.
    const BEFORE_IMPORT: Option<&'static str> =
        Some("LOCK TABLE crypto_report IN SHARE ROW EXCLUSIVE MODE");
    const AFTER_IMPORT: Option<&'static str> = Some(
        "SELECT setval('crypto_report_id_seq', \
         GREATEST($1, (SELECT last_value FROM crypto_report_id_seq)))",
    );

    fn meaning(code: &str) -> Meaning {
        // No such database, no longer waiting for a lock, cancelled by its time limit.
        const AWAY: [&str; 3] = ["3D000", "55P03", "57014"];
        // Connection, authorization, a conflict of transactions, resources, operators, system.
        const AWAY_CLASSES: [&str; 6] = ["08", "28", "40", "53", "57", "58"];
        if code == "53100" {
            return Meaning::Full;
        }
        let is_away = AWAY.contains(&code) || AWAY_CLASSES.iter().any(|c| code.starts_with(c));
        if is_away {
            Meaning::Away
        } else {
            Meaning::Other
        }
    }

    fn reading(&self) -> Done<'_, Box<dyn Session>> {
        async move {
            let connection = self.pool.acquire().await?;
            Ok(Box::new(Held(connection)) as Box<dyn Session>)
        }
        .boxed()
    }

    fn writing(&self) -> Done<'_, Box<dyn Writing>> {
        async move {
            let begun = self.pool.begin().await?;
            Ok(Box::new(Held(begun)) as Box<dyn Writing>)
        }
        .boxed()
    }

    fn migrate(&self) -> Done<'_, ()> {
        async move {
            // Of its own, without time limits, and closed after it: sqlx's lock is the session's,
            // and a migration that fails does not give it back.
            let mut connection = PgConnection::connect_with(&self.options).await?;
            // `run` cannot be awaited in a boxed future ("not general enough"); this is what it calls.
            let migrated = migrator().run_direct(None, &mut connection, false).await;
            // What matters is said by the migration.
            let _ = connection.close().await;
            Ok(migrated?)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.pool.close().boxed()
    }
}

impl<C: DerefMut<Target = PgConnection> + Send> Session for Held<C> {
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

impl Writing for Held<Transaction<'static, sqlx::Postgres>> {
    fn commit(self: Box<Self>) -> Done<'static, ()> {
        self.0.commit().boxed()
    }
}

fn migrator() -> Migrator {
    let first = include_str!("../../migrations/postgres/0001_reports.sql");
    let simple = MigrationType::Simple;
    let first = Migration::new(1, "reports".into(), simple, first.into_sql_str(), false);
    Migrator::with_migrations(vec![first])
}

fn arguments(values: &[Value<'_>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match *value {
            Value::Flag(flag) => arguments.add(flag),
            Value::Number(number) => arguments.add(number),
            Value::MaybeNumber(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text),
            Value::MaybeText(text) => arguments.add(text),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
