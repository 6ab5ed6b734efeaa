//! What a user is told about a message.

use std::sync::Arc;

use serde::Serialize;

use crate::{Job, Outcome, Seq, Timestamp};

/// A notification in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its number in the inbox.
    pub seq: Seq,
    /// Its text: the JSON that clients are sent. A clone shares it.
    pub payload: Arc<str>,
}

/// The JSON, in the order in which its fields are written.
#[derive(Serialize)]
struct Payload<'a> {
    seq: Seq,
    r#type: &'static str,
    message: MessagePayload<'a>,
}

#[derive(Serialize)]
struct MessagePayload<'a> {
    id: &'a str,
    body: &'a str,
    status: &'static str,
    result: Option<&'a str>,
    error: Option<&'a str>,
    attempts: i64,
    created_at: Timestamp,
    processed_at: Timestamp,
}

impl Notification {
    /// The notification number `seq`: `job` ended with `outcome` at `processed_at`.
    pub(crate) fn new(seq: Seq, job: &Job, outcome: &Outcome, processed_at: Timestamp) -> Self {
        let payload = Payload {
            seq,
            r#type: match outcome {
                Outcome::Processed { .. } => "message.processed",
                Outcome::Dead { .. } => "message.failed",
            },
            message: MessagePayload {
                id: job.id.as_str(),
                body: &job.body,
                status: outcome.status().as_str(),
                result: outcome.result(),
                error: outcome.error(),
                attempts: job.attempt,
                created_at: job.created_at,
                processed_at,
            },
        };
        let payload = serde_json::to_string(&payload)
            .expect("a payload has only text keys, text and numbers, which JSON can hold");
        Self {
            seq,
            payload: payload.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lease, MessageId, UserId};

    fn job() -> Job {
        Job {
            id: MessageId::from_string("0198"),
            user_id: UserId::new(),
            username: "bob".parse().unwrap(),
            body: "hello \"you\"".into(),
            attempt: 2,
            failures: 1,
            created_at: Timestamp::from_millis(1_795_341_600_000),
            due: Timestamp::from_millis(1_795_341_601_000),
            lease: Lease::new(),
        }
    }

    fn payload(outcome: Outcome) -> String {
        let at = Timestamp::from_millis(1_795_341_601_003);
        let notification = Notification::new(Seq(17), &job(), &outcome, at);
        notification.payload.as_ref().to_owned()
    }

    #[test]
    fn a_processed_message_is_told_with_its_result() {
        let result = "hello".to_owned();
        assert_eq!(
            payload(Outcome::Processed { result }),
            r#"{"seq":17,"type":"message.processed","message":{"id":"0198","body":"hello \"you\"","status":"processed","result":"hello","error":null,"attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}"#
        );
    }

    #[test]
    fn a_dead_message_is_told_with_its_error() {
        let error = "410 Gone".to_owned();
        assert_eq!(
            payload(Outcome::Dead { error }),
            r#"{"seq":17,"type":"message.failed","message":{"id":"0198","body":"hello \"you\"","status":"dead","result":null,"error":"410 Gone","attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}"#
        );
    }
}
