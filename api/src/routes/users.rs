//! Accounts, for administrators.

use std::sync::Arc;

use herald_acl::Role;
use herald_store::{CloseUser, Store, Timestamp, UpdateUser, User};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    accounts::{AccountUpdate, Accounts},
    audit::AuditAction,
    background::Background,
    error::{
        ApiError, Code, Failure,
        codes::{Invalid, LastAdministrator, NotFound, UsernameTaken},
    },
    fields::{ChosenPassword, Limit, Name, NextPageToken, example::example},
    middleware::caller::Administrator,
    options::ForgetUser,
    rights::{Rights, RightsInForce},
    routes::tags::Tag,
    views::{
        page,
        user::{Account, RoleName, find, no_such_account, username},
    },
};

pub(crate) struct UsersApi {
    pub(crate) store: Store,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) rights: Rights,
    pub(crate) forget_user: ForgetUser,
    pub(crate) background: Background,
}

/// The account to create.
#[derive(Object)]
#[oai(example, deny_unknown_fields)]
struct NewUser {
    /// `[a-z0-9][a-z0-9._-]{0,63}`; it never changes.
    username: Name,
    password: ChosenPassword,
    /// An ordinary user, unless given.
    role: Option<RoleName>,
}

example!(NewUser {
    username,
    password,
    role: Some(RoleName::User)
});

/// A page of accounts.
#[derive(Object)]
#[oai(example)]
struct UserList {
    /// By username.
    items: Vec<Account>,
    /// The `after` of the next page.
    next: Option<NextPageToken>,
}

example!(UserList {
    items: vec![Account::example()],
    next: None
});

#[derive(ApiResponse)]
enum Created {
    /// The account was created.
    #[oai(status = 201)]
    Created(Json<Account>),
}

/// What to change of an account. What is left out stays as it is.
#[derive(Object)]
#[oai(example, deny_unknown_fields, skip_serializing_if_is_none)]
struct UserChange {
    role: Option<RoleName>,
    /// Whether the account is locked.
    disabled: Option<bool>,
    password: Option<ChosenPassword>,
}

example!(UserChange {
    role: None,
    disabled: Some(true),
    password: None,
});

#[derive(ApiResponse)]
enum Changed {
    /// The account as it is now.
    #[oai(status = 200)]
    Changed(
        Json<Account>,
        #[oai(header = "X-Rights-In-Force")] RightsInForce,
    ),
}

