//! Where the reports' database is.

use std::path::{Path, PathBuf};

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::Error;

/// The SQLite file that is made in a folder when nobody says otherwise.
const DEFAULT_FILE: &str = "reports.db";

/// Where the reports' database is.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file; it and its folder are made when they are missing.
    Sqlite(PathBuf),
    /// A server. Secret as a whole, since it may carry a password.
    Postgres(SecretString),
}

/// Parameters of a PostgreSQL address. Another one would be left out unsaid, and logged with
/// what it holds.
const PARAMETERS: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "user",
    "password",
    "dbname",
];

impl DatabaseUrl {
    /// What [`parse`](Self::parse) takes.
    pub const TAKES: &str = "postgres://, a user, a host and a database, or sqlite:// and a path";

    /// The file in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::Sqlite(folder.join(DEFAULT_FILE))
    }

    /// Takes `postgres://user@host/database` or `sqlite://path`; a path that begins with a slash
    /// makes three of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes; it never shows what came in.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            // In memory all would be lost at each restart, and each connection has its own. What
            // begins with `file:` is an address to SQLite, and may say the same.
            let is_special = [":", "file:"].iter().any(|start| path.starts_with(start));
            let is_path = !path.is_empty() && !is_special && !path.ends_with('/');
            return (is_path && !path.contains(['?', '#', '\0']))
                .then(|| Self::Sqlite(path.into()))
                .ok_or(Error::invalid("database address", Self::TAKES));
        }
        is_postgres(text)
            .then(|| Self::Postgres(text.to_owned().into()))
            .ok_or(Error::invalid("database address", Self::TAKES))
    }

    /// How it may be shown.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(_) => "a PostgreSQL server (hidden)".to_owned(),
        }
    }

    /// The address of a server, to be shown to nobody.
    pub fn expose(&self) -> Option<&str> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(url) => Some(url.expose_secret()),
        }
    }
}

fn is_postgres(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_known = |name: &str| PARAMETERS.contains(&name);
    let has_host = url.has_host() || url.query_pairs().any(|(name, _)| name == "host");
    let has_database = url.path().len() > 1 || url.query_pairs().any(|(name, _)| name == "dbname");
    matches!(url.scheme(), "postgres" | "postgresql")
        && has_host
        && has_database
        && url.fragment().is_none()
        && url.query_pairs().all(|(name, _)| is_known(&name))
        && super::postgres::is_address(text)
}
