//! The public handle: every method a few lines that enter one walk.

use std::{fmt, sync::Arc};

use crate::{
    builder::Builder,
    core::Core,
    entry::Entry,
    error::{BoxError, Error},
    group::{self, Removed},
    lead::{Job, Load},
    options::{EntryOptions, Loaded},
    pattern::Pattern,
    read::{self, Look},
    stats::Stats,
    tag::check_tag,
    write::{self, Written},
};

/// A multi-tier cache for one kind of value. Cheap to clone; a clone is the same cache.
///
/// Reads never fail because of the store: they fall back to the loader, and it
/// is counted. Writes report. Loads and writes need a Tokio runtime and run on
/// tasks of their own: dropping the future of a call neither stops them nor
/// harms anybody else.
///
/// A key is 1 to 512 bytes of UTF-8; any other is an error that
/// [`is_invalid_key`](Error::is_invalid_key). Values that are evicted are dropped
/// under a lock of the cache: a `Drop` of theirs must not call the cache.
///
/// A cache with a store belongs to the Tokio runtime that it is built in.
pub struct Cache<V: Send + Sync + 'static> {
    core: Arc<Core<V>>,
    name: Arc<Name<V>>,
}

/// Dropped with the last handle, which may be before the last load or write ends.
struct Name<V: Send + Sync + 'static>(Arc<Core<V>>);

impl<V: Send + Sync + 'static> Drop for Name<V> {
    fn drop(&mut self) {
        self.0.give_up_name();
    }
}

