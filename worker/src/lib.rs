//! Herald's worker: claims messages that are due, has them processed, and finishes them with their notification.
//!
//! The database is the queue. A message that waits for its time is a row and nothing else: it occupies no worker. A claim
//! carries a lease, which is renewed while the processor runs; if the process dies, the lease runs out and the message is
//! claimed again. So each message is processed at least once, and a processor gets its id to recognise a repeat.

mod job;
mod options;
mod processor;
mod retries;
mod run;
mod webhook;

pub use options::WorkerOptions;
pub use processor::{Echo, Failure, Processor};
pub use retries::Retries;
pub use run::{Event, OnEvent, Worker};
pub use webhook::{Authorities, Endpoint, SigningKey, Webhook, WebhookError, WebhookOptions};
