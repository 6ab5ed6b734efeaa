//! A delay, as clients see one and write one.

use herald_store::Delay;
use poem_openapi::{Enum, Object, types::MaybeUndefined};

use crate::{
    error::ApiError,
    fields::{described::described, example::example},
};

described! {
    /// Milliseconds.
    Milliseconds(u64, 1000_u64) {
        maximum: Some(Delay::MAX_MS as f64),
    }
}

/// How long messages wait before they are processed.
#[derive(Object)]
#[oai(example, rename = "Delay")]
pub(crate) struct DelayView {
    #[oai(flatten)]
    delay: DelayFields,
}

example!(DelayView { delay });

/// The fields of a delay.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct DelayFields {
    mode: DelayMode,
    /// With `fixed`: milliseconds.
    ms: Option<Milliseconds>,
    /// With `uniform`: milliseconds, at least.
    min_ms: Option<Milliseconds>,
    /// With `uniform`: milliseconds, at most.
    max_ms: Option<Milliseconds>,
}

example!(DelayFields {
    mode: DelayMode::Fixed,
    ms: Some(Milliseconds::example()),
    min_ms: None,
    max_ms: None,
});

/// Whether the time is always the same (`fixed`) or random (`uniform`).
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
#[oai(example, deny_unknown_fields, skip_serializing_if_is_none)]
pub(crate) struct NewDelay {
    mode: DelayMode,
    /// With `fixed`: milliseconds, at most 30 days.
    ms: MaybeUndefined<Milliseconds>,
    /// With `uniform`: milliseconds.
    min_ms: MaybeUndefined<Milliseconds>,
    /// With `uniform`: milliseconds, at most 30 days and not less than `min_ms`.
    max_ms: MaybeUndefined<Milliseconds>,
    /// Whether messages that are queued now get the new delay too.
    #[oai(default)]
    pub(crate) apply_to_queued: bool,
}

example!(NewDelay {
    mode: DelayMode::Fixed,
    ms: MaybeUndefined::Value(Milliseconds(1000)),
    min_ms: MaybeUndefined::Undefined,
    max_ms: MaybeUndefined::Undefined,
    apply_to_queued: false,
});

impl NewDelay {
    pub(crate) fn delay(&self) -> Result<Delay, ApiError> {
        use MaybeUndefined::{Undefined, Value};
        match (self.mode, &self.ms, &self.min_ms, &self.max_ms) {
            (DelayMode::Fixed, Value(ms), Undefined, Undefined) => Ok(Delay::Fixed { ms: ms.0 }),
            (DelayMode::Uniform, Undefined, Value(min_ms), Value(max_ms)) => Ok(Delay::Uniform {
                min_ms: min_ms.0,
                max_ms: max_ms.0,
            }),
            (DelayMode::Fixed, ..) => Err(ApiError::invalid(
                "A fixed delay needs ms, and neither min_ms nor max_ms.",
            )),
            (DelayMode::Uniform, ..) => Err(ApiError::invalid(
                "A uniform delay needs min_ms and max_ms, and not ms.",
            )),
        }
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

impl From<Delay> for DelayView {
    fn from(delay: Delay) -> Self {
        Self {
            delay: delay.into(),
        }
    }
}

impl From<Delay> for DelayFields {
    fn from(delay: Delay) -> Self {
        let (mode, [ms, min_ms, max_ms]) = match delay {
            Delay::Fixed { ms } => (DelayMode::Fixed, [Some(ms), None, None]),
            Delay::Uniform { min_ms, max_ms } => {
                (DelayMode::Uniform, [None, Some(min_ms), Some(max_ms)])
            }
        };
        Self {
            mode,
            ms: ms.map(Milliseconds),
            min_ms: min_ms.map(Milliseconds),
            max_ms: max_ms.map(Milliseconds),
        }
    }
}
