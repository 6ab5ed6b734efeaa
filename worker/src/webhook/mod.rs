//! The processor that asks an HTTP service, as Standard Webhooks (<https://www.standardwebhooks.com>) has it.

mod answer;
mod breaker;
mod endpoint;
mod error;
mod signing_key;
mod tls;

use std::{
    error::Error,
    fmt::Write as _,
    num::NonZeroU32,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_store::{Job, Timestamp};
use reqwest::{Client, Response, header, redirect::Policy};
use serde::Serialize;
use tokio::time::timeout;

use crate::{Failure, Processor};
use answer::{RESULT_BYTES, Refusal};
use breaker::{Admission, Breaker, Health};

pub use endpoint::Endpoint;
pub use error::WebhookError;
pub use signing_key::SigningKey;
pub use tls::Authorities;

/// A connection on which nothing happens is closed, before most servers close theirs.
const IDLE: Duration = Duration::from_secs(30);

/// What an HTTP/2 connection that is in use is asked whether it is still there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// What may come unread on a stream of HTTP/2: little more than the longest result.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same of a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The headers of an answer over HTTP/2. Over HTTP/1.1, hyper takes 100 headers and about 400 KiB.
const HEADER_BYTES: u32 = 64 * 1024;

/// How a webhook is called.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// Where messages are posted to.
    pub endpoint: Endpoint,
    /// What they are signed with.
    pub key: SigningKey,
    /// What they are signed with as well, while the endpoint may not know `key` yet.
    pub previous_key: Option<SigningKey>,
    /// Who may vouch for the endpoint.
    pub authorities: Authorities,
    /// How long an exchange may take, from the connection to the end of the answer.
    pub timeout: Duration,
    /// Exchanges at once.
    pub concurrency: NonZeroU32,
}

/// Posts each message to an endpoint, whose answer is the result.
///
/// 2xx is a result; 400, 410, 413, 422 and what the endpoint calls so are final; all else may pass. It is ready for as many
/// messages as configured, for one while it finds out whether a dead endpoint is back, and for none until it tries.
#[derive(Debug)]
pub struct Webhook {
    endpoint: Endpoint,
    authority: String,
    key: SigningKey,
    previous_key: Option<SigningKey>,
    timeout: Duration,
    concurrency: NonZeroU32,
    client: Client,
    breaker: Breaker,
}

/// What is posted.
#[derive(Serialize)]
struct Posted<'a> {
    id: &'a str,
    username: &'a str,
    body: &'a str,
    attempt: i64,
    created_at: Timestamp,
}

impl Webhook {
    /// A webhook that has yet to connect. Proxies are not used, whatever the environment says.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made of these options.
    pub fn new(options: WebhookOptions) -> Result<Self, WebhookError> {
        let authority = options.endpoint.authority();
        if options.endpoint.is_exposed() {
            tracing::warn!(
                endpoint = authority,
                "messages are posted in the clear; use https"
            );
        }
        let client = Client::builder()
            .user_agent(concat!("Herald/", env!("CARGO_PKG_VERSION")))
            .use_preconfigured_tls(options.authorities.client_config())
            .redirect(Policy::none())
            .no_proxy()
            // A connection is made beside the request that asked for it, and may outlive that.
            .connect_timeout(options.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(options.concurrency.get() as usize)
            .http2_keep_alive_interval(PING.0)
            .http2_keep_alive_timeout(PING.1)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(HEADER_BYTES)
            .build()
            .map_err(|e| WebhookError(explain(&e.without_url())))?;
        Ok(Self {
            breaker: Breaker::new(authority.clone()),
            endpoint: options.endpoint,
            authority,
            key: options.key,
            previous_key: options.previous_key,
            timeout: options.timeout,
            concurrency: options.concurrency,
            client,
        })
    }

    async fn ask(&self, job: &Job) -> Result<String, Failure> {
        let exchange = self.breaker.begin();
        let outcome = match timeout(self.timeout, self.exchange(job)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Broken::no_answer(
                "it took too long",
                "the service did not answer in time",
            )),
        };
        let Broken { why, cause } = match outcome {
            Ok(result) => {
                exchange.succeeded();
                return Ok(result);
            }
            Err(broken) => broken,
        };
        let (id, attempt) = (&job.id, job.attempt);
        let failure = match cause {
            Cause::Unreachable { error } => {
                exchange.failed();
                let after = None;
                Failure::Outage { error, after }
            }
            // By itself it may be the message's doing; among others that fail, it is not.
            Cause::Refused(Refusal::Broken { error, after }) => match exchange.failed() {
                Health::Dead => Failure::Outage { error, after },
                Health::Alive => Failure::Retry { error, after },
            },
            Cause::Refused(Refusal::NotNow { error, after }) => {
                exchange.succeeded();
                Failure::Retry { error, after }
            }
            Cause::Refused(Refusal::Never { error }) => {
                exchange.succeeded();
                Failure::Final { error }
            }
        };
        tracing::warn!(endpoint = self.authority, message = %id, attempt, why, "the webhook failed");
        Err(failure)
    }

