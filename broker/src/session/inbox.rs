//! The client's inbox: where it starts, and how it is read.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{End, Session, deliver::terms, in_flight::What};
use crate::{
    feed::{Feed, Next},
    host::{Batch, HostError, Notification},
    topics,
    wire::{Outgoing, PublishProperties, Qos, Reason, Sent},
};

/// How often a connected session uses its cursor: a cursor is kept for a day at least.
const CURSOR_USED: Duration = Duration::from_secs(6 * 60 * 60);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Starts delivery of the inbox if a filter covers it now: behind `after`, or behind what was acknowledged last.
    pub(super) async fn start_inbox(&mut self, after: Option<i64>) -> Result<(), End> {
        let own = topics::inbox(&self.client.identity.username);
        let wanted = self.kept.granted.iter().any(|g| g.is_for(&own));
        if !wanted || (self.kept.inbox.is_some() && after.is_none()) {
            return Ok(());
        }
        let (inbox, identity) = (&self.ctx.inbox, &self.client.identity);
        let position = match (after, self.client_with_cursor()) {
            (Some(after), Some(client_id)) => inbox.set_position(identity, client_id, after),
            (_, client_id) => inbox.position(identity, client_id),
        };
        let position = position.await.map_err(|e| unreadable(&e))?;
        // What the client remembers may be ahead of a database that was restored.
        let start = after.map_or(position.acknowledged, |after| after.min(position.newest));
        self.reading = None;
        // What is newer than the position comes with a wake-up, which waits in the mailbox.
        self.cursor_due = Instant::now() + CURSOR_USED;
        let feed = Feed::new(start, self.window, position.newest > start);
        self.kept.inbox = Some(feed);
        Ok(())
    }

    /// The client id, if the inbox has a cursor for it.
    pub(super) fn client_with_cursor(&self) -> Option<&Arc<str>> {
        self.kept.has_cursor.then_some(&self.client.id)
    }

    /// When the cursor is to be used next, if the session goes by one.
    pub(super) fn cursor_due(&self) -> Option<Instant> {
        let goes_by = self.kept.has_cursor && self.kept.inbox.is_some();
        goes_by.then_some(self.cursor_due)
    }

    /// Uses the cursor, so that it does not count as one that nobody uses while the session has nothing to acknowledge.
    pub(super) async fn use_cursor(&mut self) {
        self.cursor_due = Instant::now() + CURSOR_USED;
        let (Some(feed), Some(client_id)) = (&self.kept.inbox, self.client_with_cursor()) else {
            return;
        };
        let (inbox, identity) = (&self.ctx.inbox, &self.client.identity);
        let here = feed.acknowledged();
        let used = match inbox.position(identity, Some(client_id)).await {
            // It was forgotten, and made anew where another client is.
            Ok(position) if position.acknowledged > here => {
                let back = inbox.set_position(identity, client_id, here).await;
                back.map(|_| ())
            }
            used => used.map(|_| ()),
        };
        if let Err(e) = used {
            tracing::warn!(error = %e, user = %identity.username, client_id = ?client_id, "a cursor could not be used; it will be tried again");
        }
    }

    /// Sends what the inbox has, or begins to read it.
    pub(super) fn deliver_inbox(&mut self) -> Result<(), End> {
        while self.may_send() {
            let Some(feed) = &mut self.kept.inbox else {
                return Ok(());
            };
            match feed.next() {
                Next::Send(notification) => self.send_notification(notification, None)?,
                Next::Read { after, limit } => {
                    let read = self.ctx.inbox.read(&self.client.identity, after, limit);
                    self.reading = Some(read);
                    return Ok(());
                }
                Next::Wait => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn read_done(&mut self, batch: Result<Batch, HostError>) -> Result<(), End> {
        self.reading = None;
        if let Some(feed) = &mut self.kept.inbox {
            feed.read_done(batch.map_err(|e| unreadable(&e))?);
        }
        Ok(())
    }

    /// Sends a notification; `again` with the packet identifier that it had on an earlier connection.
    pub(super) fn send_notification(
        &mut self,
        notification: Notification,
        again: Option<u16>,
    ) -> Result<(), End> {
        let topic = topics::inbox(&self.client.identity.username);
        let granted = self.kept.granted.iter();
        let (granted_qos, identifiers) = terms(granted.filter(|g| g.is_for(&topic)));
        let qos = match again {
            Some(_) => Qos::AtLeastOnce,
            None => granted_qos.min(Qos::AtLeastOnce),
        };
        let seq = notification.seq;
        let properties = PublishProperties {
            utf8: Some(true),
            content_type: Some("application/json".into()),
            user: vec![("seq".into(), seq.to_string().into())],
            ..PublishProperties::default()
        };
        let packet_id = again.unwrap_or_else(|| self.kept.in_flight.id_for(qos));
        let sent = self.io.wire.publish(&Outgoing {
            topic: topic.as_str(),
            payload: &notification.payload,
            qos,
            retain: false,
            properties: &properties,
            identifiers: &identifiers,
            packet_id,
            again: again.is_some(),
        })?;
        match sent {
            Sent::TooLarge => {
                tracing::warn!(user = %self.client.identity.username, client_id = ?self.client.id, seq, "a notification is larger than the client takes");
                self.withhold(seq, again);
                return Ok(());
            }
            Sent::Sent if again.is_some() => self.kept.in_flight.sent(packet_id),
            Sent::Sent if qos == Qos::AtMostOnce => {}
            Sent::Sent => {
                let keeps = !self.expiry.is_zero();
                let payload = keeps.then_some(notification.payload);
                let what = What::Notification { seq, payload };
                self.kept.in_flight.push(packet_id, what);
                if let Some(feed) = &mut self.kept.inbox {
                    feed.sent(packet_id, seq);
                }
            }
        }
        self.ctx.metrics.publishes_sent.add(1);
        self.ctx.metrics.notifications_sent.add(1);
        Ok(())
    }

    /// The client has acknowledged the notification that had this packet identifier.
    pub(super) fn notification_done(&mut self, packet_id: u16) {
        let feed = self.kept.inbox.as_mut();
        if let Some(up_to) = feed.and_then(|feed| feed.acknowledge(packet_id)) {
            let (inbox, identity) = (&self.ctx.inbox, &self.client.identity);
            inbox.acknowledge(identity, self.client_with_cursor(), up_to);
        }
    }

    /// A notification cannot be sent to this client.
    fn withhold(&mut self, seq: i64, again: Option<u16>) {
        if let Some(id) = again {
            self.kept.in_flight.done(id);
        }
        let Some(feed) = &mut self.kept.inbox else {
            return;
        };
        match again {
            Some(id) => feed.withhold_in_flight(id),
            None => feed.withhold(seq),
        }
    }
}

fn unreadable(e: &HostError) -> End {
    tracing::error!(error = %e, "inbox cannot be read");
    End::Server(Reason::Unavailable)
}
