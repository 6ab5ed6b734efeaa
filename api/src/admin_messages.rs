//! Everyone's messages, for administrators.

use std::sync::Arc;

use herald_acl::Username;
use herald_store::{Message, MessageId, MessagePlace, Moved, Status, Timestamp};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    audit::AuditAction,
    error::{ApiError, Code},
    messages::{MessageView, StatusName},
    page,
    session::Administrator,
    state::State,
    tags::Tag,
};

pub(crate) struct AdminMessagesApi(pub(crate) Arc<State>);

/// A message and whose it is.
#[derive(Object)]
struct AnyMessage {
    #[oai(flatten)]
    message: MessageView,
    /// Whose it is.
    username: String,
}

/// A page of everyone's messages.
#[derive(Object)]
struct AnyMessageList {
    items: Vec<AnyMessage>,
    /// The `before` of the next page.
    next: Option<String>,
}

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
    /// Newest first; with a status that is final, those first that ended last, and with `queued` by user, those first
    /// that are due last. A page takes as long however many messages there are: so with a final status and a user it
    /// may hold fewer than `limit`, or none, though others follow. Go on until `next` is `null`.
    #[oai(path = "/", method = "get", operation_id = "listAllMessages")]
    async fn list(
        &self,
        _admin: Administrator,
        /// Only messages with this status.
        status: Query<Option<StatusName>>,
        /// Only messages of the user with this name.
        user: Query<Option<String>>,
        /// The `next` of a page before, of the same status and user.
        before: Query<Option<String>>,
        #[oai(
            default = "page::default_limit",
            validator(minimum(value = "1"), maximum(value = "200"))
        )]
        limit: Query<u32>,
    ) -> Result<Json<AnyMessageList>, ApiError> {
        let store = &self.0.store;
        let status = status.0.map(Status::from);
        let user = match user.0 {
            Some(name) => {
                let unknown = || ApiError::new(Code::NotFound, "There is no such account.");
                let name = Username::parse(&name).map_err(|_| unknown())?;
                Some(store.user_by_name(&name).await?.ok_or_else(unknown)?.id)
            }
            None => None,
        };
        let before = before.0.map(|place| place.parse::<MessagePlace>());
        let before = before.transpose();
        let before = before.map_err(|_| ApiError::invalid("before is not the next of a page."))?;
        let page = store
            .all_messages(status, user.as_ref(), before.as_ref(), limit.0)
            .await?;
        Ok(Json(AnyMessageList {
            items: page.items.into_iter().map(AnyMessage::from).collect(),
            next: page.next.map(|place| place.to_string()),
        }))
    }

    /// Retry a dead message
    ///
    /// It is due at once, with all its attempts ahead of it. Its owner, who was told that it failed, is told again when it
    /// ends.
    #[oai(path = "/:id/retry", method = "post", operation_id = "retryMessage")]
    async fn retry(&self, admin: Administrator, id: Path<String>) -> Result<Retried, ApiError> {
        let unknown = || ApiError::new(Code::NotFound, "There is no such message.");
        let id = MessageId::from_string(id.0);
        let store = &self.0.store;
        let event = admin.0.event(AuditAction::MessageRetried).to(id.as_str());
        let audited = store.audited(event.entry());
        match audited.retry(&id, Timestamp::now()).await? {
            Moved::Done => {}
            Moved::Not(status) => {
                return Err(ApiError::new(
                    Code::NotDead,
                    format!("The message is not dead; it is {}.", status.as_str()),
                ));
            }
            Moved::Unknown => return Err(unknown()),
        }
        tracing::info!(by = %admin.0.user.username, message = %id, "a dead message is retried");
        let message = store.any_message(&id).await?.ok_or_else(unknown)?;
        // Otherwise the worker has told what is newer.
        if message.status == Status::Queued {
            self.0.options.progress.changed(&message);
        }
        Ok(Retried::Retried(Json(message.into())))
    }
}

impl From<Message> for AnyMessage {
    fn from(message: Message) -> Self {
        Self {
            username: message.username.to_string(),
            message: message.into(),
        }
    }
}
