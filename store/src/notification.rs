//! What a user is told about a message. The JSON is made here and nowhere else, and is not stored.

use std::sync::Arc;

use serde::Serialize;

use crate::{Epoch, Job, Outcome, Seq, Status, Timestamp};

/// A notification in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its number in the inbox.
    pub seq: Seq,
    /// Its text: the JSON that clients are sent. A clone shares it.
    pub payload: Arc<str>,
}

/// What a notification tells.
pub(crate) struct Told<'a> {
    pub(crate) seq: Seq,
    /// What the number counts in.
    pub(crate) epoch: &'a Epoch,
    pub(crate) message_id: &'a str,
    /// [`Status::Processed`] or [`Status::Dead`].
    pub(crate) status: Status,
    /// The attempt that ended the message.
    pub(crate) attempts: i64,
    pub(crate) processed_at: Timestamp,
    /// `None` if the message was deleted since.
    pub(crate) text: Option<Text<'a>>,
}

/// What is stored with the message.
pub(crate) struct Text<'a> {
    pub(crate) body: &'a str,
    pub(crate) result: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
    pub(crate) created_at: Timestamp,
}

/// The JSON, in the order in which its fields are written.
#[derive(Serialize)]
struct Payload<'a> {
    seq: Seq,
    epoch: &'a Epoch,
    r#type: &'static str,
    message: MessagePayload<'a>,
}

#[derive(Serialize)]
struct MessagePayload<'a> {
    id: &'a str,
    body: Option<&'a str>,
    status: &'static str,
    result: Option<&'a str>,
    error: Option<&'a str>,
    attempts: i64,
    created_at: Option<Timestamp>,
    processed_at: Timestamp,
    /// Only there if it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
}

impl<'a> Told<'a> {
    /// That `job` ended with `outcome` at `processed_at`.
    pub(crate) fn fresh(
        seq: Seq,
        epoch: &'a Epoch,
        job: &'a Job,
        outcome: &'a Outcome,
        processed_at: Timestamp,
    ) -> Self {
        Self {
            seq,
            epoch,
            message_id: job.id.as_str(),
            status: outcome.status(),
            attempts: job.attempt,
            processed_at,
            text: Some(Text {
                body: &job.body,
                result: outcome.result(),
                error: outcome.error(),
                created_at: job.created_at,
            }),
        }
    }
}

impl From<&Told<'_>> for Notification {
    fn from(told: &Told<'_>) -> Self {
        let text = told.text.as_ref();
        let payload = Payload {
            seq: told.seq,
            epoch: told.epoch,
            r#type: match told.status {
                Status::Dead => "message.failed",
                _ => "message.processed",
            },
            message: MessagePayload {
                id: told.message_id,
                body: text.map(|text| text.body),
                status: told.status.as_str(),
                result: text.and_then(|text| text.result),
                error: text.and_then(|text| text.error),
                attempts: told.attempts,
                created_at: text.map(|text| text.created_at),
                processed_at: told.processed_at,
                deleted: text.is_none().then_some(true),
            },
        };
        let payload = serde_json::to_string(&payload)
            .expect("a payload has only text keys, text, numbers and flags, which JSON can hold");
        Self {
            seq: told.seq,
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
        let job = job();
        let epoch = Epoch::named("e");
        let told = Told::fresh(Seq(17), &epoch, &job, &outcome, at);
        Notification::from(&told).payload.as_ref().to_owned()
    }

    #[test]
    fn a_processed_message_is_told_with_its_result() {
        let result = "hello".to_owned();
        assert_eq!(
            payload(Outcome::Processed { result }),
            r#"{"seq":17,"epoch":"e","type":"message.processed","message":{"id":"0198","body":"hello \"you\"","status":"processed","result":"hello","error":null,"attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}"#
        );
    }

    #[test]
    fn a_dead_message_is_told_with_its_error() {
        let error = "410 Gone".to_owned();
        assert_eq!(
            payload(Outcome::Dead { error }),
            r#"{"seq":17,"epoch":"e","type":"message.failed","message":{"id":"0198","body":"hello \"you\"","status":"dead","result":null,"error":"410 Gone","attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}"#
        );
    }
}
