//! Sending messages, and seeing what became of them.

use std::sync::Arc;

use herald_store::{BodyError, MessageId, Removed as Gone, Status, Store, Timestamp};
use poem::http::HeaderMap;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};

use crate::{
    background::Background,
    error::{
        ApiError, Code, Failure,
        codes::{
            IdempotencyKeyReused, Invalid, NotFound, NotQueued, TooManyWaiting, TooMuchStored,
            WrongStatus,
        },
    },
    fields::{
        DateTime, Id, Limit, NO_NUL, NextPageToken, PageToken,
        described::{described, parameters},
        example::example,
    },
    middleware::caller::Caller,
    progress::ReportProgress,
    routes::tags::Tag,
    sends::{Patience, Sends},
    views::{
        message::{FailedAttemptView, MessageView, StatusName},
        page,
    },
};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// How many attempts that failed are shown of one message.
const FAILED_ATTEMPTS: u32 = 100;

pub(crate) struct MessagesApi {
    pub(crate) store: Store,
    pub(crate) sends: Arc<Sends>,
    pub(crate) progress: Arc<dyn ReportProgress>,
    pub(crate) background: Background,
}

described! {
    /// The text: at least one byte, no NUL, and no more than the server's limit (64 KiB unless it is configured).
    // Its longest length is added where the limit is known: see `description::schemas`.
    MessageText(String, "hello") {
        min_length: Some(1),
        pattern: Some(NO_NUL.to_owned()),
    }
}

described! {
    /// 1 to 255 visible ASCII characters.
    IdempotencyKey(String, "order-4711") {
        min_length: Some(1),
        max_length: Some(255),
        pattern: Some("^[!-~]+$".to_owned()),
    }
}

parameters!(IdempotencyKey);

/// The message to send.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct SendMessage {
    body: MessageText,
}

example!(SendMessage { body });

/// A message that the server has taken charge of.
#[derive(Object)]
#[oai(example)]
struct AcceptedMessage {
    id: Id,
    status: StatusName,
    /// When it is due to be processed.
    run_at: DateTime,
    /// When it was made.
    created_at: DateTime,
}

example!(AcceptedMessage {
    id,
    status: StatusName::Queued,
    run_at: DateTime("2026-11-22T10:00:01.000Z".into()),
    created_at,
});

/// A message and all that became of it.
#[derive(Object)]
#[oai(example)]
struct MessageDetails {
    #[oai(flatten)]
    message: MessageView,
    /// Oldest first. The last hundred, or fewer if they are long.
    failed_attempts: Vec<FailedAttemptView>,
    /// Whether attempts before these failed, too.
    more_failed_attempts: bool,
}

example!(MessageDetails {
    message,
    failed_attempts: vec![],
    more_failed_attempts: false,
});

#[derive(ApiResponse)]
enum Removed {
    /// The message will not be processed, or is gone if it had ended.
    #[oai(status = 204)]
    Removed,
}

/// A page of messages.
#[derive(Object)]
#[oai(example)]
struct MessageList {
    /// Newest first.
    items: Vec<MessageView>,
    /// The `before` of the next page.
    next: Option<NextPageToken>,
}

example!(MessageList {
    items: vec![MessageView::example()],
    next: None
});

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
        idempotency_key: Header<Option<IdempotencyKey>>,
        message: Json<SendMessage>,
    ) -> Result<Sent, Failure<(IdempotencyKeyReused, Invalid, TooManyWaiting, TooMuchStored)>> {
        // A header that is not ASCII is dropped before it gets here, and so is a second one; to ignore it would send
        // twice.
        let given = headers.get_all(IDEMPOTENCY_KEY).iter().count();
        if given != usize::from(idempotency_key.0.is_some()) {
            return Err(BodyError::IdempotencyKey.into());
        }
        let (user, body) = (&caller.user.id, message.0.body.0);
        let sends = &self.sends;
        let message = sends
            .send(
                user,
                body,
                idempotency_key.0.map(|key| key.0),
                Patience::None,
            )
            .await?;
        Ok(Sent::Accepted(Json(AcceptedMessage {
            id: Id::of(&message.id),
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
        /// Only messages with this status. For example `dead`.
        status: Query<Option<StatusName>>,
        /// Only messages older than the one with this id.
        before: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<MessageList>, ApiError> {
        let before = before.0.map(|PageToken(id)| MessageId::from_string(id));
        let status = status.0.map(Status::from);
        let messages = self
            .store
            .messages(&caller.user.id, status, before.as_ref(), limit.0.0)
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
        id: Path<Id>,
    ) -> Result<Json<MessageDetails>, Failure<NotFound>> {
        let id = MessageId::from_string(id.0.0);
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
        id: Path<Id>,
        /// Only if the message has this status at that moment. For example `dead`.
        status: Query<Option<StatusName>>,
    ) -> Result<Removed, Failure<(NotFound, NotQueued, WrongStatus)>> {
        let id = MessageId::from_string(id.0.0);
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
            Gone::Not(status) => Err(kept(only, status).into()),
            Gone::Unknown => Err(unknown().into()),
        }
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "You have no such message.")
}

/// Why a message was not removed that has this status, and was to have `only` that one.
fn kept(only: Option<Status>, status: Status) -> ApiError {
    let is = status.as_str();
    match only {
        None | Some(Status::Queued) => {
            let detail = format!("The message is not queued; it is {is}.");
            ApiError::new(Code::NotQueued, detail)
        }
        Some(only) => {
            let detail = format!("The message is not {}; it is {is}.", only.as_str());
            ApiError::new(Code::WrongStatus, detail)
        }
    }
}
