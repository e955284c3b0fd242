//! The one error type: opaque, cheap to clone, with questions.

use std::{error, fmt, sync::Arc, time::Duration};

/// Any error a loader, codec or store may come up with.
pub type BoxError = Box<dyn error::Error + Send + Sync + 'static>;

/// Why an operation of a cache failed.
///
/// Cheap to clone: everybody who waited for one load gets the same error. Ask it
/// with the `is_*` methods; its text is for people and may change.
/// [`source`](error::Error::source) gives the cause back, and
/// [`load_error`](Self::load_error) finds the loader's own error in the chain.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: Kind,
    /// What was tried, and on what.
    attempt: String,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Load,
    Panicked,
    LoadTimeout(Duration),
    Reentrant,
    InvalidKey,
    Config,
    Codec,
    TooLarge,
    StoreTimeout(Duration),
    StoreUnavailable,
    StoreRejected,
    WriteLost,
    Closed,
}

impl Error {
    fn new(kind: Kind, attempt: impl Into<String>, source: Option<BoxError>) -> Self {
        Self(Arc::new(Inner {
            kind,
            attempt: attempt.into(),
            source,
        }))
    }

    /// For implementors of [`Store`](crate::Store): the store cannot be reached,
    /// or is not able to answer for now. Counts against the breaker.
    ///
    /// ```
    /// let error = terrace::Error::unavailable("reading the shelf", "the door is locked");
    /// assert!(error.is_store());
    /// ```
    pub fn unavailable(attempt: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(Kind::StoreUnavailable, attempt, Some(source.into()))
    }

    /// For implementors of [`Store`](crate::Store): the store answered, and
    /// refused. Does not count against the breaker.
    pub fn rejected(attempt: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::new(Kind::StoreRejected, attempt, Some(source.into()))
    }

    /// For implementors of [`Store`](crate::Store): a setting that cannot work.
    pub fn config(attempt: impl Into<String>) -> Self {
        Self::new(Kind::Config, attempt, None)
    }

    pub(crate) fn load(key: &str, source: BoxError) -> Self {
        Self::new(Kind::Load, format!("loading {key:?}"), Some(source))
    }

    pub(crate) fn panicked(key: &str) -> Self {
        Self::new(Kind::Panicked, format!("loading {key:?}"), None)
    }

    /// A write whose task came to no end: the store panicked, or the runtime ended.
    pub(crate) fn write_lost(verb: &str, key: &str) -> Self {
        Self::new(Kind::WriteLost, format!("{verb} {key:?}"), None)
    }

    pub(crate) fn load_timeout(key: &str, after: Duration) -> Self {
        Self::new(Kind::LoadTimeout(after), format!("loading {key:?}"), None)
    }

    pub(crate) fn reentrant(key: &str) -> Self {
        Self::new(Kind::Reentrant, format!("loading {key:?}"), None)
    }

    pub(crate) fn invalid_key(attempt: impl Into<String>) -> Self {
        Self::new(Kind::InvalidKey, attempt, None)
    }

    pub(crate) fn codec(attempt: impl Into<String>, source: BoxError) -> Self {
        Self::new(Kind::Codec, attempt, Some(source))
    }

    pub(crate) fn too_large(attempt: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, attempt, None)
    }

    pub(crate) fn store_timeout(attempt: &str, after: Duration) -> Self {
        Self::new(Kind::StoreTimeout(after), attempt, None)
    }

    pub(crate) fn breaker_open(attempt: &str) -> Self {
        Self::new(
            Kind::StoreUnavailable,
            attempt,
            Some("the breaker is open".into()),
        )
    }

    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed, "using the cache", None)
    }

    /// The load failed, panicked or ran out of time.
    pub fn is_load(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::Load | Kind::Panicked | Kind::LoadTimeout(_)
        )
    }

    /// A deadline passed: the load's or the store's.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, Kind::LoadTimeout(_) | Kind::StoreTimeout(_))
    }

    /// The store failed a write. The outcome may be unknown; until it is
    /// settled this process does not read the key from the store. Reads never
    /// give this error.
    pub fn is_store(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::StoreTimeout(_) | Kind::StoreUnavailable | Kind::StoreRejected | Kind::WriteLost
        )
    }

    /// A setting, an option or a life that cannot be.
    pub fn is_config(&self) -> bool {
        self.0.kind == Kind::Config
    }

    /// The key is empty or longer than 512 bytes; or a tag, prefix or glob that cannot be.
    pub fn is_invalid_key(&self) -> bool {
        self.0.kind == Kind::InvalidKey
    }

    /// A load asked for the key that it was loading.
    pub fn is_reentrant(&self) -> bool {
        self.0.kind == Kind::Reentrant
    }

    /// The value cannot be encoded, or is larger than the store takes.
    pub fn is_value(&self) -> bool {
        matches!(self.0.kind, Kind::Codec | Kind::TooLarge)
    }

    /// The cache was closed.
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// The loader's own error, wherever it is in the chain of causes.
    ///
    /// `anyhow` hides the outermost type that it wraps: put the typed error
    /// below a `.context(…)`, or return it as it is.
    ///
    /// ```
    /// # use terrace::{Cache, EntryOptions};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// let error = cache.get_or_load("seven", || async { "x".parse::<u8>() }).await.unwrap_err();
    /// assert!(error.is_load());
    /// assert!(error.load_error::<std::num::ParseIntError>().is_some());
    /// # Ok(()) }
    /// ```
    pub fn load_error<E: error::Error + 'static>(&self) -> Option<&E> {
        let mut cause = error::Error::source(self);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<E>() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }

    /// The store answered, and refused: nothing happened there.
    pub(crate) fn is_refusal(&self) -> bool {
        self.0.kind == Kind::StoreRejected
    }

    /// Whether the store could not be reached or did not answer in time, as
    /// opposed to having answered "no".
    pub(crate) fn counts_against_breaker(&self) -> bool {
        matches!(self.0.kind, Kind::StoreTimeout(_) | Kind::StoreUnavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempt = &self.0.attempt;
        match self.0.kind {
            Kind::Panicked => write!(f, "{attempt}: it panicked"),
            Kind::WriteLost => write!(f, "{attempt}: it came to no end"),
            Kind::LoadTimeout(after) | Kind::StoreTimeout(after) => {
                write!(f, "{attempt}: no answer within {after:?}")
            }
            Kind::Reentrant => write!(f, "{attempt}: the load reads its own key"),
            Kind::Closed => write!(f, "{attempt}: it is closed"),
            Kind::Load
            | Kind::InvalidKey
            | Kind::Config
            | Kind::Codec
            | Kind::TooLarge
            | Kind::StoreUnavailable
            | Kind::StoreRejected => match &self.0.source {
                Some(source) => write!(f, "{attempt}: {source}"),
                None => f.write_str(attempt),
            },
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("attempt", &self.0.attempt)
            .field("source", &self.0.source)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
