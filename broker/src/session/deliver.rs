//! What goes to the client, and its acknowledgements.

use std::num::NonZeroU32;

use tokio::time::Instant;

use super::{connected::Session, end::End, rights::may_receive};
use crate::{
    delivery::Delivery,
    state::{Ack, Acked, Granted, Sending, What},
    wire::{Outgoing, Qos, Reason, Sent},
};

/// Retained messages taken at once.
const REPLAY_PART: usize = 32;

impl Session {
    /// Sends all that may be sent now; first what an earlier connection left unfinished. `true`: there is more to do at once,
    /// after others have had their turn.
    pub(super) fn deliver(&mut self) -> Result<bool, End> {
        if !self.send_again()? {
            return Ok(false);
        }
        self.deliver_inbox()?;
        if !self.ctx.standing.is_current() {
            return Ok(false);
        }
        self.deliver_shared()?;
        if self.may_send() && self.state.shared.is_empty() {
            // What stayed in the mailbox while there was no room.
            self.take_mail()?;
            self.deliver_inbox()?;
            self.deliver_shared()?;
        }
        if !self.may_send() || !self.state.shared.is_empty() || self.state.replays.is_empty() {
            return Ok(false);
        }
        self.replay();
        Ok(true)
    }

    /// Sends what is in flight and was not sent on this connection. `false`: the rest has to wait.
    fn send_again(&mut self) -> Result<bool, End> {
        while let Some((id, what)) = self.state.in_flight.first_unsent() {
            if !self.may_send() {
                return Ok(false);
            }
            match what {
                What::Notification { seq } => {
                    if !self.send_notification_again(id, seq)? {
                        return Ok(false);
                    }
                }
                What::Message(_) if !self.ctx.standing.is_current() => return Ok(false),
                What::Message(sending) if self.may_still_have(&sending) => {
                    self.send_message(*sending, Some(id))?;
                }
                What::Message(sending) => {
                    self.state.in_flight.done(id);
                    self.guard.give_up(*sending);
                }
                // PUBREL was sent right after CONNACK.
                What::Released | What::Forgotten => {
                    self.state.in_flight.done(id);
                }
            }
        }
        Ok(true)
    }

    /// Whether the client may still have a message that it was sent before.
    fn may_still_have(&self, sending: &Sending) -> bool {
        may_receive(&self.ctx, &self.client, &sending.delivery.message.topic)
    }

    /// Sends what is waiting.
    fn deliver_shared(&mut self) -> Result<(), End> {
        while self.may_send() && self.state.in_flight.bytes() < self.ctx.limits.queued_bytes {
            let Some(delivery) = self.state.shared.pop_front() else {
                break;
            };
            self.send_shared(delivery)?;
        }
        Ok(())
    }

    /// Takes the next retained messages of the first replay, or ends it.
    fn replay(&mut self) {
        let Some(replay) = self.state.replays.front_mut() else {
            return;
        };
        let after = replay.after.as_deref();
        let part = self.ctx.bus.retained(&replay.filter, after, REPLAY_PART);
        let Some(end) = part.last() else {
            self.state.replays.pop_front();
            return;
        };
        replay.after = Some(end.topic.as_str().to_owned());
        let (subscription, last) = (replay.subscription, replay.last);
        let mut all = self.state.granted.iter();
        let no_local = all.any(|g| g.key == subscription && g.no_local);
        let id = self.state.id;
        let wanted = part
            .into_iter()
            .filter(|m| m.seq <= last && !(no_local && m.origin == id))
            .map(|message| Delivery::retained(message, subscription));
        self.state.shared.extend(wanted);
    }