impl<V: Send + Sync + 'static> Cache<V> {
    /// Starts a cache. Its name, 1 to 32 of `a-z 0-9 _ -`, stands in store keys, logs and statistics.
    ///
    /// ```
    /// # use terrace::{Cache, EntryOptions, Policy};
    /// # use std::time::Duration;
    /// let quotes: Cache<f64> = Cache::builder("quotes")
    ///     .capacity(10_000)
    ///     .policy(Policy::S3Fifo)
    ///     .defaults(EntryOptions::ttl(Duration::from_secs(10)))
    ///     .build()?;
    /// # Ok::<_, terrace::Error>(())
    /// ```
    pub fn builder(name: impl Into<String>) -> Builder<V> {
        Builder::new(name.into())
    }

    pub(crate) fn over(core: Arc<Core<V>>) -> Self {
        let name = Arc::new(Name(Arc::clone(&core)));
        Self { core, name }
    }

    /// What L1 holds for the key, if it may be served. Never waits.
    ///
    /// Costs some tens of nanoseconds and no allocation. A key that cannot be is
    /// simply not there; nor is, while the store answers, what would have to be
    /// looked at again in it: [`get`](Self::get) does that.
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// assert!(cache.peek("seven").is_none());
    /// cache.set("seven", 7).await?;
    /// assert_eq!(*cache.peek("seven").expect("it was just set"), 7);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn peek(&self, key: impl AsRef<str>) -> Option<Entry<V>> {
        match self.look(key.as_ref(), &self.core.defaults) {
            Look::Fresh(entry) | Look::Stale(entry) => Some(entry),
            Look::Doubtful(_) | Look::Nothing => {
                read::miss(&self.core, key.as_ref());
                None
            }
        }
    }

    /// What the tiers hold for the key; never loads.
    ///
    /// A value that may be served while it is revalidated is an answer too. One
    /// round trip to the store after a miss in L1, none after a hit; one for a few
    /// bytes if L1 has a value that nobody can vouch for.
    ///
    /// # Errors
    ///
    /// [`is_invalid_key`](Error::is_invalid_key) and
    /// [`is_closed`](Error::is_closed). A store that fails is a miss; where there is
    /// [no L1](crate::Builder::no_local), [`is_store`](Error::is_store).
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// assert!(cache.get("seven").await?.is_none());
    /// assert!(cache.get("").await.unwrap_err().is_invalid_key());
    /// # Ok(()) }
    /// ```
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Option<Entry<V>>, Error> {
        let doubtful = match self.look(key.as_ref(), &self.core.defaults) {
            Look::Fresh(entry) | Look::Stale(entry) => return Ok(Some(entry)),
            Look::Doubtful(record) => Some(record),
            Look::Nothing => None,
        };
        let name = self.core.admit(key.as_ref())?;
        drop(key);
        read::find(&self.core, &name, doubtful).await
    }

    /// Cache or compute: what the tiers hold, else what `load` brings.
    ///
    /// At most one load per key runs in this process and, with a store, in the
    /// cluster; a load from before a write or a removal of the key does not count,
    /// and while the store is away each process has its own. `load` is called in the
    /// caller's frame on a miss, so it may borrow; the future that it makes may not. It may be called although
    /// nothing is loaded in the end: work belongs in the future. A hit costs no
    /// allocation; a miss up to three round trips, two of which the caller waits for.
    ///
    /// A load that reads its own key gets an error that
    /// [`is_reentrant`](Error::is_reentrant).
    ///
    /// # Errors
    ///
    /// [`is_load`](Error::is_load) if the load fails and no stale value may
    /// stand in: shared by everybody who waited, the cause in
    /// [`load_error`](Error::load_error); [`is_invalid_key`](Error::is_invalid_key);
    /// [`is_closed`](Error::is_closed). Never because of the store.
    ///
    /// # Cancel safety
    ///
    /// A load that was started goes on without its caller, and others get its result.
    ///
    /// ```
    /// # use terrace::{Cache, Source};
    /// async fn square(of: u64) -> Result<u64, std::io::Error> { Ok(of * of) }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let squares: Cache<u64> = Cache::builder("squares").build()?;
    /// let first = squares.get_or_load("12", || square(12)).await?;
    /// assert_eq!((*first, first.source()), (144, Source::Loader));
    /// let again = squares.get_or_load("12", || square(12)).await?;
    /// assert_eq!((*again, again.source()), (144, Source::Local));
    /// # Ok(()) }
    /// ```
    pub async fn get_or_load<K, F, Fut, T, E>(&self, key: K, load: F) -> Result<Entry<V>, Error>
    where
        K: AsRef<str>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        self.get_or_load_with(key, &self.core.defaults, load).await
    }

    /// [`get_or_load`](Self::get_or_load) with options of its own.
    ///
    /// They matter if this call's load is the one that runs. Besides its errors:
    /// [`is_config`](Error::is_config) for options out of range, found on a miss.
    ///
    /// ```
    /// # use terrace::{BoxError, Cache, EntryOptions};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// let brief = EntryOptions::ttl(Duration::from_secs(1));
    /// let seven = cache.get_or_load_with("seven", &brief, || async { Ok::<_, BoxError>(7) }).await?;
    /// assert_eq!(*seven, 7);
    /// # Ok(()) }
    /// ```
    pub async fn get_or_load_with<K, F, Fut, T, E>(
        &self,
        key: K,
        options: &EntryOptions,
        load: F,
    ) -> Result<Entry<V>, Error>
    where
        K: AsRef<str>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let stale = match self.look(key.as_ref(), options) {
            Look::Fresh(entry) => return Ok(entry),
            Look::Stale(entry) => Some(entry),
            Look::Doubtful(_) | Look::Nothing => None,
        };
        let job = self.job(key.as_ref(), options, load)?;
        drop(key);
        match stale {
            Some(entry) => {
                read::refresh_behind(&self.core, job);
                Ok(entry)
            }
            None => Box::pin(read::load(Arc::clone(&self.core), job)).await,
        }
    }

    /// Loads anew although a usable value may be there, and stores the result.
    ///
    /// One flight with misses and other refreshes of the key: it joins a load
    /// under way, here or (with a store) in another process, whose result is then
    /// the answer. Meanwhile readers are served what is there. If the load fails,
    /// what is there is the answer, fresh or within stale-if-error, and
    /// [`source`](Entry::source) says so: it is not the loader.
    ///
    /// A loader that says not to store takes the old value from L1, not from L2.
    ///
    /// Errors and cancel safety as [`get_or_load`](Self::get_or_load).
    ///
    /// ```
    /// # use terrace::{BoxError, Cache};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.set("dice", 3).await?;
    /// let fresh = cache.refresh("dice", || async { Ok::<_, BoxError>(5) }).await?;
    /// assert_eq!((*fresh, *cache.peek("dice").expect("it was stored")), (5, 5));
    /// # Ok(()) }
    /// ```
    pub async fn refresh<K, F, Fut, T, E>(&self, key: K, load: F) -> Result<Entry<V>, Error>
    where
        K: AsRef<str>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let job = self.job(key.as_ref(), &self.core.defaults, load)?;
        drop(key);
        Box::pin(read::refresh(Arc::clone(&self.core), job)).await
    }

    /// Puts a value into both tiers: here now, and for every other process within
    /// `max_staleness`.
    ///
    /// Two round trips with a store, and they are the fence: a set that is
    /// overtaken by a later write of any process stores nothing and says
    /// [`Written::Superseded`]. Loads of the key that are under way cannot store
    /// their results any more.
    ///
    /// # Errors
    ///
    /// [`is_store`](Error::is_store): the outcome may be unknown, and until it is
    /// settled the store is not read for this key here;
    /// [`is_value`](Error::is_value) and [`is_config`](Error::is_config), before
    /// anything was touched; [`is_invalid_key`](Error::is_invalid_key);
    /// [`is_closed`](Error::is_closed).
    ///
    /// # Cancel safety
    ///
    /// Polled once, it goes on without its caller.
    ///
    /// ```
    /// # use terrace::{Cache, Loaded, Written};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// assert_eq!(cache.set("one", 1).await?, Written::Stored);
    /// cache.set("two", Loaded::new(2).ttl(Duration::from_secs(5))).await?;
    /// # Ok(()) }
    /// ```
    pub async fn set(
        &self,
        key: impl AsRef<str>,
        value: impl Into<Loaded<V>>,
    ) -> Result<Written, Error> {
        self.set_with(key, &self.core.defaults, value).await
    }

    /// [`set`](Self::set) with options of its own.
    ///
    /// ```
    /// # use terrace::{Cache, EntryOptions};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// let never = EntryOptions::ttl(Duration::ZERO);
    /// assert!(cache.set_with("one", &never, 1).await.unwrap_err().is_config());
    /// # Ok(()) }
    /// ```
    pub async fn set_with(
        &self,
        key: impl AsRef<str>,
        options: &EntryOptions,
        value: impl Into<Loaded<V>>,
    ) -> Result<Written, Error> {
        let (name, value) = (self.core.admit(key.as_ref())?, value.into());
        drop(key);
        write::set(Arc::clone(&self.core), name, value, options).await
    }

    /// Removes the key from both tiers: here now, everywhere within `max_staleness`.
    ///
    /// A read that begins after this returned never sees what was there before, and
    /// no load that was under way in any process can store its result. One round
    /// trip with a store.
    ///
    /// # Errors
    ///
    /// [`is_store`](Error::is_store): not removed there yet, as far as we know. It
    /// is removed when the store answers again, and until then this process does
    /// not read the key from it. [`is_invalid_key`](Error::is_invalid_key);
    /// [`is_closed`](Error::is_closed).
    ///
    /// # Cancel safety
    ///
    /// Polled once, it goes on without its caller.
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.set("one", 1).await?;
    /// cache.remove("one").await?;
    /// assert!(cache.get("one").await?.is_none());
    /// # Ok(()) }
    /// ```
    pub async fn remove(&self, key: impl AsRef<str>) -> Result<(), Error> {
        let name = self.core.admit(key.as_ref())?;
        drop(key);
        write::remove(Arc::clone(&self.core), name).await
    }

    /// Removes every entry with this tag, here now and everywhere within
    /// `max_staleness`, whatever their number.
    ///
    /// Loads under way do not count either, wherever they run, though their tags be
    /// known only when they end: what they bring is handed to who waited for it, and
    /// stored nowhere. One round trip with a store. Members that L2 holds are dead
    /// from here on, and go when their life ends.
    ///
    /// Errors and cancel safety as [`remove`](Self::remove);
    /// [`is_invalid_key`](Error::is_invalid_key) for a tag that is not 1 to 128 bytes.
    ///
    /// ```
    /// # use terrace::{Cache, Loaded};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<f64> = Cache::builder("quotes").build()?;
    /// cache.set("btc", Loaded::new(97_000.0).tag("exchange:kraken")).await?;
    /// cache.set("eth", 3_400.0).await?;
    /// cache.remove_tag("exchange:kraken").await?;
    /// assert!(cache.peek("btc").is_none() && cache.peek("eth").is_some());
    /// # Ok(()) }
    /// ```
    pub async fn remove_tag(&self, tag: impl AsRef<str>) -> Result<(), Error> {
        self.core.refuse_if_closed()?;
        check_tag(tag.as_ref())?;
        let tag = Arc::from(tag.as_ref());
        group::remove_tag(Arc::clone(&self.core), tag).await
    }

    /// Removes every key that begins with `prefix`, of 1 to 512 bytes, from both tiers.
    ///
    /// With a store it walks the keyspace twice, in steps of some 500 keys that
    /// other clients of it hardly notice; each step is under the store's deadline,
    /// the whole has none. Four walks of a cache go on at once, others wait for their
    /// turn. A tag does the same in one round trip.
    ///
    /// Errors and cancel safety as [`remove`](Self::remove).
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.set("odd:1", 1).await?;
    /// cache.set("even:2", 2).await?;
    /// assert_eq!(cache.remove_prefix("odd:").await?.local, 1);
    /// assert!(cache.peek("odd:1").is_none() && cache.peek("even:2").is_some());
    /// # Ok(()) }
    /// ```
    pub async fn remove_prefix(&self, prefix: impl AsRef<str>) -> Result<Removed, Error> {
        self.core.refuse_if_closed()?;
        let pattern = Pattern::prefix(prefix.as_ref())?;
        group::remove_matching(Arc::clone(&self.core), pattern).await
    }

    /// Removes every key that matches a glob: `*`, `?`, `[a-z]`, `[^a-z]`, and `\`
    /// before a character that is meant as it is. 1 to 128 bytes.
    ///
    /// Costs, errors and cancel safety as [`remove_prefix`](Self::remove_prefix);
    /// [`is_invalid_key`](Error::is_invalid_key) for what is no glob.
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.set("7:prime", 7).await?;
    /// cache.set("8:even", 8).await?;
    /// assert_eq!(cache.remove_matching("?:pri*").await?.local, 1);
    /// assert!(cache.remove_matching("[7").await.unwrap_err().is_invalid_key());
    /// # Ok(()) }
    /// ```
    pub async fn remove_matching(&self, glob: impl AsRef<str>) -> Result<Removed, Error> {
        self.core.refuse_if_closed()?;
        let pattern = Pattern::glob(glob.as_ref())?;
        group::remove_matching(Arc::clone(&self.core), pattern).await
    }

    /// Removes everything of this cache, here now and everywhere within
    /// `max_staleness`, and nothing else: a [`remove_tag`](Self::remove_tag) of a tag
    /// that every entry has. One round trip with a store.
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.set("one", 1).await?;
    /// cache.clear().await?;
    /// assert!(cache.peek("one").is_none());
    /// # Ok(()) }
    /// ```
    pub async fn clear(&self) -> Result<(), Error> {
        self.core.refuse_if_closed()?;
        group::clear(Arc::clone(&self.core)).await
    }

    /// What the cache did and holds. Reads some forty atomics.
    ///
    /// ```
    /// # use terrace::Cache;
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// assert_eq!((cache.stats().hits, cache.stats().capacity), (0, 10_000));
    /// # Ok::<_, terrace::Error>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// The name that it was built with.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Ends the cache, for all its handles: empties L1, ends loads (who waits gets
    /// an error, leases go back), lets writes finish under their deadlines. What is
    /// pending stays as it is in the store. Afterwards every call is an error that
    /// [`is_closed`](Error::is_closed).
    ///
    /// Not needed for cleanliness: when the last handle is dropped, background
    /// work ends by itself.
    ///
    /// ```
    /// # use terrace::Cache;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), terrace::Error> {
    /// let cache: Cache<u8> = Cache::builder("numbers").build()?;
    /// cache.close().await;
    /// assert!(cache.get("one").await.unwrap_err().is_closed());
    /// # Ok(()) }
    /// ```
    pub async fn close(&self) {
        self.core.close().await;
    }

    #[inline]
    fn look(&self, key: &str, options: &EntryOptions) -> Look<V> {
        read::look(&self.core, key, options.wanted_coherence())
    }

    fn job<F, Fut, T, E>(&self, key: &str, options: &EntryOptions, load: F) -> Result<Job<V>, Error>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Loaded<V>>,
        E: Into<BoxError>,
    {
        let key = self.core.admit(key)?;
        options.check()?;
        let future = load();
        let load: Load<V> =
            Box::pin(async move { future.await.map(Into::into).map_err(Into::into) });
        Ok(Job {
            key,
            options: options.clone(),
            load,
        })
    }
}

impl<V: Send + Sync + 'static> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            name: Arc::clone(&self.name),
        }
    }
}

impl<V: Send + Sync + 'static> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
