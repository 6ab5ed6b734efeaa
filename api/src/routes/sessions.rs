//! A user's sessions in browsers: seen and ended by the user.

use std::sync::Arc;

use herald_store::{ListedSession, SessionId, Store, Timestamp};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    audit::AuditAction,
    error::{ApiError, Code, Failure, codes::NotFound},
    fields::{DateTime, Id, Limit, NextPageToken, PageToken, example::example},
    limits::requests::Requests,
    middleware::caller::Caller,
    rights::{Rights, RightsInForce},
    routes::tags::Tag,
    views::page,
};

pub(crate) struct SessionsApi {
    pub(crate) store: Store,
    pub(crate) requests: Arc<Requests>,
    pub(crate) rights: Rights,
}

/// A browser that is signed in.
#[derive(Object)]
#[oai(example, rename = "BrowserSession")]
struct SessionView {
    id: Id,
    /// Whether it is the one that asks.
    current: bool,
    /// The IP address that it signed in from.
    address: String,
    /// What the browser called itself then.
    user_agent: Option<String>,
    /// When it was made.
    created_at: DateTime,
    /// Within five minutes. A session that is not used for 24 hours ends.
    last_used_at: DateTime,
    /// When it ends, however much it is used.
    expires_at: DateTime,
}

example!(SessionView {
    id,
    current: true,
    address: "192.0.2.1".into(),
    user_agent: Some("Mozilla/5.0".into()),
    created_at,
    last_used_at,
    expires_at: DateTime("2026-12-22T10:00:00.000Z".into()),
});

/// A page of sessions.
#[derive(Object)]
#[oai(example, rename = "BrowserSessionList")]
struct SessionList {
    /// Newest first.
    items: Vec<SessionView>,
    /// The `before` of the next page.
    next: Option<NextPageToken>,
}

example!(SessionList {
    items: vec![SessionView::example()],
    next: None
});

#[derive(ApiResponse)]
enum Ended {
    /// The browser is signed out.
    #[oai(status = 204)]
    Ended(#[oai(header = "X-Rights-In-Force")] RightsInForce),
}

#[OpenApi(prefix_path = "/auth", tag = "Tag::Auth")]
impl SessionsApi {
    /// List one's sessions
    ///
    /// The browsers that are signed in.
    #[oai(path = "/sessions", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        caller: Caller,
        /// Only sessions that began before the one with this id.
        before: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<SessionList>, ApiError> {
        let before = before.0.map(|PageToken(id)| SessionId::from_string(id));
        let sessions = self
            .store
            .list_sessions(
                &caller.user.id,
                before.as_ref(),
                limit.0.0,
                Timestamp::now(),
            )
            .await?;
        let (sessions, next) = page::items(sessions, |session| session.id.to_string());
        let own = caller.session().map(|session| &session.id);
        let view = |session: ListedSession| SessionView {
            current: own == Some(&session.id),
            id: Id::of(session.id),
            address: session.address,
            user_agent: session.user_agent,
            created_at: session.created_at.into(),
            last_used_at: session.last_used_at.into(),
            expires_at: session.expires_at.into(),
        };
        Ok(Json(SessionList {
            items: sessions.into_iter().map(view).collect(),
            next,
        }))
    }

    /// End a session
    ///
    /// Signs that browser out, and ends its MQTT connection. The answer comes when that is in force on every server.
    #[oai(path = "/sessions/:id", method = "delete", operation_id = "endSession")]
    async fn end(&self, caller: Caller, id: Path<Id>) -> Result<Ended, Failure<NotFound>> {
        self.requests.count_credential(&caller.user.id)?;
        let event = caller.event(AuditAction::SessionEnded).to(&id.0.0);
        let store = self.store.audited(event.entry());
        let id = SessionId::from_string(id.0.0);
        if store
            .end_session(&caller.user.id, &id, Timestamp::now())
            .await?
        {
            Ok(Ended::Ended(self.rights.in_force().await))
        } else {
            Err(ApiError::new(Code::NotFound, "You have no such session.").into())
        }
    }
}
