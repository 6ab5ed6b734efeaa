//! The broker's host, over the accounts and the store.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Action;
use herald_api::{
    AccountError, Accounts, Audit, AuditAction, Event, Patience, SendError, Sends, TOKEN_PREFIX,
    TokenScope, failed_sign_in,
};
use herald_broker::{
    Authenticate, Batch, Credential, DeniedAction, HostError, Identity, Inbox, Intake, Login,
    LoginRefusal, Notification, Observe, Position, Retain, RetainedChange, RetainedMessage,
    SendRefusal, SendRequest,
};
use herald_store::{BodyError, Seq, Store, StoreError, Timestamp, Token, User, UserId};

use crate::acks::Acks;
use crate::nodes::TellNodes;

/// About how much of an inbox a session reads at once.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;

/// The broker's host.
pub(crate) struct Host {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) store: Store,
    pub(crate) acks: Arc<Acks>,
    pub(crate) sends: Arc<Sends>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) nodes: TellNodes,
}

/// A notification as the broker takes it.
pub(crate) fn notification(n: &herald_store::Notification) -> Notification {
    Notification {
        seq: n.seq.0,
        payload: Bytes::copy_from_slice(n.payload.as_bytes()),
    }
}

fn user_id(identity: &Identity) -> UserId {
    UserId::from_string(identity.user_id.clone())
}

impl Authenticate for Host {
    fn authenticate(&self, login: Login) -> BoxFuture<'static, Result<Identity, LoginRefusal>> {
        let (accounts, store, audit) = (
            self.accounts.clone(),
            self.store.clone(),
            self.audit.clone(),
        );
        async move {
            let checked = check(&accounts, &login).await;
            if let Err(error) = audit_login(&store, &audit, &login, &checked).await {
                tracing::error!(%error, "a sign-in could not be audited");
            }
            let found = checked.map_err(|e| match e {
                AccountError::Throttled { .. } => LoginRefusal::Throttled,
                // Very many clients connect at once; they come back.
                AccountError::Busy => LoginRefusal::Unavailable,
                e => {
                    tracing::error!(error = %e, "credentials could not be checked");
                    LoginRefusal::Unavailable
                }
            })?;
            let (user, credential) = found.ok_or(LoginRefusal::BadCredentials)?;
            Ok(Identity {
                user_id: user.id.as_str().into(),
                username: user.username,
                role: user.role,
                credential,
            })
        }
        .boxed()
    }
}

type Checked = Result<Option<(User, Credential)>, AccountError>;

/// Notes a login in the audit. One by a valid token is not: the token itself has when it was last used.
async fn audit_login(
    store: &Store,
    audit: &Audit,
    login: &Login,
    checked: &Checked,
) -> Result<(), StoreError> {
    let event = match checked {
        Ok(Some((user, Credential::Password))) => Event::new(AuditAction::SignIn)
            .by(&user.username)
            .detail("MQTT"),
        Ok(None) => failed_sign_in(store, &login.username)
            .await?
            .detail("MQTT, wrong"),
        Err(AccountError::Throttled { .. }) => failed_sign_in(store, &login.username)
            .await?
            .detail("MQTT, too many tries"),
        Ok(Some((_, Credential::Token { .. }))) | Err(_) => return Ok(()),
    };
    audit.note(event.from(login.peer.ip()));
    Ok(())
}

/// The account that the login is for: by a token of that account, or by its password.
async fn check(accounts: &Accounts, login: &Login) -> Checked {
    let Ok(password) = std::str::from_utf8(&login.password) else {
        return Ok(None);
    };
    if password.starts_with(TOKEN_PREFIX) {
        let found = accounts.check_token(password, TokenScope::Mqtt).await?;
        let own = found.filter(|(_, user)| user.username.as_str() == login.username);
        return Ok(own.map(|(token, user)| (user, by_token(&token))));
    }
    let user = accounts
        .login(&login.username, password, login.peer.ip())
        .await?;
    Ok(user.map(|user| (user, Credential::Password)))
}

fn by_token(token: &Token) -> Credential {
    Credential::Token {
        id: token.id.as_str().into(),
        expires_at: token.expires_at.map(on_system_clock),
    }
}

impl Observe for Host {
    fn denied(&self, denied: DeniedAction<'_>) {
        let what = match denied.action {
            Action::Publish => "MQTT publish",
            Action::Subscribe => "MQTT subscribe",
        };
        let event = Event::new(AuditAction::AccessDenied)
            .by(&denied.identity.username)
            .from(denied.peer.ip());
        self.audit.note(event.to(denied.topic).detail(what));
    }
}

impl Retain for Host {
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>> {
        let store = self.store.clone();
        async move {
            let kept = store.retained(Timestamp::now()).await.map_err(host_error)?;
            Ok(kept.into_iter().map(retained).collect())
        }
        .boxed()
    }

    fn save(&self, changes: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>> {
        let (store, nodes) = (self.store.clone(), self.nodes.clone());
        async move {
            let changes = changes.into_iter().map(retained_change).collect();
            store.save_retained(changes).await.map_err(host_error)?;
            nodes.retained();
            Ok(())
        }
        .boxed()
    }

    fn forget_expired(&self) -> BoxFuture<'static, Result<(), HostError>> {
        let store = self.store.clone();
        async move {
            let forgotten = store.forget_expired_retained(Timestamp::now());
            forgotten.await.map_err(host_error)
        }
        .boxed()
    }
}

