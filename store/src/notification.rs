//! Notifications of how messages ended. The JSON is made here and nowhere else, and is not stored.

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

/// What a notification says.
pub(crate) struct NotificationContent<'a> {
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
    /// The fields that are null as there is no room for them; only there if there are any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    omitted: &'a [&'static str],
}

/// What is left out if a notification would be too large, in this order, and no more than has to.
const OMITTED: [&str; 3] = ["result", "body", "error"];

impl<'a> NotificationContent<'a> {
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

impl NotificationContent<'_> {
    /// The notification, of up to `max_bytes` of JSON: texts that there is no room for are left out, and said to be. A few
    /// hundred bytes are always left.
    pub(crate) fn notification(&self, max_bytes: usize) -> Notification {
        let mut omitted = vec![];
        let mut payload = self.payload(&omitted);
        let mut candidates = OMITTED.iter().filter(|name| self.has(name));
        while payload.len() > max_bytes
            && let Some(name) = candidates.next()
        {
            omitted.push(*name);
            payload = self.payload(&omitted);
        }
        Notification {
            seq: self.seq,
            payload: payload.into(),
        }
    }

    /// Whether there is a text of this name.
    fn has(&self, name: &str) -> bool {
        self.text.as_ref().is_some_and(|text| match name {
            "result" => text.result.is_some(),
            "body" => true,
            _ => text.error.is_some(),
        })
    }

    /// The JSON without these texts.
    fn payload(&self, omitted: &[&'static str]) -> String {
        let text = self.text.as_ref();
        let unless_omitted = |name, value| if omitted.contains(&name) { None } else { value };
        let payload = Payload {
            seq: self.seq,
            epoch: self.epoch,
            r#type: match self.status {
                Status::Dead => "message.failed",
                _ => "message.processed",
            },
            message: MessagePayload {
                id: self.message_id,
                body: unless_omitted("body", text.map(|text| text.body)),
                status: self.status.as_str(),
                result: unless_omitted("result", text.and_then(|text| text.result)),
                error: unless_omitted("error", text.and_then(|text| text.error)),
                attempts: self.attempts,
                created_at: text.map(|text| text.created_at),
                processed_at: self.processed_at,
                deleted: text.is_none().then_some(true),
                omitted,
            },
        };
        serde_json::to_string(&payload)
            .expect("a payload has only text keys, text, numbers and flags, which JSON can hold")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lease, MessageId, StoreOptions, UserId};

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
            lease: Lease::new(None),
        }
    }

    fn payload(outcome: Outcome) -> String {
        bounded(outcome, usize::MAX)
    }

    fn bounded(outcome: Outcome, max_bytes: usize) -> String {
        let at = Timestamp::from_millis(1_795_341_601_003);
        let job = job();
        let epoch = Epoch::of("e".into());
        let content = NotificationContent::fresh(Seq(17), &epoch, &job, &outcome, at);
        content.notification(max_bytes).payload.as_ref().to_owned()
    }

    #[test]
    fn a_processed_message_comes_with_its_result() {
        let result = "hello".to_owned();
        assert_eq!(
            payload(Outcome::Processed { result }),
            r#"{"seq":17,"epoch":"e","type":"message.processed","message":{"id":"0198","body":"hello \"you\"","status":"processed","result":"hello","error":null,"attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}"#
        );
    }

    #[test]
    fn a_dead_message_comes_with_its_error() {
        let error = "410 Gone".to_owned();
        assert_eq!(
            payload(Outcome::Dead { error }),
            r#"{"seq":17,"epoch":"e","type":"message.failed","message":{"id":"0198","body":"hello \"you\"","status":"dead","result":null,"error":"410 Gone","attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z"}}"#
        );
    }

    #[test]
    fn what_there_is_no_room_for_is_left_out_with_a_mark() {
        let result = "r".repeat(1000);
        let processed = Outcome::Processed { result };
        let whole = payload(processed.clone());
        assert_eq!(bounded(processed.clone(), whole.len()), whole);
        let without = bounded(processed.clone(), whole.len() - 1);
        assert_eq!(
            without,
            r#"{"seq":17,"epoch":"e","type":"message.processed","message":{"id":"0198","body":"hello \"you\"","status":"processed","result":null,"error":null,"attempts":2,"created_at":"2026-11-22T10:00:00.000Z","processed_at":"2026-11-22T10:00:01.003Z","omitted":["result"]}}"#
        );
        assert_eq!(bounded(processed.clone(), without.len()), without);
        let least = bounded(processed, 0);
        assert!(least.contains(r#""body":null,"#), "{least}");
        assert!(
            least.ends_with(r#","omitted":["result","body"]}}"#),
            "{least}"
        );
        // Of one that has no result, none is left out.
        let error = "e".repeat(1000);
        let dead = Outcome::Dead { error };
        let least = bounded(dead, 1000);
        assert!(
            least.ends_with(r#","omitted":["body","error"]}}"#),
            "{least}"
        );
    }

    /// With the longest of all that is never left out.
    #[test]
    fn the_least_bound_is_kept() {
        let epoch = Epoch::of("e".repeat(16));
        let id = "i".repeat(36);
        let at = Timestamp::from_millis(253_402_300_799_999);
        let content = NotificationContent {
            seq: Seq(i64::MAX),
            epoch: &epoch,
            message_id: &id,
            status: Status::Processed,
            attempts: i64::MAX,
            processed_at: at,
            text: Some(Text {
                body: "b",
                result: Some("r"),
                error: Some("e"),
                created_at: at,
            }),
        };
        assert!(content.notification(0).payload.len() <= StoreOptions::LEAST_NOTIFICATION_BYTES);
    }
}
