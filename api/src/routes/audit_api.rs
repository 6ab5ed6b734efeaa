//! The audit, for administrators.

use herald_store::{AuditFilter, AuditId, Store, StoredAuditEntry};
use poem_openapi::{Object, OpenApi, param::Query, payload::Json, types::ParseFromJSON as _};
use serde_json::Value;

use crate::{
    audit::AuditAction,
    error::{ApiError, Failure, codes::Invalid},
    fields::{DateTime, Id, Limit, Name, NextPageToken, PageToken, example::example},
    middleware::caller::Administrator,
    routes::tags::Tag,
    views::{page, user::username},
};

pub(crate) struct AuditApi {
    pub(crate) store: Store,
}

/// Something that was done, or tried.
#[derive(Object)]
#[oai(example, rename = "AuditEntry")]
struct EntryView {
    id: Id,
    /// When.
    at: DateTime,
    action: AuditAction,
    /// The username of who did it. Null if nobody was signed in, or if it was done on the server's command line.
    actor: Option<String>,
    /// What it was done to: a username, an id, a topic, or a method and a path. The name that a failed sign-in was for, if
    /// there is such an account.
    target: Option<String>,
    /// The IP address that it came from. Null for the command line.
    address: Option<String>,
    /// The `X-Request-Id` of the answer. Null for MQTT and the command line.
    request_id: Option<String>,
    /// What else there is to say, for people.
    detail: Option<String>,
    /// How often it happened: what happens again within a minute (a sign-in over MQTT: within an hour) is counted, and told
    /// together when that is over.
    #[oai(validator(minimum(value = "1")))]
    count: u32,
}

example!(EntryView {
    id,
    at,
    action: AuditAction::UserCreated,
    actor: Some("admin".into()),
    target: Some("alice".into()),
    address: Some("192.0.2.1".into()),
    request_id: Some("01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071".into()),
    detail: Some("role user".into()),
    count: 1,
});

/// A page of the audit.
#[derive(Object)]
#[oai(example, rename = "AuditEntryList")]
struct EntryList {
    /// Newest first.
    items: Vec<EntryView>,
    /// The `before` of the next page.
    next: Option<NextPageToken>,
}

example!(EntryList {
    items: vec![EntryView::example()],
    next: None
});

#[OpenApi(prefix_path = "/admin", tag = "Tag::Admin")]
impl AuditApi {
    /// Read the audit
    ///
    /// Who did what, when, and from where: sign-ins and those that failed, what administrators did, and what was denied.
    /// Entries are kept for `retention.audit_days`.
    #[oai(path = "/audit", method = "get", operation_id = "listAudit")]
    async fn list(
        &self,
        _admin: Administrator,
        /// Only what was done so. For example `sign_in.failed`.
        action: Query<Option<AuditAction>>,
        /// Only what the user with this name did; the account need not exist any more.
        actor: Query<Option<Name>>,
        /// Only entries older than the one with this id.
        before: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<EntryList>, Failure<Invalid>> {
        let actor = actor.0.as_ref().map(username).transpose()?;
        let filter = AuditFilter {
            action: action.0.map(AuditAction::word),
            actor: actor.map(|actor| actor.to_string()),
        };
        let before = before.0.map(|PageToken(id)| AuditId::from_string(id));
        let store = &self.store;
        let entries = store.audit(&filter, before.as_ref(), limit.0.0).await?;
        let (entries, next) = page::items(entries, |entry| entry.id.to_string());
        Ok(Json(EntryList {
            items: entries.into_iter().map(view).collect::<Result<_, _>>()?,
            next,
        }))
    }
}

fn view(stored: StoredAuditEntry) -> Result<EntryView, ApiError> {
    let entry = stored.entry;
    let action = Value::String(entry.action.into_owned());
    let action = AuditAction::parse_from_json(Some(action)).map_err(|_| {
        ApiError::internal(&std::io::Error::other("the audit has an unknown action"))
    })?;
    Ok(EntryView {
        id: Id::of(stored.id),
        at: entry.at.into(),
        action,
        actor: entry.actor,
        target: entry.target,
        address: entry.address,
        request_id: entry.request_id,
        detail: entry.detail,
        count: entry.count,
    })
}
