//! Which of a server's frames answer which message.

use super::{cut::Taken, postgres};
use crate::DatabaseKind;

/// Where a connection is, as seen by both of its directions.
pub(super) struct Answers {
    kind: DatabaseKind,
    /// How often the server will have said that it is ready, once all that was passed on is answered. PostgreSQL alone.
    asked: u64,
    /// How often it has.
    ready: u64,
    /// A cut when the server has been ready so often and then answers.
    cut: Option<(u64, Taken)>,
}

/// What becomes of a frame of the server.
pub(super) enum Fate {
    Passed,
    /// It belongs to an answer that is lost.
    Lost,
    /// It ends that answer.
    Cut(Taken),
}

impl Answers {
    pub(super) fn new(kind: DatabaseKind) -> Self {
        Self {
            kind,
            // After the session's beginning.
            asked: 1,
            ready: 0,
            cut: None,
        }
    }

    /// A message of this kind is passed on. With `cut`, the answer to it is lost.
    pub(super) fn asked(&mut self, kind: Option<u8>, cut: Option<Taken>) {
        if let Some(cut) = cut {
            // While the session begins, the server answers each message before the next.
            let before = if self.ready == 0 { 0 } else { self.asked };
            self.cut = Some((before, cut));
        }
        if self.kind == DatabaseKind::Postgres && kind.is_some_and(postgres::is_answered_by_ready) {
            self.asked += 1;
        }
    }

    pub(super) fn answered(&mut self, frame: &[u8]) -> Fate {
        if self.kind != DatabaseKind::Postgres {
            // Clients wait for each answer.
            return match self.cut.take() {
                Some((_, cut)) => Fate::Cut(cut),
                None => Fate::Passed,
            };
        }
        let ready = self.ready;
        let is_ready = postgres::is_ready(frame);
        self.ready += u64::from(is_ready);
        match self.cut.take_if(|(before, _)| *before <= ready) {
            None => Fate::Passed,
            Some((before, cut)) if before > 0 && !is_ready => {
                self.cut = Some((before, cut));
                Fate::Lost
            }
            Some((_, cut)) => Fate::Cut(cut),
        }
    }

    /// The server has closed the connection: the cut that it was to have, if any.
    pub(super) fn closed(&mut self) -> Option<Taken> {
        self.cut.take().map(|(_, cut)| cut)
    }
}
