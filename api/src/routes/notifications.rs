//! The inbox without MQTT.

use std::sync::Arc;

use herald_acl::parse_client_id;
use herald_store::{Notification, Seq, Store, Timestamp, User};
use poem_openapi::{Enum, Object, OpenApi, param::Query, payload::Json, types::ParseFromJSON};

use crate::{
    error::{ApiError, Code, Failure, codes::NotFound},
    fields::{ClientId, DateTime, EPOCH_CHARS, Epoch, Id, Limit, example::example},
    live_connections::LiveConnections,
    middleware::caller::Caller,
    routes::tags::Tag,
    views::message::StatusName,
};

pub(crate) struct NotificationsApi {
    pub(crate) store: Store,
    pub(crate) connections: Arc<dyn LiveConnections>,
}

/// What happened: the message was processed, or its attempts failed and it is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
enum NotificationType {
    #[oai(rename = "message.processed")]
    Processed,
    #[oai(rename = "message.failed")]
    Failed,
}

/// A text that a notification may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "snake_case")]
enum OmittedText {
    Result,
    Body,
    Error,
}

/// The message that a notification is about, as it was when it was finished. If it was deleted since, `body`, `result`,
/// `error` and `created_at` are null.
#[derive(Object)]
#[oai(example)]
struct NotifiedMessage {
    id: Id,
    /// The text that was sent.
    body: Option<String>,
    status: StatusName,
    result: Option<String>,
    error: Option<String>,
    #[oai(validator(minimum(value = "0")))]
    attempts: i64,
    /// When it was made.
    created_at: Option<DateTime>,
    /// When it ended.
    processed_at: Option<DateTime>,
    /// `true` if the message was deleted since; else it is left out.
    #[oai(skip_serializing_if_is_none)]
    deleted: Option<bool>,
    /// The texts that are null as the notification would be larger than `limits.notification_bytes`: `GET /messages/{id}` has
    /// them. Left out if there are none.
    #[oai(skip_serializing_if_is_none, validator(unique_items))]
    omitted: Option<Vec<OmittedText>>,
}

example!(NotifiedMessage {
    id,
    body: Some("hello".into()),
    status: StatusName::Processed,
    result: None,
    error: None,
    attempts: 1,
    created_at: Some(DateTime::example()),
    processed_at: Some(DateTime("2026-11-22T10:00:01.003Z".into())),
    deleted: None,
    omitted: Some(vec![OmittedText::Result]),
});

/// The same as is published to `users/{me}/notifications`.
#[derive(Object)]
#[oai(example, rename = "Notification")]
struct NotificationView {
    /// 1, 2, 3... per user, without gaps.
    #[oai(validator(minimum(value = "1")))]
    seq: i64,
    /// What the number counts in: opaque. Numbers are comparable within one epoch only; a backup that is restored begins
    /// another.
    epoch: Epoch,
    #[oai(rename = "type")]
    kind: NotificationType,
    message: NotifiedMessage,
}

example!(NotificationView {
    seq: 17,
    epoch,
    kind: NotificationType::Processed,
    message,
});

/// A page of the inbox.
#[derive(Object)]
#[oai(example)]
struct NotificationList {
    /// Oldest first.
    items: Vec<NotificationView>,
    /// The `after` of the next page.
    #[oai(validator(minimum(value = "0")))]
    next: Option<i64>,
    /// The epoch of the inbox: keep it together with the highest `seq`, and send both the next time.
    epoch: Epoch,
    /// Whether `after` was of another epoch and did not count: this page begins where the inbox does.
    restarted: bool,
}

example!(NotificationList {
    items: vec![NotificationView::example()],
    next: None,
    epoch,
    restarted: false,
});

/// Up to where the inbox was read.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct Acknowledge {
    /// The `seq` of the last notification that was dealt with.
    #[oai(validator(minimum(value = "0")))]
    up_to: i64,
    /// Its epoch. If the inbox is in another one, nothing is acknowledged.
    #[oai(skip_serializing_if_is_none)]
    epoch: Option<Epoch>,
    /// The MQTT client id of one of the user's own sessions: then that one alone goes on behind `up_to`, whether it is
    /// connected or not, and what the user acknowledged stays as it is.
    #[oai(skip_serializing_if_is_none)]
    client_id: Option<ClientId>,
}

example!(Acknowledge {
    up_to: 17,
    epoch: None,
    client_id: None,
});

/// Up to where the inbox is acknowledged.
#[derive(Object)]
#[oai(example)]
struct Acknowledged {
    /// The highest `seq` that is acknowledged now, of the user or with the `client_id` of the request; 0 for none.
    #[oai(validator(minimum(value = "0")))]
    acked: i64,
    /// The epoch of the inbox.
    epoch: Epoch,
}

example!(Acknowledged { acked: 17, epoch });

