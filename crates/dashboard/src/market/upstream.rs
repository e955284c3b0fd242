//! One source over HTTP: asks, bounds what comes back, decodes it.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use reqwest::{Client, Response, Url, header};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{
    answer::SourceReport,
    error::{ServiceError, UpstreamError},
    figure::{Reason, Source},
    health::Health,
    retry::retry_with_backoff,
};
use crate::{clock, setting::BaseUrl, telemetry};

/// The largest documented answer, 500 candles, is some 90 kB.
const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;
/// A host that takes longer to say hello is as good as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections are closed before the providers' balancers do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// A source that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    source: Source,
    base: BaseUrl,
    client: Client,
    health: Arc<Health>,
}

/// A client for sources that are all reached over plain HTTP (a simulator) needs neither the
/// machine's certificates nor its proxy; a client for the real ones needs both.
pub(crate) fn client(bases: &[&BaseUrl], total: Duration) -> Result<Client, ServiceError> {
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(total))
        .timeout(total)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .user_agent(concat!("terrace-dashboard/", env!("CARGO_PKG_VERSION")));
    let builder = if bases.iter().any(|base| base.is_https()) {
        builder
    } else {
        builder.no_proxy().tls_certs_only([])
    };
    builder
        .build()
        .map_err(|error| ServiceError::Client(error.without_url()))
}

impl Upstream {
    pub(crate) fn new(source: Source, base: BaseUrl, client: Client) -> Self {
        Self {
            source,
            base,
            client,
            health: Arc::new(Health::new(source)),
        }
    }

    /// Reads a documented path and decodes the JSON, retries included, until the deadline.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<T, UpstreamError> {
        let now = clock::monotonic();
        if now >= deadline {
            // Somebody else used up the time: that says nothing about this source.
            return Err(UpstreamError::TimedOut);
        }
        let pass = self.health.admit(now)?;
        let mut url = self.base.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let ask = || self.ask(url.clone());
        let read = retry_with_backoff(self.source, &pass, deadline, ask)
            .await
            .and_then(|body| serde_json::from_slice(&body).map_err(UpstreamError::NotDecodable));
        match &read {
            Ok(_) => pass.succeed(clock::now()),
            Err(error) => {
                tracing::debug!(source = self.source.name(), path, cause = %telemetry::chain(error), "read failed");
                pass.fail(error, clock::monotonic());
            }
        }
        read
    }

    pub(crate) fn report(&self) -> SourceReport {
        self.health.report(clock::monotonic())
    }

    /// Writes down what a round came to here.
    pub(crate) fn conclude(&self, trouble: Option<Reason>) {
        self.health.conclude(trouble);
    }

    pub(crate) fn forget(&self) {
        self.health.forget(clock::monotonic());
    }

    async fn ask(&self, url: Url) -> Result<Vec<u8>, UpstreamError> {
        let response = self.client.get(url).send().await.map_err(failed)?;
        let status = response.status();
        if status.is_redirection() {
            return Err(UpstreamError::Redirected {
                status: status.as_u16(),
            });
        }
        if !status.is_success() {
            let retry_after = retry_after(&response);
            return Err(UpstreamError::Status {
                status: status.as_u16(),
                retry_after,
            });
        }
        body(response).await
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, UpstreamError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > BODY_LIMIT_BYTES {
            return Err(UpstreamError::TooLarge {
                limit_bytes: BODY_LIMIT_BYTES,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn failed(error: reqwest::Error) -> UpstreamError {
    if error.is_timeout() {
        UpstreamError::TimedOut
    } else {
        UpstreamError::NotReachable(error.without_url())
    }
}

/// Seconds, or a date, which is counted from the answer's own date where it has one.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = |name| response.headers().get(name)?.to_str().ok();
    let wanted = text(header::RETRY_AFTER)?;
    let answered = text(header::DATE).and_then(http_date);
    parse_retry_after(wanted, answered.unwrap_or_else(clock::now))
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
