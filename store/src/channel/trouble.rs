//! What is logged of a failure that lasts.

use super::shared::Purpose;
use crate::StoreError;

/// What is logged of others.
pub(super) const NOT_HEARD: &str = "other servers are not heard: notifications from there come up to 30 s late, what is published there is lost";
pub(super) const HEARD: &str = "other servers are heard again";

/// Logs when it begins and when it is over, and nothing in between.
pub(super) struct Trouble {
    channel: &'static str,
    is_known: bool,
}

impl Trouble {
    /// That of the channel for this.
    pub(super) fn of(purpose: Purpose) -> Self {
        Self {
            channel: purpose.name(),
            is_known: false,
        }
    }

    /// It has failed, which means `what`.
    pub(super) fn note(&mut self, error: &StoreError, what: &'static str) {
        if !std::mem::replace(&mut self.is_known, true) {
            tracing::warn!(channel = self.channel, %error, "{what}");
        }
    }

    /// It has not failed, which means `what` if it had.
    pub(super) fn is_over(&mut self, what: &'static str) {
        if std::mem::take(&mut self.is_known) {
            tracing::info!(channel = self.channel, "{what}");
        }
    }
}
