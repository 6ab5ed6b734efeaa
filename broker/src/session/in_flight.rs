//! What was sent to the client at QoS 1 or 2 and is not done (MQTT 5 section 4.4).

use std::{collections::VecDeque, num::NonZeroU32};

use bytes::Bytes;

use crate::{mailbox::Delivery, wire::Qos};

/// A shared message on its way.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    pub(super) delivery: Delivery,
    /// 1 or 2.
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<NonZeroU32>,
}

/// What a packet identifier stands for.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A notification; its payload only if the session may outlive its connection.
    Notification { seq: i64, payload: Option<Bytes> },
    /// A shared message.
    Message(Box<Sending>),
    /// A QoS 2 message that the client has: PUBREL is sent, PUBCOMP awaited.
    Released,
}

#[derive(Debug)]
struct Packet {
    id: u16,
    /// On this connection.
    sent: bool,
    what: What,
}

/// In the order in which it was sent.
#[derive(Debug, Default)]
pub(super) struct InFlight(VecDeque<Packet>);

impl InFlight {
    /// `what` was sent under `id`.
    pub(super) fn push(&mut self, id: u16, what: What) {
        self.0.push_back(Packet {
            id,
            sent: true,
            what,
        });
    }

    /// All of them.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Packets that the client has been sent on this connection and has not acknowledged.
    pub(super) fn under_way(&self) -> usize {
        self.0.iter().filter(|p| p.sent).count()
    }

    /// The last acknowledgement has come. Answers what it was for.
    pub(super) fn done(&mut self, id: u16) -> Option<What> {
        let at = self.0.iter().position(|p| p.id == id)?;
        let done = self.0.remove(at).map(|p| p.what);
        if self.0.is_empty() {
            // An idle session holds no buffer.
            self.0 = VecDeque::new();
        }
        done
    }

    /// PUBREC has come. Answers whether a PUBREL is due.
    pub(super) fn release(&mut self, id: u16) -> bool {
        let packet = self.0.iter_mut().find(|p| p.id == id);
        packet.is_some_and(|p| {
            p.what = What::Released;
            true
        })
    }

    /// The connection is gone.
    pub(super) fn park(&mut self) {
        for packet in &mut self.0 {
            packet.sent = false;
        }
    }

    /// The first that is to be sent again on this connection.
    pub(super) fn first_unsent(&self) -> Option<(u16, What)> {
        let packet = self.0.iter().find(|p| !p.sent)?;
        Some((packet.id, packet.what.clone()))
    }

    /// `id` was sent again.
    pub(super) fn sent(&mut self, id: u16) {
        if let Some(packet) = self.0.iter_mut().find(|p| p.id == id) {
            packet.sent = true;
        }
    }

    /// All packet identifiers.
    pub(super) fn ids(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|p| p.id)
    }

    /// The packet identifiers of those that wait for PUBCOMP.
    pub(super) fn released(&self) -> Vec<u16> {
        let released = self.0.iter().filter(|p| matches!(p.what, What::Released));
        released.map(|p| p.id).collect()
    }

    /// The QoS 1 messages that the client has not acknowledged; a QoS 2 message may not be given to anyone else (MQTT 5
    /// section 4.8.2).
    pub(super) fn into_unacknowledged(self) -> impl Iterator<Item = Delivery> {
        self.0.into_iter().filter_map(|p| match p.what {
            What::Message(sending) if sending.qos == Qos::AtLeastOnce => Some(sending.delivery),
            _ => None,
        })
    }
}
