//! The cursor of a client id, which is used now and then: one that nobody uses is forgotten.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{connected::Session, cursor_use::Used};
use crate::host::HostError;

impl Session {
    /// The client id, if the inbox has a cursor for it.
    pub(super) fn client_with_cursor(&self) -> Option<&Arc<str>> {
        self.state.has_cursor.then_some(&self.client.id)
    }

    /// When the cursor is to be used next, if the session goes by one.
    pub(super) fn cursor_due(&self) -> Option<Instant> {
        let goes_by = self.state.has_cursor && self.state.inbox.is_some();
        let idle = self.cursor.under_way.is_none();
        (goes_by && idle).then_some(self.cursor.due)
    }

    /// Begins to use the cursor, so that it does not count as one that nobody uses while the session has nothing to
    /// acknowledge.
    pub(super) fn use_cursor(&mut self) {
        self.cursor.is_used();
        let (Some(feed), Some(client_id)) = (&self.state.inbox, self.client_with_cursor()) else {
            return;
        };
        let (inbox, identity) = (&self.ctx.host.inbox, &self.client.identity);
        let position = inbox.position(identity, Some(client_id));
        let asked = feed.acknowledged();
        let used = async move {
            let there = position.await?.acknowledged;
            Ok(Used::At { there, asked })
        };
        self.cursor.under_way = Some(used.boxed());
    }

    /// The use that was under way has come to `used`.
    pub(super) fn cursor_used(&mut self, used: Result<Used, HostError>) {
        self.cursor.under_way = None;
        let (Some(feed), Some(client_id)) = (&self.state.inbox, self.client_with_cursor()) else {
            return;
        };
        let (inbox, identity) = (&self.ctx.host.inbox, &self.client.identity);
        let here = feed.acknowledged();
        match used {
            // It was forgotten, and made anew where another client is; or it was moved back while the session skipped some.
            Ok(Used::At { there, asked }) if there != asked && there != here => {
                let back = inbox.set_position(identity, client_id, here);
                let used = async move { back.await.map(|_| Used::Set(here)) };
                self.cursor.under_way = Some(used.boxed());
            }
            // What was acknowledged meanwhile may have been written before.
            Ok(Used::Set(there)) if there < here => {
                inbox.acknowledge(identity, Some(client_id), here);
            }
            Ok(_) => {}
            Err(e) => {
                tracing::warn!(error = %e, user = %identity.username, client_id = ?client_id, "a cursor could not be used; it will be tried again");
            }
        }
    }
}
