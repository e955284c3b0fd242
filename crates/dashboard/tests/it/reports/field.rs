//! Stores to test: each on a database of its own, a file or on a real server.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use dashboard::report::{
    address::DatabaseUrl,
    content::{Body, Content, PerLanguage},
    page::PageSize,
    record::{Draft, Publication, ReportId, Symbol, Timeframe},
    store::{self, Store},
    text::{Markdown, Summary, Title},
};
use jiff::Timestamp;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};
use tokio::sync::Mutex;

use crate::postgres::Postgres;

/// A store, its database, and what has to stay for as long.
pub(super) struct Field {
    pub(super) store: Arc<dyn Store>,
    pub(super) address: String,
    _server: Option<Arc<Postgres>>,
    _folder: Option<Folder>,
}

/// A folder that goes with the test.
pub(super) struct Folder(pub(super) PathBuf);

/// The server that tests share, each with a database of its own; it ends with the last of them.
static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Field {
    pub(super) fn sqlite() -> Self {
        let folder = Folder::new();
        let address = format!("sqlite://{}", folder.0.join("reports.db").display());
        Self {
            store: open(&address),
            address,
            _server: None,
            _folder: Some(folder),
        }
    }

    pub(super) async fn postgres() -> Self {
        let mut shared = SHARED.lock().await;
        let server = match shared.upgrade() {
            Some(server) => server,
            None => Arc::new(Postgres::start().await),
        };
        *shared = Arc::downgrade(&server);
        drop(shared);
        let address = server.database().await;
        Self {
            store: open(&address),
            address,
            _server: Some(server),
            _folder: None,
        }
    }

    /// Runs a statement behind the store's back.
    pub(super) async fn execute(&self, sql: &'static str) {
        execute(&self.address, sql).await;
    }
}

impl Folder {
    pub(super) fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("dashboard-reports-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a test on each of the databases; its output names the one that failed.
pub(super) async fn on_each_database(test: impl AsyncFn(&Field)) {
    for field in [Field::sqlite(), Field::postgres().await] {
        eprintln!("on {}", field.address);
        test(&field).await;
        field.store.close().await;
    }
}

pub(super) fn open(address: &str) -> Arc<dyn Store> {
    let url = DatabaseUrl::parse(address).expect("a sound address");
    store::open(&url).expect("a sound address")
}

pub(super) async fn execute(address: &str, sql: &'static str) {
    let done = match address.strip_prefix("sqlite://") {
        Some(path) => sqlite(Path::new(path)).await.execute(sql).await.map(drop),
        None => {
            let mut connection = PgConnection::connect(address).await.expect("it answers");
            connection.execute(sql).await.map(drop)
        }
    };
    done.expect("the statement is sound");
}

pub(super) async fn sqlite(path: &Path) -> SqliteConnection {
    let text = path.to_str().expect("the path is text");
    let connected = SqliteConnection::connect(text).await;
    connected.expect("the file can be opened")
}

/// A published report on bitcoin, in both languages.
pub(super) fn draft(text: &str) -> Draft {
    Draft {
        symbol: Some(Symbol::parse("BTC").expect("a symbol")),
        timeframe: Some(Timeframe::parse("1d").expect("a span")),
        contents: PerLanguage::of(Some(content(text)), Some(content(text))).expect("there are two"),
        publication: Publication::Now,
    }
}

/// As [`draft`], seen by its author only.
pub(super) fn unpublished(text: &str) -> Draft {
    Draft {
        publication: Publication::Later,
        ..draft(text)
    }
}

pub(super) fn content(text: &str) -> Content {
    Content {
        title: Title::parse(text).expect("a title"),
        summary: Summary::parse(&format!("What {text} says")).expect("a summary"),
        body: Body::Markdown(Markdown::parse(&format!("# {text}\n\nBody.\n")).expect("a body")),
    }
}

pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("within time")
}

pub(super) fn id(number: i64) -> ReportId {
    ReportId::new(number).expect("a positive number")
}

pub(super) fn size(number: u32) -> PageSize {
    PageSize::new(number).expect("within its bounds")
}
