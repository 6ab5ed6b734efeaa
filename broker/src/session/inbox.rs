//! The client's inbox: where it starts, and how it is read.

use futures_util::FutureExt as _;
use herald_acl::topics;

use super::{
    connected::Session,
    deliver::terms,
    end::End,
    read::{Located, Locating, ReadBatch},
    task::Task,
};
use crate::{
    feed::{Feed, Next, Redelivery},
    host::{HostError, Notification},
    state::What,
    wire::{Outgoing, PublishProperties, Qos, Reason, Sent},
};

/// Bytes read ahead that a session keeps while it waits for acknowledgements.
const READ_AHEAD: usize = 64 * 1024;

impl Session {
    /// If a filter covers the inbox now and delivery is to begin, asks the host from where: behind `after`, or behind what was
    /// acknowledged last.
    pub(super) fn locate_inbox(&self, after: Option<i64>) -> Option<Locating> {
        let own = topics::inbox(&self.client.identity.username);
        let wanted = self.state.granted.iter().any(|g| g.is_for(&own));
        if !wanted || (self.state.inbox.is_some() && after.is_none()) {
            return None;
        }
        let (inbox, identity) = (&self.ctx.host.inbox, &self.client.identity);
        Some(match (after, self.client_with_cursor()) {
            (Some(after), Some(client_id)) => inbox.set_position(identity, client_id, after),
            (_, client_id) => inbox.position(identity, client_id),
        })
    }

    /// Starts delivery of the inbox, and sends SUBACK.
    pub(super) fn inbox_located(&mut self, located: Located) -> Result<(), End> {
        let Some(Task::Position(all, _)) = self.task.take() else {
            return Ok(());
        };
        let position = located
            .map_err(End::Server)
            .and_then(|position| position.map_err(|e| unreadable(&e)))
            .inspect_err(|_| {
                let own = topics::inbox(&self.client.identity.username);
                self.guard
                    .drop_inbox_without_position(&mut self.state, &own);
            })?;
        // What the client remembers may be ahead of a database that was restored.
        let after = all.after.map(|after| after.min(position.newest));
        let start = after.unwrap_or(position.acknowledged);
        self.reading = None;
        // What is newer than the position comes with a wake-up, which waits in the mailbox.
        self.cursor.is_used();
        // What is in flight is of another position in it, or of none.
        self.state.in_flight.forget_notifications();
        self.state.inbox = Some(Feed::new(start, position.newest > start));
        self.suback(&all)
    }

    /// Sends what the inbox has, or begins to read it.
    pub(super) fn deliver_inbox(&mut self) -> Result<(), End> {
        while self.may_send() {
            let Some(feed) = &mut self.state.inbox else {
                return Ok(());
            };
            match feed.next(self.window) {
                Next::Send(notification) => {
                    self.send_notification(notification, None)?;
                }
                Next::Read { after, limit } => {
                    self.read_inbox(after, limit);
                    return Ok(());
                }
                Next::Wait => return Ok(()),
            }
        }
        Ok(())
    }

    fn read_inbox(&mut self, after: i64, limit: usize) {
        let inbox = &self.ctx.host.inbox;
        let read = inbox.read(&self.client.identity, after, limit);
        let bytes = self.guard.mailbox.user_bytes().clone();
        let most = self.ctx.limits.inbox_read_bytes;
        let read = async move {
            // First, so that no more is read at once than the user's sessions may hold.
            let mut held = bytes.hold(most).await;
            let batch = read.await?;
            held.keep(batch.notifications.iter().map(|n| n.payload.len()).sum());
            Ok(ReadBatch { batch, held })
        };
        self.reading = Some(read.boxed());
    }

    /// Gives back what the session does not hold any more of its user's bytes.
    pub(super) fn settle_held(&mut self) {
        let waits = self.state.in_flight.under_way() >= self.window;
        if let Some(feed) = &mut self.state.inbox
            && waits
            && feed.ready_bytes() > READ_AHEAD
        {
            // Other sessions of the user may want them, and who knows when the client acknowledges anything.
            feed.give_back();
        }
        self.state.settle_held(self.wire.output_len());
    }

