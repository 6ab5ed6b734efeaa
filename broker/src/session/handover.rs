//! A session on its way from whoever has it to the connection that claims it.

use std::fmt;

use super::{Kept, offline::Waiting};

/// If the connection gives up before it has [taken](Handover::take) the session, the session is back where it was: it waits
/// for its client.
pub(crate) struct Handover(Option<Handed>);

enum Handed {
    /// One that waited for its client.
    Waiting(Waiting),
    /// One that is over: only its place is handed on.
    Over(Box<Kept>),
}

impl Handover {
    /// Hands on a session that waited.
    pub(super) fn of_waiting(waiting: Waiting) -> Self {
        Self(Some(Handed::Waiting(waiting)))
    }

    /// Hands on the place of a session that is over.
    pub(super) fn of_place(kept: Box<Kept>) -> Self {
        Self(Some(Handed::Over(kept)))
    }

    /// The session is the connection's.
    pub(super) fn take(mut self) -> Option<Box<Kept>> {
        self.0.take().map(|handed| match handed {
            Handed::Waiting(waiting) => waiting.into_kept(),
            Handed::Over(kept) => kept,
        })
    }

    /// The connection had given up: what was to be handed to it.
    pub(super) fn back(mut self) -> Option<Waiting> {
        match self.0.take() {
            Some(Handed::Waiting(waiting)) => Some(waiting),
            _ => None,
        }
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(Handed::Waiting(waiting)) = self.0.take() {
            waiting.go_on();
        }
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}
