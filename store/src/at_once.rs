//! Messages that are worked on as they are accepted.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::Job;

/// Works on messages that are due as they are accepted: they are claimed as they are written, and need no claim of their own.
pub trait WorksAtOnce: Send + Sync {
    /// Room for one message more, if one may begin now: there are no others that are due and wait.
    fn reserve(&self) -> Option<Box<dyn Room>>;

    /// How long a claim lasts.
    fn lease(&self) -> Duration;
}

/// Room for one message. Who drops it gives it back.
pub trait Room: Send {
    /// Begins with the message, which was accepted and is durable. Must not wait, nor panic.
    fn begin(self: Box<Self>, job: Job);
}

/// Who works on messages as they are accepted, if anybody does.
#[derive(Default)]
pub(crate) struct AtOnce(RwLock<Option<Arc<dyn WorksAtOnce>>>);

impl AtOnce {
    pub(crate) fn get(&self) -> Option<Arc<dyn WorksAtOnce>> {
        let works = self.0.read();
        works.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, works: Option<Arc<dyn WorksAtOnce>>) {
        let mut set = self.0.write();
        **set.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = works;
    }
}

impl fmt::Debug for AtOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtOnce").finish_non_exhaustive()
    }
}
