//! How long a value may be used, and what a load hands over.

use std::{sync::Arc, time::Duration};

use crate::error::Error;

/// The longest ttl or stale window: one year.
pub const MAX_LIFE: Duration = Duration::from_secs(31_536_000);

const DEFAULT_TTL: Duration = Duration::from_secs(60);
const DEFAULT_LOAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A lease lasts this much longer than the load it covers may take, so that a
/// load that just makes its deadline can still store its result.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// What a read may be answered with while the store does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Coherence {
    /// What L1 holds, to the end of its life; [`Entry::proven`](crate::Entry::proven)
    /// says that nobody vouches for it.
    #[default]
    Available,
    /// Only what is provably no older than the cache's `max_staleness`; else a load.
    Required,
}

/// How long entries are fresh, how long they may be used stale, and how long a
/// load may take.
///
/// In the words of RFC 9111 (ttl: freshness lifetime) and RFC 5861 (the two
/// stale windows; both start when freshness ends). Each duration is 0 to
/// [one year](MAX_LIFE), ttl and load time-out at least 1 ms; what does not fit
/// is an error where the options are used, never adjusted.
///
/// ```
/// # use terrace::EntryOptions;
/// # use std::time::Duration;
/// let options = EntryOptions::ttl(Duration::from_secs(10))
///     .stale_while_revalidate(Duration::from_secs(30))
///     .stale_if_error(Duration::from_secs(3_600));
/// assert_ne!(options, EntryOptions::default());
/// assert_eq!(EntryOptions::default(), EntryOptions::ttl(Duration::from_secs(60)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryOptions {
    ttl: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    load_timeout: Duration,
    coherence: Coherence,
}

impl EntryOptions {
    /// Fresh for `ttl`; no stale windows; loads may take 10 s.
    pub fn ttl(ttl: Duration) -> Self {
        Self {
            ttl,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            load_timeout: DEFAULT_LOAD_TIMEOUT,
            coherence: Coherence::Available,
        }
    }

    /// For this long after freshness ended a read is answered with the stale
    /// value at once, while one load runs behind. Default: 0.
    pub fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.stale_while_revalidate = window;
        self
    }

    /// For this long after freshness ended the stale value stands in when the
    /// load fails. Default: 0.
    pub fn stale_if_error(mut self, window: Duration) -> Self {
        self.stale_if_error = window;
        self
    }

    /// How long a load may take before everybody who waits gets an error that
    /// [`is_timeout`](crate::Error::is_timeout). The cluster-wide lease of a
    /// load lasts one second longer. Default: 10 s.
    pub fn load_timeout(mut self, limit: Duration) -> Self {
        self.load_timeout = limit;
        self
    }

    /// What a read may be answered with while the store does not answer.
    /// Default: [`Coherence::Available`].
    pub fn coherence(mut self, coherence: Coherence) -> Self {
        self.coherence = coherence;
        self
    }

    pub(crate) fn wanted_coherence(&self) -> Coherence {
        self.coherence
    }

    pub(crate) fn load_limit(&self) -> Duration {
        self.load_timeout
    }

    /// How long a lease for one load is held.
    pub(crate) fn lease_hold(&self) -> Duration {
        self.load_timeout + LEASE_MARGIN
    }

    /// The life of a value loaded under these options, its own ttl first.
    pub(crate) fn life(&self, own_ttl: Option<Duration>) -> Result<Life, Error> {
        let ttl = own_ttl.unwrap_or(self.ttl);
        check_span("ttl", ttl, Duration::from_millis(1))?;
        Ok(Life {
            fresh: to_millis(ttl),
            revalidate: to_millis(self.stale_while_revalidate),
            on_error: to_millis(self.stale_if_error),
        })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let least = Duration::from_millis(1);
        check_span("ttl", self.ttl, least)?;
        check_span("load_timeout", self.load_timeout, least)?;
        let window = self.stale_while_revalidate;
        check_span("stale_while_revalidate", window, Duration::ZERO)?;
        check_span("stale_if_error", self.stale_if_error, Duration::ZERO)
    }
}

impl Default for EntryOptions {
    fn default() -> Self {
        Self::ttl(DEFAULT_TTL)
    }
}

pub(crate) fn check_span(name: &str, span: Duration, least: Duration) -> Result<(), Error> {
    if (least..=MAX_LIFE).contains(&span) {
        return Ok(());
    }
    Err(Error::config(format!(
        "{name} of {span:?}: {least:?} to {MAX_LIFE:?}"
    )))
}

fn to_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A checked life, in milliseconds from birth. The stale windows both start
/// where `fresh` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) fresh: u64,
    pub(crate) revalidate: u64,
    pub(crate) on_error: u64,
}

impl Life {
    /// Until the value is of no use to anybody: what a store's own ttl covers.
    pub(crate) fn total(&self) -> u64 {
        self.fresh
            .saturating_add(self.revalidate.max(self.on_error))
    }
}

/// What a load hands over: the value, and what the loader decides about it.
///
/// A plain `V` converts; so a loader returns either.
///
/// ```
/// # use terrace::Loaded;
/// # use std::time::Duration;
/// let short = Loaded::new("busy").ttl(Duration::from_secs(1));
/// let never = Loaded::new("secret").do_not_store();
/// let tagged = Loaded::new("BTC 97000").tag("exchange:kraken").tag("coin:btc");
/// let plain: Loaded<&str> = "plain".into();
/// # let _ = (short, never, tagged, plain);
/// ```
#[derive(Clone, Debug)]
pub struct Loaded<V> {
    pub(crate) value: V,
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) store: bool,
}

impl<V> Loaded<V> {
    /// A value with the life that the options say.
    pub fn new(value: V) -> Self {
        Self {
            value,
            ttl: None,
            tags: Vec::new(),
            store: true,
        }
    }

    /// Fresh for `ttl` instead of the options' ttl, 1 ms to one year.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Puts the value into a group that [`remove_tag`](crate::Cache::remove_tag)
    /// removes: 1 to 128 bytes of UTF-8, at most 16 tags a value. Tags are the
    /// cache's own: the same tag in another cache is another group.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tags.push(Arc::from(tag.as_ref()));
        self
    }

    /// Give the value to everybody who waits for it, and keep it nowhere.
    pub fn do_not_store(mut self) -> Self {
        self.store = false;
        self
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}
