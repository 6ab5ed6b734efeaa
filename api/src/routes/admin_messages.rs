//! Everyone's messages, for administrators.

use std::sync::Arc;

use herald_store::{
    DeadFilter, DeadPageToken, InvalidPageToken, Message, MessageId, MessagePageToken, Moved,
    RetriedDead, Status, Store, Timestamp,
};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    audit::AuditAction,
    error::{
        ApiError, Code, Failure,
        codes::{Invalid, NotDead, NotFound},
    },
    fields::{
        Id, Limit, MAX_PARAMETER, Name, NextPageToken, PageToken, described::described,
        example::example,
    },
    middleware::caller::Administrator,
    progress::ReportProgress,
    routes::tags::Tag,
    views::{
        message::{MessageView, StatusName},
        user::find,
    },
};

pub(crate) struct AdminMessagesApi {
    pub(crate) store: Store,
    pub(crate) progress: Arc<dyn ReportProgress>,
}

/// A message and whose it is.
#[derive(Object)]
#[oai(example)]
struct AnyMessage {
    #[oai(flatten)]
    message: MessageView,
    /// Whose it is.
    username: Name,
}

example!(AnyMessage { message, username });

/// A page of everyone's messages.
#[derive(Object)]
#[oai(example)]
struct AnyMessageList {
    items: Vec<AnyMessage>,
    /// The `before` of the next page.
    next: Option<NextPageToken>,
}

example!(AnyMessageList {
    items: vec![AnyMessage::example()],
    next: None
});

described! {
    /// RFC 3339.
    TimeText(String, "2026-11-22T10:00:00Z") {
        format: Some("date-time"),
        max_length: Some(64),
    }
}

/// Which dead messages to retry: all, if nothing is said.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct RetryFilter {
    /// Only those of the user with this name.
    user: Option<Name>,
    /// Only those that died then or later; RFC 3339.
    from: Option<TimeText>,
    /// Only those that died before; RFC 3339.
    to: Option<TimeText>,
    /// The `next` of a call before, of the same filter.
    after: Option<PageToken>,
}

example!(RetryFilter {
    user: Some(Name::example()),
    from: Some(TimeText::example()),
    to: Some(TimeText::example()),
    after: None,
});

/// What came of a call.
#[derive(Object)]
#[oai(example)]
struct RetriedMany {
    /// How many messages were retried.
    retried: u32,
    /// The `after` of the next call; `null` if that was all.
    next: Option<NextPageToken>,
}

example!(RetriedMany {
    retried: 12,
    next: None,
});

#[derive(ApiResponse)]
enum Retried {
    /// The message is queued again, or on its way already.
    #[oai(status = 202)]
    Retried(Json<AnyMessage>),
}

