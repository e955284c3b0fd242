//! How a question reaches a source. A trait, so that a test can put a whole day of market in its place.

use std::{error::Error, fmt, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::{Client, Url, header::HeaderMap};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::ServiceError;
use crate::setting::BaseUrl;

/// The largest documented answer, 1,000 candles, is some 180 kB.
pub const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;
/// A host that takes longer to say hello is as good as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Idle connections are closed before the providers' balancers do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// A GET. Its address may carry a secret, so neither is ever shown.
pub struct Question {
    /// The address, query included.
    pub url: Url,
    /// A header that carries a key.
    pub key: Option<(&'static str, SecretString)>,
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty unless the status is one of success.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub enum Unreached {
    /// Nobody answered in time.
    TimedOut,
    /// There is no connection, or it broke. Invariant: the cause names no address.
    Failed(Box<dyn Error + Send + Sync>),
    /// The body is larger than [`BODY_LIMIT_BYTES`]; it was not read to its end.
    TooLarge,
}

/// Brings questions to sources. Follows no redirect, reads at most [`BODY_LIMIT_BYTES`].
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Asks, once. Dropping the future gives the question up.
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, Unreached>>;
}

/// HTTP/1.1, and TLS where the address says so.
#[derive(Clone, Debug)]
pub struct Http(Client);

impl Http {
    /// A client for sources that are all reached over plain HTTP (a simulator) needs neither the
    /// machine's certificates nor its proxy; a client for the real ones needs both.
    ///
    /// # Errors
    /// When no client can be made, for want of the machine's certificates.
    pub fn new<'a>(
        bases: impl IntoIterator<Item = &'a BaseUrl>,
        total: Duration,
    ) -> Result<Self, ServiceError> {
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(total))
            .timeout(total)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("terrace-dashboard/", env!("CARGO_PKG_VERSION")));
        let builder = if bases.into_iter().any(BaseUrl::is_https) {
            builder
        } else {
            builder.no_proxy().tls_certs_only([])
        };
        let client = builder.build();
        client
            .map(Self)
            .map_err(|error| ServiceError::Client(error.without_url()))
    }
}

impl Transport for Http {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, Unreached>> {
        Box::pin(async move {
            let mut request = self.0.get(question.url);
            if let Some((name, key)) = &question.key {
                request = request.header(*name, key.expose_secret());
            }
            let mut response = request.send().await.map_err(failed)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut body = Vec::new();
            // What a refusal says in words is for nobody: statuses decide.
            while status.is_success()
                && let Some(chunk) = response.chunk().await.map_err(failed)?
            {
                if body.len() + chunk.len() > BODY_LIMIT_BYTES {
                    return Err(Unreached::TooLarge);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Reply {
                status: status.as_u16(),
                headers,
                body: body.into(),
            })
        })
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("path", &self.url.path())
            .finish_non_exhaustive()
    }
}

fn failed(error: reqwest::Error) -> Unreached {
    if error.is_timeout() {
        Unreached::TimedOut
    } else {
        Unreached::Failed(error.without_url().into())
    }
}