#[derive(ApiResponse)]
enum Deleted {
    /// The account is gone.
    #[oai(status = 204)]
    Deleted(#[oai(header = "X-Rights-In-Force")] RightsInForce),
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Admin")]
impl UsersApi {
    /// List accounts
    ///
    /// By username.
    #[oai(path = "/users", method = "get", operation_id = "listUsers")]
    async fn users(
        &self,
        _admin: Administrator,
        /// Only usernames behind this one.
        after: Query<Option<Name>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<UserList>, Failure<Invalid>> {
        let after = after.0.as_ref().map(username).transpose()?;
        let users = self.store.list_users(after.as_ref(), limit.0.0).await?;
        let (users, next) = page::items(users, |user| user.username.to_string());
        Ok(Json(UserList {
            items: self.accounts(users).await?,
            next,
        }))
    }

    /// Create an account
    ///
    /// It can sign in at once. A username never changes.
    #[oai(path = "/users", method = "post", operation_id = "createUser")]
    async fn create_user(
        &self,
        admin: Administrator,
        new: Json<NewUser>,
    ) -> Result<Created, Failure<(UsernameTaken, Invalid)>> {
        let role = new.role.unwrap_or(RoleName::User);
        let (name, role) = (username(&new.username)?, Role::from(role));
        let event = admin.0.event(AuditAction::UserCreated).to(&name);
        let event = event.detail(format!("role {role}"));
        let accounts = self.accounts.audited(event.entry());
        let user = accounts.create_user(name, &new.password.0, role).await?;
        tracing::info!(by = %admin.0.user.username, user = %user.username, "an account was created");
        Ok(Created::Created(Json(self.account(user).await?)))
    }

    /// See an account
    ///
    /// By its username.
    #[oai(path = "/users/:name", method = "get", operation_id = "getUser")]
    async fn user(
        &self,
        _admin: Administrator,
        name: Path<Name>,
    ) -> Result<Json<Account>, Failure<NotFound>> {
        let user = find(&self.store, &name).await?;
        Ok(Json(self.account(user).await?))
    }

    /// Change an account
    ///
    /// A new role or a lock ends all MQTT sessions of the user, and a new password those that were signed in by the old one. A
    /// lock and a new password end browser sessions; tokens do not work while the account is locked, and a new password does
    /// not touch them. The answer comes when that is in force on every server.
    #[oai(path = "/users/:name", method = "patch", operation_id = "changeUser")]
    async fn change_user(
        &self,
        admin: Administrator,
        name: Path<Name>,
        change: Json<UserChange>,
    ) -> Result<Changed, Failure<(NotFound, LastAdministrator, Invalid)>> {
        let user = find(&self.store, &name).await?;
        let by = &admin.0;
        let update = AccountUpdate {
            role: change.role.map(RoleName::into),
            disabled: change.disabled,
            password: change.password.as_ref().map(|password| &*password.0),
            keep_session: by.session().map(|session| session.secret_hash.as_str()),
            expected_hash: None,
        };
        let event = by.event(AuditAction::UserChanged).to(&user.username);
        let event = event.detail(changes(&change));
        let accounts = self.accounts.audited(event.entry());
        match accounts.update(&user.id, update).await? {
            UpdateUser::Updated(user) => {
                tracing::info!(
                    by = %by.user.username, user = %user.username, role = %user.role, disabled = user.disabled,
                    password = change.password.is_some(), "an account was changed"
                );
                let in_force = self.rights.in_force().await;
                let account = self.account(user).await?;
                Ok(Changed::Changed(Json(account), in_force))
            }
            UpdateUser::Unknown | UpdateUser::PasswordChanged => Err(no_such_account().into()),
            UpdateUser::LastAdministrator => Err(last_administrator().into()),
        }
    }

    /// Delete an account
    ///
    /// With its sessions, tokens, messages and inbox, the access rules that name the user, and what is retained on topics
    /// that are the user's by other rules. The answer comes when all is gone, which takes its time for very many messages;
    /// if the server dies meanwhile, the account is locked, and to be deleted again.
    #[oai(path = "/users/:name", method = "delete", operation_id = "deleteUser")]
    async fn delete_user(
        &self,
        admin: Administrator,
        name: Path<Name>,
    ) -> Result<Deleted, Failure<(NotFound, LastAdministrator)>> {
        let user = find(&self.store, &name).await?;
        let event = admin.0.event(AuditAction::UserDeleted).to(&user.username);
        let store = self.store.audited(event.entry());
        match store.close_user(&user.id, Timestamp::now()).await? {
            CloseUser::Closed => {}
            CloseUser::Unknown => return Err(no_such_account().into()),
            CloseUser::LastAdministrator => return Err(last_administrator().into()),
        }
        let (store, forget) = (self.store.clone(), self.forget_user.clone());
        let (id, name) = (user.id, user.username.clone());
        let removed = self.background.to_the_end(async move {
            store.empty_user(&id).await?;
            // Last, so that nothing comes to be meanwhile; while the name is taken, nobody can see what is left.
            match forget(name).await {
                Ok(in_force) => store.remove_user(&id).await.map(|()| Ok(in_force)),
                Err(why) => Ok(Err(why)),
            }
        });
        let in_force = match removed.await? {
            Ok(in_force) => in_force,
            Err(why) => {
                tracing::error!(user = %user.username, error = why, "a deleted account could not be forgotten");
                return Err(ApiError::new(
                    Code::NotReady,
                    "The account is locked, and not all of it is deleted. Delete it again.",
                )
                .into());
            }
        };
        tracing::info!(by = %admin.0.user.username, user = %user.username, "an account was deleted");
        Ok(Deleted::Deleted(in_force.into()))
    }
}

impl UsersApi {
    /// With how much is kept of each.
    async fn accounts(&self, users: Vec<User>) -> Result<Vec<Account>, ApiError> {
        let ids: Vec<_> = users.iter().map(|user| &user.id).collect();
        let stored = self.store.stored_bytes(&ids).await?;
        let account = |user: User| Account {
            stored_bytes: stored.get(&user.id).copied().unwrap_or_default(),
            user: user.into(),
        };
        Ok(users.into_iter().map(account).collect())
    }

    async fn account(&self, user: User) -> Result<Account, ApiError> {
        let stored = self.store.stored_bytes(&[&user.id]).await?;
        Ok(Account {
            stored_bytes: stored.get(&user.id).copied().unwrap_or_default(),
            user: user.into(),
        })
    }
}

/// What changes, without the password.
fn changes(change: &UserChange) -> String {
    let role = change.role.map(|role| format!("role {}", Role::from(role)));
    let disabled = change
        .disabled
        .map(|is| if is { "disabled" } else { "enabled" });
    let password = change.password.as_ref().map(|_| "password");
    let parts = [role.as_deref(), disabled, password];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn last_administrator() -> ApiError {
    ApiError::new(
        Code::LastAdministrator,
        "Nobody else who can sign in is an administrator.",
    )
}