    /// Sends a notification under the packet identifier that it had on an earlier connection. `false`: it is being read.
    pub(super) fn send_notification_again(&mut self, id: u16, seq: i64) -> Result<bool, End> {
        let Some(feed) = &mut self.state.inbox else {
            self.state.in_flight.done(id);
            return Ok(true);
        };
        match feed.redeliver(seq) {
            Redelivery::Send(notification) => self.send_notification(notification, Some(id))?,
            Redelivery::Read { after, limit } => {
                self.read_inbox(after, limit);
                return Ok(false);
            }
            Redelivery::Wait => return Ok(false),
            Redelivery::Gone => {
                self.state.in_flight.done(id);
                self.notification_done(seq);
            }
        }
        Ok(true)
    }

    pub(super) fn read_done(&mut self, read: Result<ReadBatch, HostError>) -> Result<(), End> {
        self.reading = None;
        if let Some(feed) = &mut self.state.inbox {
            let ReadBatch { batch, held } = read.map_err(|e| unreadable(&e))?;
            feed.read_done(batch);
            self.state.held.add(held);
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
        let granted = self.state.granted.iter();
        let (granted_qos, identifiers) = terms(granted.filter(|g| g.is_for(&topic)));
        let qos = match again {
            Some(_) => Qos::AtLeastOnce,
            None => granted_qos.min(Qos::AtLeastOnce),
        };
        let seq = notification.seq;
        let properties = PublishProperties {
            utf8: Some(true),
            content_type: Some("application/json".into()),
            user: vec![
                ("seq".into(), seq.to_string().into()),
                ("epoch".into(), self.ctx.host.inbox.epoch()),
            ],
            ..PublishProperties::default()
        };
        let packet_id = again.unwrap_or_else(|| self.state.in_flight.id_for(qos));
        let sent = self.wire.publish(&Outgoing {
            topic: topic.as_str(),
            payload: &notification.payload,
            qos,
            retain: false,
            properties: &properties,
            identifiers: &identifiers,
            packet_id,
            dup: again.is_some(),
        })?;
        match sent {
            Sent::TooLarge => {
                tracing::warn!(user = %self.client.identity.username, client_id = ?self.client.id, seq, "a notification is larger than the client takes");
                // A gap: it is tried again on the next connection, and other clients of the user may take it.
                self.state.in_flight.done(packet_id);
                return Ok(());
            }
            Sent::Sent if again.is_some() => self.state.in_flight.sent(packet_id),
            Sent::Sent if qos == Qos::AtMostOnce => {}
            Sent::Sent => {
                let what = What::Notification { seq };
                self.state.in_flight.push(packet_id, what);
            }
        }
        self.ctx.metrics.publishes_sent.add(1);
        self.ctx.metrics.notifications_sent.add(1);
        Ok(())
    }

    /// The client is not to have the notifications up to `up_to`.
    pub(super) fn skip_notifications(&mut self, up_to: i64) {
        let Some(feed) = &mut self.state.inbox else {
            return;
        };
        let Some(acknowledged) = feed.skip_to(up_to) else {
            return;
        };
        self.state.in_flight.forget_notifications_to(up_to);
        if acknowledged > up_to {
            // What was acknowledged behind the gap.
            self.acknowledge_to(acknowledged);
        }
        // Soon, as it may have been moved back meanwhile.
        self.cursor.use_soon();
    }

    /// The client has acknowledged the notification with this number, or nobody can have it any more.
    pub(super) fn notification_done(&mut self, seq: i64) {
        let feed = self.state.inbox.as_mut();
        if let Some(up_to) = feed.and_then(|feed| feed.acknowledge(seq)) {
            self.acknowledge_to(up_to);
        }
    }

    /// Records that everything up to `up_to` is acknowledged.
    fn acknowledge_to(&self, up_to: i64) {
        let (inbox, identity) = (&self.ctx.host.inbox, &self.client.identity);
        inbox.acknowledge(identity, self.client_with_cursor(), up_to);
    }
}

fn unreadable(e: &HostError) -> End {
    tracing::error!(error = %e, "inbox cannot be read");
    End::Server(Reason::Unavailable)
}
