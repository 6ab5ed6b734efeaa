//! Reports of messages on their way: `users/{name}/progress`.

use bytes::Bytes;
use herald_api::ReportProgress;
use herald_broker::Broker;
use herald_store::{Job, Message, MessageId, Requeued, Status, Timestamp, User};
use serde::Serialize;

/// A payload.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Report<'a> {
    #[serde(rename = "message.changed")]
    Changed { message: Changed<'a> },
    #[serde(rename = "message.deleted")]
    Deleted { message: Deleted<'a> },
    #[serde(rename = "messages.moved")]
    Moved,
}

/// How far a message has come.
#[derive(Serialize)]
struct Changed<'a> {
    id: &'a str,
    status: &'static str,
    run_at: Timestamp,
    attempts: i64,
}

/// A message that is gone.
#[derive(Serialize)]
struct Deleted<'a> {
    id: &'a str,
}

impl Report<'_> {
    fn payload(&self) -> Bytes {
        match serde_json::to_vec(self) {
            Ok(json) => json.into(),
            Err(_) => unreachable!("strings and numbers can always be written as JSON"),
        }
    }
}

/// Reports to the sessions of one broker.
pub(crate) struct Progress(pub(crate) Broker);

impl Progress {
    /// The attempt `job` has begun.
    pub(crate) fn begun(&self, job: &Job) {
        self.attempted(job, Status::Processing, job.due);
    }

    /// The attempt `job` failed; the next one is due at `run_at`.
    pub(crate) fn again(&self, job: &Job, run_at: Timestamp) {
        self.attempted(job, Status::Queued, run_at);
    }

    fn attempted(&self, job: &Job, status: Status, run_at: Timestamp) {
        let message = Changed {
            id: job.id.as_str(),
            status: status.as_str(),
            run_at,
            attempts: job.attempt,
        };
        let payload = || Report::Changed { message }.payload();
        let user_id = job.user_id.as_str();
        self.0.publish_progress(user_id, &job.username, payload);
    }
}

impl ReportProgress for Progress {
    fn changed(&self, message: &Message) {
        let changed = Changed {
            id: message.id.as_str(),
            status: message.status.as_str(),
            run_at: message.run_at,
            attempts: message.attempts,
        };
        let payload = || Report::Changed { message: changed }.payload();
        let user_id = message.user_id.as_str();
        self.0.publish_progress(user_id, &message.username, payload);
    }

    fn requeued(&self, message: &Requeued) {
        let changed = Changed {
            id: message.id.as_str(),
            status: Status::Queued.as_str(),
            run_at: message.run_at,
            attempts: message.attempts,
        };
        let payload = || Report::Changed { message: changed }.payload();
        let user_id = message.user_id.as_str();
        self.0.publish_progress(user_id, &message.username, payload);
    }

    fn deleted(&self, user: &User, id: &MessageId) {
        let message = Deleted { id: id.as_str() };
        let payload = || Report::Deleted { message }.payload();
        self.0
            .publish_progress(user.id.as_str(), &user.username, payload);
    }

    fn moved(&self, user: Option<&User>) {
        let payload = || Report::Moved.payload();
        match user {
            Some(user) => self
                .0
                .publish_progress(user.id.as_str(), &user.username, payload),
            None => self.0.publish_progress_to_all(payload),
        }
    }
}
