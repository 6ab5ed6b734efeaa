//! What goes to the client: its inbox, and shared messages.

use std::{num::NonZeroU32, sync::Arc};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{End, Granted, Session};
use crate::{
    feed::Next,
    host::{Batch, HostError, Notification},
    mailbox::Delivery,
    topics,
    wire::{Outgoing, PublishProperties, Qos, Reason, Sent},
};

/// Retained messages taken at once.
const REPLAY_PART: usize = 32;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Sends all that may be sent now.
    pub(super) fn deliver(&mut self) -> Result<(), End> {
        self.deliver_inbox()?;
        self.deliver_shared()?;
        if self.may_send() && self.shared.is_empty() {
            // What stayed in the mailbox while there was no room.
            self.take_mail()?;
            self.deliver_inbox()?;
            self.deliver_shared()?;
        }
        Ok(())
    }

    /// Sends what is waiting, and what is retained once nothing is.
    fn deliver_shared(&mut self) -> Result<(), End> {
        while self.may_send() {
            match self.shared.pop_front() {
                Some(delivery) => self.send_shared(&delivery)?,
                None if self.replays.is_empty() => return Ok(()),
                None => self.replay(),
            }
        }
        Ok(())
    }

    /// Takes the next retained messages of the first replay, or ends it.
    fn replay(&mut self) {
        let Some(replay) = self.replays.front_mut() else {
            return;
        };
        let after = replay.after.as_deref();
        let part = self.ctx.bus.retained(&replay.filter, after, REPLAY_PART);
        let Some(last) = part.last() else {
            self.replays.pop_front();
            return;
        };
        replay.after = Some(last.topic.as_str().to_owned());
        let filter: Arc<str> = replay.filter.as_str().into();
        self.shared.extend(part.into_iter().map(|message| Delivery {
            filter: filter.clone(),
            message,
            retained: true,
        }));
    }

    /// Takes what others left for the session.
    pub(super) fn take_mail(&mut self) -> Result<(), End> {
        let mail = self.mailbox.take(!self.shared.is_empty());
        if let Some(reason) = mail.stop {
            return Err(End::Server(reason));
        }
        if let Some(inbox) = &mut self.inbox {
            for fresh in mail.fresh {
                inbox.feed.offer(fresh);
            }
            if mail.missed {
                inbox.feed.missed();
            }
        }
        self.shared.extend(mail.shared);
        Ok(())
    }

    /// There is room in the output buffer, and in the client's receive maximum.
    fn may_send(&mut self) -> bool {
        self.in_flight < self.window && !self.io.output_full()
    }

    fn deliver_inbox(&mut self) -> Result<(), End> {
        while self.may_send() {
            let Some(inbox) = &mut self.inbox else {
                return Ok(());
            };
            match inbox.feed.next() {
                Next::Send(notification) => self.send_notification(&notification)?,
                Next::Read { after, limit } => {
                    let read = self.ctx.inbox.read(&self.identity, after, limit);
                    inbox.reading = Some(read);
                    return Ok(());
                }
                Next::Wait => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn read_done(&mut self, batch: Result<Batch, HostError>) -> Result<(), End> {
        let Some(inbox) = &mut self.inbox else {
            return Ok(());
        };
        inbox.reading = None;
        match batch {
            Ok(batch) => {
                inbox.feed.read_done(batch);
                Ok(())
            }
            Err(e) => {
                tracing::error!(error = %e, "inbox cannot be read");
                Err(End::Server(Reason::Unavailable))
            }
        }
    }

    fn send_notification(&mut self, notification: &Notification) -> Result<(), End> {
        let topic = topics::inbox(&self.identity.username);
        let (qos, identifiers) = terms(self.granted.iter().filter(|g| g.filter.matches(&topic)));
        let properties = PublishProperties {
            utf8: true,
            content_type: Some("application/json".into()),
            user: vec![("seq".into(), notification.seq.to_string().into())],
            ..PublishProperties::default()
        };
        let sent = self.io.wire.publish(&Outgoing {
            topic: topic.as_str(),
            payload: &notification.payload,
            qos,
            retain: false,
            properties: &properties,
            identifiers: &identifiers,
        })?;
        let Some(inbox) = &mut self.inbox else {
            return Ok(());
        };
        match sent {
            Sent::TooLarge => {
                tracing::warn!(user = %self.identity.username, client_id = ?self.client_id, seq = notification.seq, "a notification is larger than the client takes");
                inbox.feed.withhold(notification.seq);
                return Ok(());
            }
            Sent::Qos1(packet_id) => {
                self.in_flight += 1;
                inbox.feed.sent(packet_id, notification.seq);
            }
            Sent::Qos0 => {}
        }
        self.ctx.metrics.notifications_sent.add(1);
        Ok(())
    }

    /// Sends one copy of a shared message, however many of the session's filters it matches: at the highest level granted,
    /// with all their identifiers (MQTT 5 section 3.3.4).
    fn send_shared(&mut self, delivery: &Delivery) -> Result<(), End> {
        let message = &delivery.message;
        let matching: Vec<&Granted> = self
            .granted
            .iter()
            .filter(|g| g.filter.matches(&message.topic))
            .filter(|g| !(g.no_local && message.origin == self.id))
            .collect();
        // A live copy comes for each matching filter; the one for the first is sent.
        let first = |g: &&Granted| g.filter.as_str() == &*delivery.filter;
        let due = delivery.retained || matching.first().is_some_and(first);
        if message.expired() || !due || matching.is_empty() {
            return Ok(());
        }
        let as_published = message.retain && matching.iter().any(|g| g.retain_as_published);
        let retain = delivery.retained || as_published;
        let (qos, identifiers) = terms(matching.into_iter());
        let sent = self.io.wire.publish(&Outgoing {
            topic: message.topic.as_str(),
            payload: &message.payload,
            qos: message.qos.min(qos),
            retain,
            properties: &message.properties_now(),
            identifiers: &identifiers,
        })?;
        if matches!(sent, Sent::Qos1(_)) {
            self.in_flight += 1;
        }
        Ok(())
    }

    /// PUBACK.
    pub(super) fn acknowledged(&mut self, packet_id: u16) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let moved = self
            .inbox
            .as_mut()
            .and_then(|inbox| inbox.feed.acknowledge(packet_id));
        if let Some(up_to) = moved {
            self.ctx.inbox.acknowledge(&self.identity, up_to);
        }
    }
}

/// The highest level granted, and all identifiers.
fn terms<'a>(matching: impl Iterator<Item = &'a Granted>) -> (Qos, Vec<NonZeroU32>) {
    let mut qos = Qos::AtMostOnce;
    let mut identifiers = vec![];
    for granted in matching {
        qos = qos.max(granted.qos);
        identifiers.extend(granted.identifier);
    }
    (qos, identifiers)
}
