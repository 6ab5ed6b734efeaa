//! A message, as clients see one.

use herald_store::{FailedAttempt, Message, Status};
use poem_openapi::{Enum, Object};

use crate::fields::{DateTime, Id, example::example};

/// Where a message is on its way: it waits for an attempt (`queued`), a worker has it (`processing`), or it has ended,
/// well (`processed`), because its attempts failed (`dead`), or because its sender took it back (`cancelled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Status", rename_all = "snake_case")]
pub(crate) enum StatusName {
    Queued,
    Processing,
    Processed,
    Dead,
    Cancelled,
}

/// A message and what became of it.
#[derive(Object)]
#[oai(example, rename = "Message")]
pub(crate) struct MessageView {
    id: Id,
    /// The text that was sent.
    body: String,
    status: StatusName,
    /// What processing it gave.
    result: Option<String>,
    /// Why the last attempt failed.
    error: Option<String>,
    /// How often processing was tried.
    #[oai(validator(minimum(value = "0")))]
    attempts: i64,
    /// When it was made.
    created_at: DateTime,
    /// When it is, or was, due to be processed.
    run_at: DateTime,
    /// When it ended.
    processed_at: Option<DateTime>,
    /// When a client first acknowledged its notification.
    delivered_at: Option<DateTime>,
}

example!(MessageView {
    id,
    body: "hello".into(),
    status: StatusName::Processed,
    result: Some("hello".into()),
    error: None,
    attempts: 1,
    created_at,
    run_at: DateTime("2026-11-22T10:00:01.000Z".into()),
    processed_at: Some(DateTime("2026-11-22T10:00:01.003Z".into())),
    delivered_at: Some(DateTime("2026-11-22T10:00:01.010Z".into())),
});

/// An attempt to process a message that failed.
#[derive(Object)]
#[oai(example, rename = "FailedAttempt")]
pub(crate) struct FailedAttemptView {
    /// 1 for the first attempt.
    #[oai(validator(minimum(value = "1")))]
    attempt: i64,
    /// Why.
    error: String,
    /// When.
    failed_at: DateTime,
}

example!(FailedAttemptView {
    attempt: 1,
    error: "the service answered 503".into(),
    failed_at: DateTime("2026-11-22T10:00:00.500Z".into()),
});

impl From<FailedAttempt> for FailedAttemptView {
    fn from(failed: FailedAttempt) -> Self {
        Self {
            attempt: failed.attempt,
            error: failed.error,
            failed_at: failed.failed_at.into(),
        }
    }
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        Self {
            id: Id::of(&message.id),
            body: message.body,
            status: message.status.into(),
            result: message.result,
            error: message.error,
            attempts: message.attempts,
            created_at: message.created_at.into(),
            run_at: message.run_at.into(),
            processed_at: message.processed_at.map(DateTime::from),
            delivered_at: message.delivered_at.map(DateTime::from),
        }
    }
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Queued => Self::Queued,
            Status::Processing => Self::Processing,
            Status::Processed => Self::Processed,
            Status::Dead => Self::Dead,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StatusName> for Status {
    fn from(status: StatusName) -> Self {
        match status {
            StatusName::Queued => Self::Queued,
            StatusName::Processing => Self::Processing,
            StatusName::Processed => Self::Processed,
            StatusName::Dead => Self::Dead,
            StatusName::Cancelled => Self::Cancelled,
        }
    }
}
