//! A day in this process: the simulated market behind the service's transport, and one time for all.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use dashboard::{
    cache::manager::CacheManager,
    clock::Clock,
    config::Config,
    demo::lead_to,
    market::{
        figure::Source as Of,
        service::DataService,
        transport::{BODY_LIMIT_BYTES, Question, Reply, Transport, Unreached},
    },
};
use futures_util::future::BoxFuture;
use hyper::{Request, header::USER_AGENT};
use jiff::Timestamp;
use market_sim::{Fault, FaultKind, Poison, SimOptions, SimTime, Simulator, Source, keys};
use terrace::testing::ManualClock;
use tokio::time::{Instant, sleep};
use tower_service::Service as _;

use super::book::Book;

/// How far the clocks of the cache and of the market may lag behind Tokio's: a read or an answer
/// brings them up to it, and this does when nothing else happens.
const TICK: Duration = Duration::from_secs(1);
/// How exactly a late answer keeps its time.
const LATE_TICK: Duration = Duration::from_millis(100);
/// The HTTP client's own deadline.
const HTTP_PATIENCE: Duration = Duration::from_secs(29);

/// A call, as the source sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) source: Source,
    /// Since the day began.
    pub(crate) at: Duration,
    /// What it costs of the source's quota: nothing where a pending answer is asked for again.
    pub(crate) cost: u32,
}

/// The market, and every clock that is not Tokio's.
pub(crate) struct World {
    simulator: Simulator,
    router: Router,
    cache_time: ManualClock,
    began: Instant,
    start: Timestamp,
    /// Up to where the other clocks were brought, since the day began.
    reached: Mutex<Duration>,
    faults: Mutex<Vec<(Source, FaultKind)>>,
    calls: Mutex<Vec<Call>>,
    /// Sources whose last answer was that there will be one.
    pending: Mutex<HashSet<Source>>,
    book: Mutex<Book>,
    /// What they said while they were told to lie.
    lies: Mutex<Book>,
}

impl World {
    /// Must be made under Tokio's paused time.
    pub(crate) fn new(start: &str, seed: u64) -> Arc<Self> {
        let start: Timestamp = start.parse().expect("a timestamp");
        let options = SimOptions {
            seed,
            time: SimTime::SteppedFrom(start),
            ..SimOptions::default()
        };
        let simulator = Simulator::offline(options).expect("a seeded market needs no file");
        let world = Arc::new(Self {
            router: simulator.router(),
            simulator,
            cache_time: ManualClock::new(),
            began: Instant::now(),
            start,
            reached: Mutex::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            pending: Mutex::default(),
            book: Mutex::default(),
            lies: Mutex::default(),
        });
        let ticking = Arc::downgrade(&world);
        tokio::spawn(async move {
            while let Some(world) = ticking.upgrade() {
                world.catch_up();
                drop(world);
                sleep(TICK).await;
            }
        });
        world
    }

    /// A service with L1, no store, and every source on.
    pub(crate) fn service(self: &Arc<Self>) -> (Config, Arc<DataService>) {
        self.service_of(Config::defaults())
    }

    /// As [`service`](Self::service), with other settings.
    pub(crate) fn service_of(self: &Arc<Self>, mut config: Config) -> (Config, Arc<DataService>) {
        lead_to(&mut config, &self.simulator).expect("the simulator has a sound address");
        let key = |text: &str| Some(text.into());
        config.taapi_secret = key(keys::TAAPI_SECRET);
        config.cmc_api_key = key(keys::CMC_API_KEY);
        config.finnhub_api_key = key(keys::FINNHUB_API_KEY);
        config.coingecko_api_key = key(keys::COINGECKO_API_KEY);
        let cache = CacheManager::build_with(&config, self.cache_time.clock());
        let cache = Arc::new(cache.expect("the caches are built"));
        let transport: Arc<dyn Transport> = Arc::new(Wire(Arc::clone(self)));
        let clock = Clock::starting_at(self.start);
        let service = DataService::start_with(&config, Some(cache), &transport, clock);
        (config, service)
    }