#[OpenApi(tag = "Tag::Notifications")]
impl NotificationsApi {
    /// Read one's inbox
    ///
    /// Reading acknowledges nothing.
    #[oai(
        path = "/notifications",
        method = "get",
        operation_id = "listNotifications"
    )]
    async fn list(
        &self,
        caller: Caller,
        /// Only notifications with a higher `seq`.
        #[oai(default, validator(minimum(value = "0")))]
        after: Query<i64>,
        /// What `after` counts in: if the inbox is in another epoch by now, the page begins where the inbox does.
        #[oai(validator(min_length = 1, max_length = 128, pattern = "^[!-~]+$"))]
        epoch: Query<Option<Epoch>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<NotificationList>, ApiError> {
        let store = &self.store;
        let current = store.epoch();
        let restarted = epoch.0.is_some_and(|epoch| epoch.0 != current.as_str());
        let after = if restarted { Seq::NONE } else { Seq(after.0) };
        let notifications = store
            .list_notifications(&caller.user.id, after, limit.0.0)
            .await?;
        let last = notifications.items.last().map(|item| item.seq.0);
        let next = last.filter(|_| notifications.more);
        let items = notifications
            .items
            .iter()
            .map(view)
            .collect::<Result<_, _>>()?;
        Ok(Json(NotificationList {
            items,
            next,
            epoch: Epoch(current.to_string()),
            restarted,
        }))
    }

    /// Acknowledge notifications
    ///
    /// All up to a `seq`, as acknowledging over MQTT does. Never goes back, and never beyond the last one.
    ///
    /// With a `client_id`, only the MQTT session with this client id leaves out what comes up to there, such as a notification
    /// that it cannot take.
    #[oai(
        path = "/notifications/ack",
        method = "post",
        operation_id = "acknowledge"
    )]
    async fn acknowledge(
        &self,
        caller: Caller,
        ack: Json<Acknowledge>,
    ) -> Result<Json<Acknowledged>, Failure<NotFound>> {
        let wrong = |detail: String| ApiError::new(Code::BadRequest, detail);
        let its_epoch = ack.epoch.as_ref();
        if its_epoch.is_some_and(|epoch| epoch.0.chars().count() > EPOCH_CHARS) {
            return Err(wrong(format!("epoch has at most {EPOCH_CHARS} characters.")).into());
        }
        let client_id = ack.client_id.as_ref().map(|id| parse_client_id(&id.0));
        let client_id = client_id
            .transpose()
            .map_err(|error| wrong(format!("client_id: {error}")))?;
        let store = &self.store;
        let epoch = store.epoch();
        let is_of_epoch = its_epoch.is_none_or(|its| its.0 == epoch.as_str());
        let up_to = if is_of_epoch {
            Seq(ack.up_to)
        } else {
            Seq::NONE
        };
        let acked = match client_id {
            Some(client_id) => self.skip(&caller.user, client_id.into(), up_to).await?,
            None => self.acknowledge_to(&caller.user, up_to).await?,
        };
        Ok(Json(Acknowledged {
            acked: acked.0,
            epoch: Epoch(epoch.to_string()),
        }))
    }
}

impl NotificationsApi {
    /// Acknowledges everything up to `up_to`. Returns where the user is.
    async fn acknowledge_to(&self, user: &User, up_to: Seq) -> Result<Seq, ApiError> {
        let store = &self.store;
        if up_to > Seq::NONE {
            let acknowledged = herald_store::Acknowledged {
                user: user.id.clone(),
                client_id: None,
                up_to,
            };
            store.acknowledge(&[acknowledged], Timestamp::now()).await?;
        }
        Ok(store.position(&user.id).await?.acked)
    }

    /// Moves one client id of the user on to `up_to`. Returns where it is.
    async fn skip(&self, user: &User, client_id: Arc<str>, up_to: Seq) -> Result<Seq, ApiError> {
        let store = &self.store;
        let now = Timestamp::now();
        // First, so that a session that begins meanwhile finds it, and one that goes on is moved after it.
        let cursor = store.skip(&user.id, &client_id, up_to, now).await?;
        let last = match cursor {
            Some(cursor) => cursor.last,
            None => store.position(&user.id).await?.last,
        };
        let up_to = up_to.min(last);
        let connections = &self.connections;
        let is_live = connections.skip(&user.id, &user.username, &client_id, up_to);
        let is_live = is_live.await?;
        match cursor {
            Some(cursor) => Ok(cursor.acked),
            // Of a session that is not kept, nothing is stored.
            None if is_live => Ok(up_to),
            None => Err(ApiError::new(
                Code::NotFound,
                "The user has no MQTT session with this client_id.",
            )),
        }
    }
}

fn view(notification: &Notification) -> Result<NotificationView, ApiError> {
    NotificationView::parse_from_json_string(&notification.payload).map_err(|_| {
        ApiError::internal(&std::io::Error::other(format!(
            "a stored notification is not readable (seq {})",
            notification.seq.0
        )))
    })
}
