//! How long the messages of one user wait, for administrators.

use std::sync::Arc;

use herald_store::{Delay, Store, User};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    audit::AuditAction,
    background::Background,
    error::{
        ApiError, Failure,
        codes::{Invalid, NotFound},
    },
    fields::{Limit, Name, NextPageToken, example::example},
    middleware::caller::Administrator,
    progress::ReportProgress,
    routes::tags::Tag,
    views::{
        by_mode::ByMode,
        delay::{DelayFields, DelayView, NewDelay, summary},
        page,
        user::{find, no_such_account, username},
    },
};

pub(crate) struct UserDelayApi {
    pub(crate) store: Store,
    pub(crate) progress: Arc<dyn ReportProgress>,
    pub(crate) background: Background,
}

/// How long the messages of one user wait before they are processed.
#[derive(Object)]
#[oai(example)]
struct UserDelay {
    #[oai(flatten)]
    delay: DelayFields,
    /// Whether it is the user's own; otherwise it is that of all who have none.
    overridden: bool,
}

example!(UserDelay {
    delay,
    overridden: false
});

/// A user who has a delay of their own.
#[derive(Object)]
#[oai(example)]
struct OwnDelay {
    username: Name,
    delay: ByMode<DelayView>,
}

example!(OwnDelay { username, delay });

/// A page of users who have a delay of their own.
#[derive(Object)]
#[oai(example)]
struct OwnDelayList {
    /// By username.
    items: Vec<OwnDelay>,
    /// The `after` of the next page.
    next: Option<NextPageToken>,
}

example!(OwnDelayList {
    items: vec![OwnDelay::example()],
    next: None
});

#[derive(ApiResponse)]
enum Removed {
    /// The user has no delay of their own.
    #[oai(status = 204)]
    Removed,
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Admin")]
impl UserDelayApi {
    /// List delays of single users
    ///
    /// The users who have a delay of their own, by username.
    #[oai(path = "/delay/users", method = "get", operation_id = "listUserDelays")]
    async fn delays(
        &self,
        _admin: Administrator,
        /// Only usernames behind this one.
        after: Query<Option<Name>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<OwnDelayList>, Failure<Invalid>> {
        let after = after.0.as_ref().map(username).transpose()?;
        let store = &self.store;
        let own = store.list_user_delays(after.as_ref(), limit.0.0).await?;
        let (own, next) = page::items(own, |(name, _)| name.to_string());
        let items = own.into_iter().map(|(name, delay)| OwnDelay {
            username: Name::of(name),
            delay: ByMode(delay.into()),
        });
        Ok(Json(OwnDelayList {
            items: items.collect(),
            next,
        }))
    }

    /// See a user's delay
    ///
    /// The one in force, whether it is the user's own or not.
    #[oai(
        path = "/users/:name/delay",
        method = "get",
        operation_id = "getUserDelay"
    )]
    async fn delay(
        &self,
        _admin: Administrator,
        name: Path<Name>,
    ) -> Result<Json<ByMode<UserDelay>>, Failure<NotFound>> {
        let user = find(&self.store, &name).await?;
        let store = &self.store;
        let own = store.user_delay(&user.id).await?;
        let overridden = own.is_some();
        let delay = match own {
            Some(own) => own.into(),
            None => store.delay().await?.into(),
        };
        Ok(Json(ByMode(UserDelay { delay, overridden })))
    }

    /// Give a user a delay of their own
    ///
    /// For messages that the user sends from now on, and with `apply_to_queued` for those that wait, as with
    /// `PUT /admin/delay`.
    #[oai(
        path = "/users/:name/delay",
        method = "put",
        operation_id = "setUserDelay"
    )]
    async fn set_delay(
        &self,
        admin: Administrator,
        name: Path<Name>,
        new: Json<ByMode<NewDelay>>,
    ) -> Result<Json<ByMode<UserDelay>>, Failure<(NotFound, Invalid)>> {
        let user = find(&self.store, &name).await?;
        let delay = new.delay()?;
        self.set(&admin, user, Some(delay), new.apply_to_queued)
            .await?;
        Ok(Json(ByMode(UserDelay {
            delay: delay.into(),
            overridden: true,
        })))
    }

    /// Take a user's own delay away
    ///
    /// Messages that the user sends from now on wait as long as those of all others.
    #[oai(
        path = "/users/:name/delay",
        method = "delete",
        operation_id = "deleteUserDelay"
    )]
    async fn remove_delay(
        &self,
        admin: Administrator,
        name: Path<Name>,
        /// Whether messages of the user that are queued now do so, too.
        #[oai(default)]
        apply_to_queued: Query<bool>,
    ) -> Result<Removed, Failure<NotFound>> {
        let user = find(&self.store, &name).await?;
        self.set(&admin, user, None, apply_to_queued.0).await?;
        Ok(Removed::Removed)
    }
}

impl UserDelayApi {
    async fn set(
        &self,
        admin: &Administrator,
        user: User,
        delay: Option<Delay>,
        apply_to_queued: bool,
    ) -> Result<(), ApiError> {
        let event = match delay {
            Some(delay) => admin
                .0
                .event(AuditAction::UserDelayChanged)
                .detail(summary(delay, apply_to_queued)),
            None => admin.0.event(AuditAction::UserDelayRemoved),
        };
        let store = self.store.audited(event.to(&user.username).entry());
        let username = user.username.clone();
        let progress = self.progress.clone();
        let moved = self.background.to_the_end(async move {
            let moved = store.set_user_delay(&user.id, delay, apply_to_queued).await;
            if let Ok(Some(1..)) = moved {
                progress.moved(Some(&user));
            }
            moved
        });
        let moved = moved.await?.ok_or_else(no_such_account)?;
        tracing::info!(by = %admin.0.user.username, user = %username, ?delay, moved, "a user's delay was changed");
        Ok(())
    }
}
