//! What is logged of a failure that lasts.

use std::fmt::Display;

/// Logs that something fails when that begins, and not again before it has succeeded.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    is_known: bool,
}

impl Trouble {
    /// What came of it; `what` a failure means.
    pub(super) fn note<E: Display>(&mut self, result: Result<(), E>, what: &'static str) {
        match result {
            Ok(()) => self.is_known = false,
            Err(error) if !self.is_known => {
                self.is_known = true;
                tracing::warn!(%error, "{what}");
            }
            Err(_) => {}
        }
    }
}
