//! Sending messages, and seeing what became of them.

use std::sync::Arc;

use herald_store::{
    BodyError, FailedAttempt, Message, MessageId, Removed as Gone, Status, Store, Timestamp,
};
use poem::http::HeaderMap;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};

use crate::{
    background::Background,
    description::{
        tags::Tag,
        text::{DateTime, Text},
    },
    error::{ApiError, Code},
    middleware::caller::Caller,
    progress::TellProgress,
    routes::page,
    sends::{Patience, Sends},
};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// How many attempts that failed are shown of one message.
const FAILED_ATTEMPTS: u32 = 100;

pub(crate) struct MessagesApi {
    pub(crate) store: Store,
    pub(crate) sends: Arc<Sends>,
    pub(crate) progress: Arc<dyn TellProgress>,
    pub(crate) background: Background,
}

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

/// The message to send.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct SendMessage {
    /// The text: at least one byte, no NUL, and no more than the server's limit (64 KiB unless it is configured).
    body: Text,
}

impl Example for SendMessage {
    fn example() -> Self {
        Self {
            body: Text("hello".into()),
        }
    }
}

/// A message that the server has taken charge of.
#[derive(Object)]
struct AcceptedMessage {
    id: String,
    status: StatusName,
    /// When it is due to be processed.
    run_at: DateTime,
    created_at: DateTime,
}

/// A message and what became of it.
#[derive(Object)]
#[oai(rename = "Message")]
pub(crate) struct MessageView {
    id: String,
    body: String,
    status: StatusName,
    /// What processing it gave.
    result: Option<String>,
    /// Why the last attempt failed.
    error: Option<String>,
    /// How often processing was tried.
    attempts: i64,
    created_at: DateTime,
    /// When it is, or was, due to be processed.
    run_at: DateTime,
    processed_at: Option<DateTime>,
    /// When a client first acknowledged its notification.
    delivered_at: Option<DateTime>,
}

/// An attempt to process a message that failed.
#[derive(Object)]
#[oai(rename = "FailedAttempt")]
struct FailedAttemptView {
    /// 1 for the first attempt.
    attempt: i64,
    /// Why.
    error: String,
    failed_at: DateTime,
}

/// A message and all that became of it.
#[derive(Object)]
struct MessageDetails {
    #[oai(flatten)]
    message: MessageView,
    /// Oldest first. The last hundred, or fewer if they are long.
    failed_attempts: Vec<FailedAttemptView>,
    /// Whether attempts before these failed, too.
    more_failed_attempts: bool,
}

#[derive(ApiResponse)]
enum Removed {
    /// The message will not be processed, or is gone if it had ended.
    #[oai(status = 204)]
    Removed,
}

/// A page of messages.
#[derive(Object)]
struct MessageList {
    /// Newest first.
    items: Vec<MessageView>,
    /// The `before` of the next page.
    next: Option<String>,
}

#[derive(ApiResponse)]
enum Sent {
    /// The message is on disk and will be processed.
    #[oai(status = 202)]
    Accepted(Json<AcceptedMessage>),
}

