//! How long messages wait before they are processed, for administrators.

use std::sync::Arc;

use herald_store::Store;
use poem_openapi::{OpenApi, payload::Json};

use crate::{
    audit::AuditAction,
    background::Background,
    error::{ApiError, Failure, codes::Invalid},
    middleware::caller::Administrator,
    progress::ReportProgress,
    routes::tags::Tag,
    views::{
        by_mode::ByMode,
        delay::{DelayView, NewDelay, summary},
    },
};

pub(crate) struct DelayApi {
    pub(crate) store: Store,
    pub(crate) progress: Arc<dyn ReportProgress>,
    pub(crate) background: Background,
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Admin")]
impl DelayApi {
    /// See the delay
    ///
    /// How long the messages wait of all users who have no delay of their own.
    #[oai(path = "/delay", method = "get", operation_id = "getDelay")]
    async fn delay(&self, _admin: Administrator) -> Result<Json<ByMode<DelayView>>, ApiError> {
        Ok(Json(ByMode(self.store.delay().await?.into())))
    }

    /// Change the delay
    ///
    /// For messages sent from now on, of users who have no delay of their own. With `apply_to_queued` also for those of
    /// theirs that wait for their first attempt, counted from when each was accepted: the answer comes when all are
    /// moved, which takes seconds for a million. If the server dies meanwhile, those that were moved stay moved and the
    /// others wait as before; asking again moves them.
    #[oai(path = "/delay", method = "put", operation_id = "setDelay")]
    async fn set_delay(
        &self,
        admin: Administrator,
        new: Json<ByMode<NewDelay>>,
    ) -> Result<Json<ByMode<DelayView>>, Failure<Invalid>> {
        let delay = new.delay()?;
        let event = admin.0.event(AuditAction::DelayChanged);
        let event = event.detail(summary(delay, new.apply_to_queued));
        let store = self.store.audited(event.entry());
        let apply_to_queued = new.apply_to_queued;
        let progress = self.progress.clone();
        let moved = self.background.to_the_end(async move {
            let moved = store.set_delay(delay, apply_to_queued).await;
            if let Ok(1..) = moved {
                progress.moved(None);
            }
            moved
        });
        let moved = moved.await?;
        tracing::info!(by = %admin.0.user.username, ?delay, moved, "the delay was changed");
        Ok(Json(ByMode(delay.into())))
    }
}