    /// Takes what others left for the session.
    pub(super) fn take_mail(&mut self) -> Result<(), End> {
        let mail = self.guard.mailbox.take(!self.state.shared.is_empty());
        self.state.shared.extend(mail.shared);
        self.state.held.add(mail.held);
        if let Some(feed) = &mut self.state.inbox {
            for fresh in mail.fresh {
                feed.offer(fresh);
            }
            if mail.missed {
                feed.missed();
            }
            // Behind the fresh ones, which it may be one of.
            feed.reaches(mail.newest);
        }
        self.skip_notifications(mail.skip);
        if let Some(reason) = mail.stop {
            return Err(End::Server(reason));
        }
        if mail.is_taken_over {
            return Err(End::Server(Reason::TakenOver));
        }
        if mail.recheck {
            self.recheck()?;
        }
        Ok(())
    }

    /// There is room in the output buffer, and in the client's receive maximum.
    pub(super) fn may_send(&mut self) -> bool {
        self.state.in_flight.under_way() < self.window && !self.wire.output_full()
    }

    /// Sends one copy of a shared message, however many of the session's subscriptions it comes for: at the highest level
    /// granted, with all their identifiers (MQTT 5 section 3.3.4). None, if all of them have ended meanwhile.
    fn send_shared(&mut self, delivery: Delivery) -> Result<(), End> {
        let message = &delivery.message;
        if message.expired() {
            return Ok(());
        }
        let all = self.state.granted.iter();
        let matching = all.filter(|g| delivery.is_for(g.key));
        if matching.clone().next().is_none() {
            return Ok(());
        }
        let as_published = message.retain && matching.clone().any(|g| g.retain_as_published);
        let retain = delivery.retained || as_published;
        let (qos, identifiers) = terms(matching);
        let qos = message.qos.min(qos);
        let sending = Sending {
            delivery,
            qos,
            retain,
            identifiers,
        };
        self.send_message(sending, None)
    }

    /// Sends a shared message; `again` with the packet identifier that it had on an earlier connection.
    fn send_message(&mut self, sending: Sending, again: Option<u16>) -> Result<(), End> {
        let message = &sending.delivery.message;
        let packet_id = again.unwrap_or_else(|| self.state.in_flight.id_for(sending.qos));
        let sent = self.wire.publish(&Outgoing {
            topic: message.topic.as_str(),
            payload: &message.payload,
            qos: sending.qos,
            retain: sending.retain,
            properties: &message.properties_now(),
            identifiers: &sending.identifiers,
            packet_id,
            dup: again.is_some(),
        })?;
        match sent {
            Sent::TooLarge => {
                // As if it had been sent (MQTT 5 section 3.1.2.11.4).
                self.state.in_flight.done(packet_id);
                return Ok(());
            }
            Sent::Sent if again.is_some() => self.state.in_flight.sent(packet_id),
            Sent::Sent if sending.qos == Qos::AtMostOnce => {}
            Sent::Sent => {
                let what = What::Message(Box::new(sending));
                self.state.in_flight.push(packet_id, what);
            }
        }
        self.ctx.metrics.publishes_sent.add(1);
        Ok(())
    }

    /// PUBACK, PUBREC or PUBCOMP, also one that is late, repeated or of nothing.
    pub(super) fn acknowledged(&mut self, packet_id: u16, ack: Ack) -> Result<(), End> {
        match self.state.in_flight.acknowledge(packet_id, ack) {
            Acked::Done(What::Notification { seq }) => self.notification_done(seq),
            Acked::Done(_) => {}
            Acked::Released => self.wire.pubrel(packet_id, true)?,
            Acked::Unknown => {
                self.rate_limit.count_control(1, Instant::now());
                if ack == (Ack::Pubrec { refused: false }) {
                    // So that the client, too, is done with it (MQTT 5 section 4.3.3).
                    self.wire.pubrel(packet_id, false)?;
                }
            }
        }
        Ok(())
    }
}

/// The highest level granted, and all identifiers.
pub(super) fn terms<'a>(matching: impl Iterator<Item = &'a Granted>) -> (Qos, Vec<NonZeroU32>) {
    let mut qos = Qos::AtMostOnce;
    let mut identifiers = vec![];
    for granted in matching {
        qos = qos.max(granted.qos);
        identifiers.extend(granted.identifier);
    }
    (qos, identifiers)
}