#[OpenApi(tag = "Tag::Messages")]
impl MessagesApi {
    /// Send a message
    ///
    /// The answer comes when the message is safely stored. Its notification goes to the sender's inbox once it is
    /// processed. A repeat with the same key counts as any other send.
    #[oai(path = "/messages", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        caller: Caller,
        headers: &HeaderMap,
        /// Makes sending repeatable: the same key answers the same message. 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        message: Json<SendMessage>,
    ) -> Result<Sent, ApiError> {
        // A header that is not ASCII is dropped before it gets here, and so is a second one; to ignore it would send
        // twice.
        let given = headers.get_all(IDEMPOTENCY_KEY).iter().count();
        if given != usize::from(idempotency_key.0.is_some()) {
            return Err(BodyError::IdempotencyKey.into());
        }
        let (user, body) = (&caller.user.id, message.0.body.0);
        let sends = &self.sends;
        let message = sends
            .send(user, body, idempotency_key.0, Patience::None)
            .await?;
        Ok(Sent::Accepted(Json(AcceptedMessage {
            id: message.id.to_string(),
            status: message.status.into(),
            run_at: message.run_at.into(),
            created_at: message.created_at.into(),
        })))
    }

    /// List one's messages
    ///
    /// Newest first. `GET /messages/{id}` also has the attempts that failed.
    #[oai(path = "/messages", method = "get", operation_id = "listMessages")]
    async fn list(
        &self,
        caller: Caller,
        /// Only messages with this status.
        status: Query<Option<StatusName>>,
        /// Only messages older than the one with this id.
        before: Query<Option<String>>,
        #[oai(
            default = "page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<MessageList>, ApiError> {
        let before = before.0.map(MessageId::from_string);
        let status = status.0.map(Status::from);
        let messages = self
            .store
            .messages(&caller.user.id, status, before.as_ref(), limit.0)
            .await?;
        let (messages, next) = page::items(messages, |message| message.id.to_string());
        Ok(Json(MessageList {
            items: messages.into_iter().map(MessageView::from).collect(),
            next,
        }))
    }

    /// See one message
    ///
    /// With the attempts that failed.
    #[oai(path = "/messages/:id", method = "get", operation_id = "getMessage")]
    async fn get(
        &self,
        caller: Caller,
        id: Path<String>,
    ) -> Result<Json<MessageDetails>, ApiError> {
        let id = MessageId::from_string(id.0);
        let store = &self.store;
        let message = store.message(&caller.user.id, &id).await?;
        let message = message.ok_or_else(unknown)?;
        let failed = store.failed_attempts(&id, FAILED_ATTEMPTS).await?;
        Ok(Json(MessageDetails {
            message: message.into(),
            failed_attempts: failed.items.into_iter().rev().map(Into::into).collect(),
            more_failed_attempts: failed.more,
        }))
    }

    /// Cancel or delete a message
    ///
    /// While it is queued, between two attempts too, it is cancelled: it is not processed any more, nobody is notified, and
    /// it stays in the list. Once it has ended, it is deleted, with its result and the attempts that failed, which gives
    /// their room back; its notifications keep their numbers and say `deleted`, and its `Idempotency-Key` is free. While a
    /// worker has it, it is neither. Who means to cancel says `status=queued`: a message may end at any moment, and its result is
    /// not to be deleted then.
    #[oai(
        path = "/messages/:id",
        method = "delete",
        operation_id = "deleteMessage"
    )]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<String>,
        /// Only if the message has this status at that moment.
        status: Query<Option<StatusName>>,
    ) -> Result<Removed, ApiError> {
        let id = MessageId::from_string(id.0);
        let (store, user) = (self.store.clone(), caller.user.clone());
        let progress = self.progress.clone();
        let (only, now) = (status.0.map(Status::from), Timestamp::now());
        let removed = self.background.to_the_end(async move {
            let removed = store.remove_message(&user.id, &id, only, now).await?;
            match removed {
                Gone::Cancelled => {
                    if let Ok(Some(message)) = store.message(&user.id, &id).await {
                        progress.changed(&message);
                    }
                }
                Gone::Deleted => progress.deleted(&user, &id),
                Gone::Not(_) | Gone::Unknown => {}
            }
            Ok(removed)
        });
        match removed.await? {
            Gone::Cancelled | Gone::Deleted => Ok(Removed::Removed),
            Gone::Not(status) => Err(match only {
                None | Some(Status::Queued) => ApiError::new(
                    Code::NotQueued,
                    format!("The message is not queued; it is {}.", status.as_str()),
                ),
                Some(only) => ApiError::new(
                    Code::WrongStatus,
                    format!(
                        "The message is not {}; it is {}.",
                        only.as_str(),
                        status.as_str()
                    ),
                ),
            }),
            Gone::Unknown => Err(unknown()),
        }
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "You have no such message.")
}

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
            id: message.id.to_string(),
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
