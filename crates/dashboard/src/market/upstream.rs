//! One source: whether it may be asked, the question, and what its answer amounts to.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{
    Url,
    header::{self, HeaderMap},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    answer::SourceReport,
    bucket::Bucket,
    error::UpstreamError,
    figure::Group,
    health::Health,
    retry::retry_with_backoff,
    source::Source,
    transport::{Question, Transport},
};
use crate::{clock::Clock, config::Config, setting::BaseUrl, telemetry};

/// What Binance has used of its weight in this minute, by whoever shares our address.
const USED_WEIGHT: &str = "x-mbx-used-weight-1m";
/// Of this.
const WEIGHT_LIMIT: u32 = 6_000;

/// How a source is told who asks.
#[derive(Clone)]
pub(crate) enum Credential {
    None,
    Header(&'static str, SecretString),
    Query(&'static str, SecretString),
}

/// A question: a documented path, what it is asked with, and what it costs.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    group: Group,
    path: &'a str,
    query: Vec<(&'static str, &'a str)>,
    weight: u32,
    reserve: u32,
}

impl<'a> Ask<'a> {
    /// For a group's figures, or for others like them.
    pub(crate) fn new(group: Group, path: &'a str) -> Self {
        Self {
            group,
            path,
            query: Vec::new(),
            weight: 1,
            reserve: 0,
        }
    }

    pub(crate) fn query(mut self, name: &'static str, value: &'a str) -> Self {
        self.query.push((name, value));
        self
    }

    /// What it costs of the source's allowance; 1 unless said.
    pub(crate) fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// What must be left of the allowance: for questions that stand in for another source's.
    pub(crate) fn leave(mut self, reserve: u32) -> Self {
        self.reserve = reserve;
        self
    }
}

/// A source that can be asked.
#[derive(Debug)]
pub(crate) struct Upstream {
    source: Source,
    base: BaseUrl,
    credential: Credential,
    transport: Arc<dyn Transport>,
    clock: Clock,
    health: Health,
    bucket: Mutex<Bucket>,
}

impl Upstream {
    /// None where the source is off, for want of a setting.
    pub(crate) fn new(
        source: Source,
        config: &Config,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Option<Self> {
        let bucket = Bucket::new(source.allowance(), clock.monotonic());
        let longest_pause = config.refresh_interval.max(config.refresh_backoff_max);
        Some(Self {
            source,
            base: config.base(source).clone(),
            credential: config.credential(source)?,
            transport,
            health: Health::new(source, longest_pause),
            bucket: Mutex::new(bucket),
            clock,
        })
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// The wall clock by which its answers are dated.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Reads a documented path and decodes the JSON, retries included, until the deadline.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        deadline: Instant,
    ) -> Result<T, UpstreamError> {
        let json = |body: &[u8]| serde_json::from_slice(body).map_err(UpstreamError::NotDecodable);
        self.read_with(ask, deadline, json).await
    }

    /// As [`read`](Self::read); `decode` also finds the refusals that come with status 200.
    pub(crate) async fn read_with<T>(
        &self,
        ask: &Ask<'_>,
        deadline: Instant,
        decode: impl Fn(&[u8]) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let now = self.clock.monotonic();
        if now >= deadline {
            return Err(UpstreamError::NoTimeLeft);
        }
        let pass = self.health.admit(ask.group, now)?;
        let url = self.url(ask);
        // What is still being computed was paid for when it was first asked.
        let is_paid = AtomicBool::new(false);
        let attempt = || async {
            if !is_paid.load(Ordering::Relaxed) {
                self.pay(ask)?;
            }
            let called = self.call(url.clone()).await;
            is_paid.store(
                matches!(called, Err(UpstreamError::Pending)),
                Ordering::Relaxed,
            );
            decode(&called?)
        };
        let read = retry_with_backoff(&self.clock, &pass, deadline, attempt).await;
        match &read {
            Ok(_) => pass.succeed(self.clock.monotonic(), self.clock.now()),
            Err(error) => {
                tracing::debug!(
                    source = self.source.name(),
                    path = ask.path,
                    cause = %telemetry::chain(error),
                    "read failed"
                );
                pass.fail(error, self.clock.monotonic());
            }
        }
        read
    }

    pub(crate) fn report(&self) -> SourceReport {
        let now = self.clock.monotonic();
        SourceReport {
            allowance_left: self.bucket().level(now),
            ..self.health.report(now)
        }
    }

    /// A round went on without its answer for this group, or found nothing usable in it.
    pub(crate) fn complain(&self, group: Group, error: &UpstreamError) {
        // Whoever used up the time, it was not this source.
        if !matches!(error, UpstreamError::NoTimeLeft) {
            let now = self.clock.monotonic();
            self.health.complain(group, error.reason(), now);
        }
    }

    /// Leaves it alone until then, as another instance was told to.
    pub(crate) fn cool_until(&self, until: Timestamp) {
        let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
        self.health.cool_for(wait, self.clock.monotonic(), until);
    }

    pub(crate) fn forget(&self) {
        self.health.forget(self.clock.monotonic());
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.base.at(ask.path);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        if let Credential::Query(name, secret) = &self.credential {
            url.query_pairs_mut()
                .append_pair(name, secret.expose_secret());
        }
        url
    }

    fn pay(&self, ask: &Ask<'_>) -> Result<(), UpstreamError> {
        let now = self.clock.monotonic();
        let paid = self.bucket().take(ask.weight, ask.reserve, now);
        paid.map_err(|wait| UpstreamError::OverBudget { wait })
    }

    /// One call.
    async fn call(&self, url: Url) -> Result<bytes::Bytes, UpstreamError> {
        self.health.count_call();
        let key = match &self.credential {
            Credential::Header(name, secret) => Some((*name, secret.clone())),
            Credential::None | Credential::Query(..) => None,
        };
        let reply = self.transport.ask(Question { url, key }).await?;
        self.correct(&reply.headers);
        match reply.status {
            202 => Err(UpstreamError::Pending),
            200..=299 => Ok(reply.body),
            status @ 300..=399 => Err(UpstreamError::Redirected { status }),
            status => Err(UpstreamError::Status {
                status,
                retry_after: retry_after(&reply.headers, self.now()),
            }),
        }
    }

    fn correct(&self, headers: &HeaderMap) {
        let used = headers.get(USED_WEIGHT).and_then(|used| used.to_str().ok());
        if let Some(used) = used.and_then(|used| used.trim().parse().ok()) {
            let now = self.clock.monotonic();
            self.bucket().correct(used, WEIGHT_LIMIT, now);
        }
    }

    /// Nothing that runs under this lock can leave the bucket half written.
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "Credential::None",
            Self::Header(..) | Self::Query(..) => "Credential (hidden)",
        })
    }
}

/// Seconds, or a date, which is counted from the answer's own date where it has one.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let wanted = text(header::RETRY_AFTER)?;
    let answered = text(header::DATE).and_then(http_date);
    parse_retry_after(wanted, answered.unwrap_or(now))
}

fn parse_retry_after(wanted: &str, answered: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = wanted.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(wanted.trim())?;
    // A date in the past means that there is nothing left to wait for.
    Some(Duration::try_from(until.duration_since(answered)).unwrap_or_default())
}

fn http_date(text: &str) -> Option<Timestamp> {
    // HTTP's dates are the older kind of mail dates that name their zone.
    DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_understood_as_seconds_and_as_a_date() {
        let answered = http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date of RFC 9110");
        let wait = |text| parse_retry_after(text, answered);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
    }
}