#[OpenApi(prefix_path = "/admin/messages", tag = "Tag::Admin")]
impl AdminMessagesApi {
    /// List everyone's messages
    ///
    /// Newest first; everyone's with a status that is final, those first that ended last, and with `queued` by user, those
    /// first that are due last.
    #[oai(path = "/", method = "get", operation_id = "listAllMessages")]
    async fn list(
        &self,
        _admin: Administrator,
        /// Only messages with this status. For example `dead`.
        status: Query<Option<StatusName>>,
        /// Only messages of the user with this name.
        user: Query<Option<Name>>,
        /// The `next` of a page before, of the same status and user.
        before: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<AnyMessageList>, Failure<(NotFound, Invalid)>> {
        let store = &self.store;
        let status = status.0.map(Status::from);
        let user = match user.0 {
            Some(name) => Some(find(store, &name).await?.id),
            None => None,
        };
        let before = before
            .0
            .map(|PageToken(token)| token.parse::<MessagePageToken>());
        let before = before.transpose();
        let before = before.map_err(|_| ApiError::invalid("before is not the next of a page."))?;
        let page = store
            .all_messages(status, user.as_ref(), before.as_ref(), limit.0.0)
            .await?;
        Ok(Json(AnyMessageList {
            items: page.items.into_iter().map(AnyMessage::from).collect(),
            next: page.next.map(|token| NextPageToken(token.to_string())),
        }))
    }

    /// Retry dead messages
    ///
    /// As retrying each of them, those first that died first. A call takes a bounded time: it retries a few hundred at most,
    /// perhaps none. While `next` is not `null`, there may be more: call again with it as `after` and with the same filter.
    /// What dies after the first call is left.
    #[oai(path = "/retry", method = "post", operation_id = "retryDeadMessages")]
    async fn retry_dead(
        &self,
        admin: Administrator,
        filter: Json<RetryFilter>,
    ) -> Result<Json<RetriedMany>, Failure<(NotFound, Invalid)>> {
        let store = &self.store;
        let RetryFilter {
            user,
            from,
            to,
            after,
        } = filter.0;
        let time = |name: &str, text: Option<TimeText>| match text.map(|text| text.0.parse()) {
            Some(Err(e)) => Err(ApiError::invalid(format!("{name}: {e}."))),
            Some(Ok(time)) => Ok(Some(time)),
            None => Ok(None),
        };
        let checked = |text: PageToken| match text.0.len() <= MAX_PARAMETER {
            true => text.0.parse::<DeadPageToken>(),
            false => Err(InvalidPageToken),
        };
        let after = after.map(checked).transpose();
        let after = after.map_err(|_| ApiError::invalid("after is not the next of a call."))?;
        let (from, to) = (time("from", from)?, time("to", to)?);
        let whose = user.as_ref().map_or("everyone", |user| &user.0).to_owned();
        let user = match user {
            Some(name) => Some(find(store, &name).await?.id),
            None => None,
        };
        let filter = DeadFilter { user, from, to };
        let event = admin.0.event(AuditAction::MessageRetried);
        let event = event.detail(format!("dead messages of {whose}"));
        let audited = store.audited(event.entry());
        let RetriedDead { requeued, next } = audited
            .retry_dead(&filter, after.as_ref(), Timestamp::now())
            .await?;
        if !requeued.is_empty() {
            let (by, messages) = (&admin.0.user.username, requeued.len());
            tracing::info!(%by, messages, "dead messages are retried");
        }
        for message in &requeued {
            self.progress.requeued(message);
        }
        Ok(Json(RetriedMany {
            retried: requeued.len() as u32,
            next: next.map(|token| NextPageToken(token.to_string())),
        }))
    }

    /// Retry a dead message
    ///
    /// It is due at once, with all its attempts ahead of it. Its owner, who was told that it failed, is told again when it
    /// ends.
    #[oai(path = "/:id/retry", method = "post", operation_id = "retryMessage")]
    async fn retry(
        &self,
        admin: Administrator,
        id: Path<Id>,
    ) -> Result<Retried, Failure<(NotFound, NotDead)>> {
        let unknown = || ApiError::new(Code::NotFound, "There is no such message.");
        let id = MessageId::from_string(id.0.0);
        let store = &self.store;
        let event = admin.0.event(AuditAction::MessageRetried).to(id.as_str());
        let audited = store.audited(event.entry());
        match audited.retry(&id, Timestamp::now()).await? {
            Moved::Done => {}
            Moved::Not(status) => {
                return Err(ApiError::new(
                    Code::NotDead,
                    format!("The message is not dead; it is {}.", status.as_str()),
                )
                .into());
            }
            Moved::Unknown => return Err(unknown().into()),
        }
        tracing::info!(by = %admin.0.user.username, message = %id, "a dead message is retried");
        let message = store.any_message(&id).await?.ok_or_else(unknown)?;
        // Otherwise the worker has reported what is newer.
        if message.status == Status::Queued {
            self.progress.changed(&message);
        }
        Ok(Retried::Retried(Json(message.into())))
    }
}

impl From<Message> for AnyMessage {
    fn from(message: Message) -> Self {
        Self {
            username: Name::of(&message.username),
            message: message.into(),
        }
    }
}
