//! How long messages wait before they are processed, for administrators.

use std::sync::Arc;

use herald_store::{Delay, StoreError};
use poem_openapi::{Enum, Object, OpenApi, Union, payload::Json, types::Example};

use crate::{audit::AuditAction, error::ApiError, session::Administrator, state::State, tags::Tag};

pub(crate) struct DelayApi(pub(crate) Arc<State>);

/// Every message waits the same time.
#[derive(Object)]
struct FixedDelay {
    /// Milliseconds, at most 30 days.
    ms: u64,
}

/// Every message waits a random time.
#[derive(Object)]
struct UniformDelay {
    /// Milliseconds.
    min_ms: u64,
    /// Milliseconds, at most 30 days and not less than `min_ms`.
    max_ms: u64,
}

/// How long messages wait before they are processed.
#[derive(Union)]
#[oai(discriminator_name = "mode", one_of, rename = "Delay")]
enum DelayView {
    #[oai(mapping = "fixed")]
    Fixed(FixedDelay),
    #[oai(mapping = "uniform")]
    Uniform(UniformDelay),
}

/// Whether the time is always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum DelayMode {
    /// Every message waits `ms`.
    Fixed,
    /// Every message waits a random time from `min_ms` to `max_ms`.
    Uniform,
}

/// How long messages are to wait.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(crate) struct NewDelay {
    mode: DelayMode,
    /// With `fixed`: milliseconds, at most 30 days.
    ms: Option<u64>,
    /// With `uniform`: milliseconds.
    min_ms: Option<u64>,
    /// With `uniform`: milliseconds, at most 30 days and not less than `min_ms`.
    max_ms: Option<u64>,
    /// Whether messages that are queued now get the new delay too.
    #[oai(default)]
    pub(crate) apply_to_queued: bool,
}

impl Example for NewDelay {
    fn example() -> Self {
        Self {
            mode: DelayMode::Fixed,
            ms: Some(1000),
            min_ms: None,
            max_ms: None,
            apply_to_queued: false,
        }
    }
}

impl NewDelay {
    pub(crate) fn delay(&self) -> Result<Delay, ApiError> {
        match (self.mode, self.ms, self.min_ms, self.max_ms) {
            (DelayMode::Fixed, Some(ms), _, _) => Ok(Delay::Fixed { ms }),
            (DelayMode::Uniform, _, Some(min_ms), Some(max_ms)) => {
                Ok(Delay::Uniform { min_ms, max_ms })
            }
            (DelayMode::Fixed, ..) => Err(ApiError::invalid("A fixed delay needs ms.")),
            (DelayMode::Uniform, ..) => Err(ApiError::invalid(
                "A uniform delay needs min_ms and max_ms.",
            )),
        }
    }
}

#[OpenApi(prefix_path = "/admin", tag = "Tag::Admin")]
impl DelayApi {
    /// See the delay
    #[oai(path = "/delay", method = "get", operation_id = "getDelay")]
    async fn delay(&self, _admin: Administrator) -> Result<Json<DelayView>, ApiError> {
        Ok(Json(self.0.store.delay().await?.into()))
    }

    /// Change the delay
    ///
    /// For messages sent from now on, of users who have no delay of their own. With `apply_to_queued` also for those of
    /// theirs that wait for their first attempt, counted from when each was accepted: the answer comes when all are
    /// moved, which takes seconds for a million. If the server dies meanwhile, those that were moved stay moved and the
    /// others wait as before; asking again moves them. Errors: 422 `invalid`.
    #[oai(path = "/delay", method = "put", operation_id = "setDelay")]
    async fn set_delay(
        &self,
        admin: Administrator,
        new: Json<NewDelay>,
    ) -> Result<Json<DelayView>, ApiError> {
        let delay = new.delay()?;
        let event = admin.0.event(AuditAction::DelayChanged);
        let event = event.detail(summary(delay, new.apply_to_queued));
        let store = self.0.store.audited(event.entry());
        let apply_to_queued = new.apply_to_queued;
        let moved = in_the_background(async move { store.set_delay(delay, apply_to_queued).await });
        let moved = moved.await?;
        tracing::info!(by = %admin.0.user.username, ?delay, moved, "the delay was changed");
        Ok(Json(delay.into()))
    }
}

/// What a delay is, in a few words.
pub(crate) fn summary(delay: Delay, apply_to_queued: bool) -> String {
    let also = if apply_to_queued {
        ", also of what is queued"
    } else {
        ""
    };
    match delay {
        Delay::Fixed { ms } => format!("{ms} ms{also}"),
        Delay::Uniform { min_ms, max_ms } => format!("{min_ms} to {max_ms} ms{also}"),
    }
}

/// Makes a change to the end, also if the client goes away; it ends when the store is closed.
pub(crate) async fn in_the_background<T: Send + 'static>(
    change: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, ApiError> {
    let changed = tokio::spawn(change).await;
    Ok(changed.unwrap_or(Err(StoreError::Panicked))?)
}

impl From<Delay> for DelayView {
    fn from(delay: Delay) -> Self {
        match delay {
            Delay::Fixed { ms } => Self::Fixed(FixedDelay { ms }),
            Delay::Uniform { min_ms, max_ms } => Self::Uniform(UniformDelay { min_ms, max_ms }),
        }
    }
}