pub(crate) fn retained(m: herald_store::RetainedMessage) -> RetainedMessage {
    RetainedMessage {
        topic: m.topic,
        payload: m.payload,
        attributes: m.attributes,
        expires_at: m.expires_at.map(system_time),
    }
}

fn retained_change(change: RetainedChange) -> herald_store::RetainedChange {
    match change {
        RetainedChange::Clear { topic } => herald_store::RetainedChange::Clear { topic },
        RetainedChange::Set(m) => {
            herald_store::RetainedChange::Set(herald_store::RetainedMessage {
                topic: m.topic,
                payload: m.payload,
                attributes: m.attributes,
                expires_at: m.expires_at.map(timestamp),
            })
        }
    }
}

/// When the system's clock, by which the broker counts, will show `at`: later than `at` if that clock was set back.
fn on_system_clock(at: Timestamp) -> SystemTime {
    let left = at.as_millis().saturating_sub(Timestamp::now().as_millis());
    SystemTime::now() + Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

/// A time before 1970 counts as 1970: both are past.
fn system_time(at: Timestamp) -> SystemTime {
    let ms = u64::try_from(at.as_millis()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_millis(0) + since.unwrap_or_default()
}

impl Inbox for Host {
    fn position(
        &self,
        user: &Identity,
        client_id: Option<&Arc<str>>,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        let (store, acks, user) = (self.store.clone(), self.acks.clone(), user_id(user));
        let client_id = client_id.cloned();
        async move {
            // Noted first: between the two, a number may only move from there to the database.
            let of_user = acks.noted(&user, None);
            let Some(client_id) = client_id else {
                let written = store.position(&user).await.map_err(host_error)?;
                return Ok(position(written, of_user));
            };
            let noted = acks.noted(&user, Some(&client_id));
            let written = store.cursor(&user, &client_id, of_user, Timestamp::now());
            Ok(position(written.await.map_err(host_error)?, noted))
        }
        .boxed()
    }

    fn set_position(
        &self,
        user: &Identity,
        client_id: &Arc<str>,
        to: i64,
    ) -> BoxFuture<'static, Result<Position, HostError>> {
        let (store, acks, user) = (self.store.clone(), self.acks.clone(), user_id(user));
        let client_id = client_id.clone();
        async move {
            let _held = acks.forget(&user, &client_id).await;
            let set = store.set_cursor(&user, &client_id, Seq(to), Timestamp::now());
            Ok(position(set.await.map_err(host_error)?, Seq::NONE))
        }
        .boxed()
    }

    fn read(
        &self,
        user: &Identity,
        after: i64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Batch, HostError>> {
        let (store, user) = (self.store.clone(), user_id(user));
        async move {
            let read = store.notifications(&user, Seq(after), limit as u32, BATCH_BYTES);
            let read = read.await.map_err(host_error)?;
            Ok(Batch {
                notifications: read.items.iter().map(notification).collect(),
                more: read.more,
            })
        }
        .boxed()
    }

    fn epoch(&self) -> Arc<str> {
        self.store.epoch().into()
    }

    fn acknowledge(&self, user: &Identity, client_id: Option<&Arc<str>>, up_to: i64) {
        let client_id = client_id.cloned();
        self.acks.note(user_id(user), client_id, Seq(up_to));
    }
}

/// The position of an inbox that was also acknowledged up to `noted`.
fn position(written: herald_store::Position, noted: Seq) -> Position {
    Position {
        acknowledged: written.acked.max(noted).0,
        newest: written.last.0,
    }
}

fn host_error(e: herald_store::StoreError) -> HostError {
    HostError(e.to_string())
}

impl Intake for Host {
    fn send(
        &self,
        user: &Identity,
        send: SendRequest,
    ) -> BoxFuture<'static, Result<(), SendRefusal>> {
        let (sends, user) = (self.sends.clone(), user_id(user));
        let patience = if send.patient {
            Patience::Quota
        } else {
            Patience::Turn
        };
        async move {
            let sent = sends.send(&user, send.body, send.idempotency_key, patience);
            match sent.await {
                Ok(_) => Ok(()),
                Err(e) => Err(refusal(e, patience)),
            }
        }
        .boxed()
    }
}

fn refusal(error: SendError, patience: Patience) -> SendRefusal {
    let reason = error.to_string();
    match error {
        SendError::Body(BodyError::TooLong { .. }) => SendRefusal::Quota(reason),
        SendError::Body(_) | SendError::KeyConflict => SendRefusal::Invalid(reason),
        // 3.1.1 has no answer but an acknowledgement: refused so, the message would be lost.
        SendError::RateLimited { .. }
        | SendError::TooManyWaiting
        | SendError::TooMuchStored { .. }
            if patience == Patience::Quota =>
        {
            SendRefusal::Busy
        }
        SendError::RateLimited { .. }
        | SendError::TooManyWaiting
        | SendError::TooMuchStored { .. } => SendRefusal::Quota(reason),
        SendError::Store(StoreError::Busy) => SendRefusal::Busy,
        // Of those who can be refused only.
        SendError::NotKnown => SendRefusal::Unavailable,
        SendError::Store(e) => {
            tracing::error!(error = %e, "a message could not be stored");
            SendRefusal::Unavailable
        }
    }
}

#[cfg(test)]
mod tests;