    /// Since the day began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.start
            .checked_add(self.elapsed())
            .expect("a day is within the calendar")
    }

    /// Brings market and cache to Tokio's time.
    pub(crate) fn catch_up(&self) {
        let mut reached = self.reached.lock().expect("nobody panics with it");
        // Both count in whole milliseconds.
        let now = Duration::from_millis(u64::try_from(self.elapsed().as_millis()).expect("a day"));
        let step = now - *reached;
        *reached = now;
        if !step.is_zero() {
            self.cache_time.advance(step);
            self.simulator.step(step);
        }
    }

    /// What goes wrong from now on, and nothing else.
    pub(crate) async fn suffer(&self, faults: Vec<(Source, FaultKind)>) {
        let clear = Request::delete("/control/faults").body(Body::empty());
        let cleared = self
            .simulator
            .router()
            .call(clear.expect("a sound request"));
        assert!(cleared.await.expect("infallible").status().is_success());
        for (source, kind) in &faults {
            self.simulator.inject(*source, Fault::always(kind.clone()));
        }
        *self.faults.lock().expect("nobody panics with it") = faults;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("nobody panics with it").clone()
    }

    /// Whether the source said this number, and not because it was told to lie.
    pub(crate) fn was_said(&self, source: Of, number: f64) -> bool {
        let book = self.book.lock().expect("nobody panics with it");
        book.has(source, number)
    }

    /// Whether the source said this number because it was told to lie.
    pub(crate) fn was_a_lie(&self, source: Of, number: f64) -> bool {
        let lies = self.lies.lock().expect("nobody panics with it");
        lies.has(source, number)
    }

    fn is_lying(&self, source: Source) -> bool {
        let faults = self.faults.lock().expect("nobody panics with it");
        faults
            .iter()
            .any(|(of, kind)| *of == source && is_lie(kind))
    }

    async fn answer(&self, question: Question) -> Result<Reply, Unreached> {
        self.catch_up();
        let source = source(question.url.path());
        self.note_call(source, question.url.path());
        let mut request = Request::get(format!(
            "{}?{}",
            question.url.path(),
            question.url.query().unwrap_or_default()
        ))
        .header(USER_AGENT, "a-day");
        if let Some((name, key)) = &question.key {
            request = request.header(*name, secrecy::ExposeSecret::expose_secret(key));
        }
        let request = request.body(Body::empty()).expect("a sound request");
        let mut router = self.router.clone();
        let answering = async {
            let response = router.call(request).await.expect("infallible");
            let (head, body) = response.into_parts();
            let body = if head.status.is_success() {
                body
            } else {
                Body::empty()
            };
            let body = to_bytes(body, BODY_LIMIT_BYTES).await;
            (head, body)
        };
        tokio::pin!(answering);
        let (head, body) = loop {
            // Steps are what a late answer waits for.
            tokio::select! {
                biased;
                answer = &mut answering => break answer,
                () = sleep(LATE_TICK) => self.catch_up(),
            }
        };
        let body = body.map_err(|error| Unreached::Failed(error.into()))?;
        if head.status.as_u16() == 202 {
            let mut pending = self.pending.lock().expect("nobody panics with it");
            pending.insert(source);
        }
        let book = if self.is_lying(source) {
            &self.lies
        } else {
            &self.book
        };
        book.lock()
            .expect("nobody panics with it")
            .note(source, question.url.path(), &body);
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    fn note_call(&self, source: Source, path: &str) {
        let mut pending = self.pending.lock().expect("nobody panics with it");
        let is_repeated = pending.remove(&source);
        let cost = match source {
            _ if is_repeated => 0,
            // By weight.
            Source::Binance if !path.ends_with("/time") => 2,
            _ => 1,
        };
        let at = self.elapsed();
        let mut calls = self.calls.lock().expect("nobody panics with it");
        calls.push(Call { source, at, cost });
    }
}

/// The transport: no socket, and as patient as the HTTP client.
struct Wire(Arc<World>);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Transport for Wire {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, Unreached>> {
        Box::pin(async move {
            let answer = tokio::time::timeout(HTTP_PATIENCE, self.0.answer(question)).await;
            answer.unwrap_or(Err(Unreached::TimedOut))
        })
    }
}

/// Whether the numbers are not the market's any more. A wrong type is no lie, only badly put.
fn is_lie(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::Skew { .. } => true,
        FaultKind::Poison { value } => !matches!(value, Poison::WrongType | Poison::Listed),
        _ => false,
    }
}

/// The source whose prefix the path has.
fn source(path: &str) -> Source {
    let prefix = path.split('/').nth(1).unwrap_or_default();
    let named = Source::ALL
        .into_iter()
        .find(|source| source.name() == prefix);
    named.unwrap_or_else(|| panic!("{path} is no source's"))
}