    async fn exchange(&self, job: &Job) -> Result<String, Broken> {
        let response = self.post(job).send().await.map_err(|e| {
            let (unreachable, why) = (e.is_connect(), explain(&e.without_url()));
            match unreachable {
                true => Broken::unreachable(why),
                false => Broken::no_answer(why, "the service gave no answer"),
            }
        })?;
        let status = response.status();
        answer::head(status, response.headers()).map_err(|refusal| Broken {
            why: format!("it answered {}", status.as_u16()),
            cause: Cause::Refused(refusal),
        })?;
        let body = read(response).await?;
        answer::result(body).map_err(Broken::answer)
    }

    /// The value of `webhook-signature`: during a rotation, two signatures, of which a receiver knows one.
    fn signatures(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut signatures = self.key.sign(id, timestamp, body);
        if let Some(previous) = &self.previous_key {
            signatures.push(' ');
            signatures += &previous.sign(id, timestamp, body);
        }
        signatures
    }

    fn post(&self, job: &Job) -> reqwest::RequestBuilder {
        let posted = Posted {
            id: job.id.as_str(),
            username: job.username.as_str(),
            body: &job.body,
            attempt: job.attempt,
            created_at: job.created_at,
        };
        let body = serde_json::to_vec(&posted).expect("text and numbers are JSON");
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let timestamp = since.unwrap_or_default().as_secs();
        let signatures = self.signatures(posted.id, timestamp, &body);
        self.client
            .post(self.endpoint.url().clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", posted.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures)
            .body(body)
    }
}

impl Processor for Webhook {
    fn process<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<String, Failure>> {
        self.ask(job).boxed()
    }

    fn ready(&self) -> BoxFuture<'_, NonZeroU32> {
        async {
            match self.breaker.admission().await {
                Admission::All => self.concurrency,
                Admission::Probe => NonZeroU32::MIN,
            }
        }
        .boxed()
    }
}

/// An exchange without a result.
struct Broken {
    /// Why, for the operator.
    why: String,
    cause: Cause,
}

/// Why an exchange has no result, for the owner of the message.
enum Cause {
    /// Nothing was sent, as there was no connection: the message has no part in it.
    Unreachable { error: String },
    /// What the answer says; no answer is as good as 5xx.
    Refused(Refusal),
}

impl Broken {
    fn unreachable(why: String) -> Self {
        let error = "the service cannot be reached".to_owned();
        Self {
            why,
            cause: Cause::Unreachable { error },
        }
    }

    fn no_answer(why: impl Into<String>, error: &str) -> Self {
        Self {
            why: why.into(),
            cause: Cause::Refused(Refusal::Broken {
                error: error.into(),
                after: None,
            }),
        }
    }

    /// There is an answer, but none that can be used.
    fn answer(refusal: Refusal) -> Self {
        Self {
            why: "its answer cannot be used".into(),
            cause: Cause::Refused(refusal),
        }
    }
}

/// The body of an answer, not read further than a result may be long.
async fn read(mut response: Response) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|e| {
            Broken::no_answer(explain(&e.without_url()), "the service's answer broke off")
        })?;
        let Some(chunk) = chunk else { return Ok(body) };
        if body.len() + chunk.len() > RESULT_BYTES {
            return Err(Broken::answer(Refusal::NotNow {
                error: "the service's answer is longer than 64 KiB".into(),
                after: None,
            }));
        }
        body.extend_from_slice(&chunk);
    }
}

/// An error with what caused it.
fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        // Writing to a String does not fail.
        let _ = write!(text, ": {source}");
        next = source.source();
    }
    text
}
