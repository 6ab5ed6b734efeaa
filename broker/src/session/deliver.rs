//! What goes to the client: its inbox, and shared messages.

use std::num::NonZeroU32;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{End, Granted, Session};
use crate::{
    feed::Next,
    host::{HostError, Notification},
    limits::RECEIVE_MAXIMUM,
    mailbox::Delivery,
    topics,
    wire::{Outgoing, PublishProperties, Qos, Reason},
};

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Sends all that may be sent now.
    pub(super) async fn deliver(&mut self) -> Result<(), End> {
        self.deliver_inbox()?;
        while self.may_send()
            && let Some(delivery) = self.shared.pop_front()
        {
            self.send_shared(&delivery)?;
        }
        if self.may_send() && self.shared.is_empty() {
            // What stayed in the mailbox while there was no room.
            self.take_mail()?;
            self.deliver_inbox()?;
            while self.may_send()
                && let Some(delivery) = self.shared.pop_front()
            {
                self.send_shared(&delivery)?;
            }
        }
        Ok(())
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
        let window = self.in_flight < RECEIVE_MAXIMUM.into() && self.io.wire.vacancy() != Some(0);
        window && !self.io.output_full()
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
                    inbox.reading = Some(read.map(move |batch| (batch, limit)).boxed());
                    return Ok(());
                }
                Next::Wait => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn read_done(
        &mut self,
        batch: Result<Vec<Notification>, HostError>,
        limit: usize,
    ) -> Result<(), End> {
        let Some(inbox) = &mut self.inbox else {
            return Ok(());
        };
        inbox.reading = None;
        match batch {
            Ok(batch) => {
                inbox.feed.read_done(batch, limit);
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
        self.ctx.metrics.notifications_sent.add(1);
        if let Some(packet_id) = sent {
            self.in_flight += 1;
            if let Some(inbox) = &mut self.inbox {
                inbox.feed.sent(packet_id, notification.seq);
            }
        }
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
        if sent.is_some() {
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
