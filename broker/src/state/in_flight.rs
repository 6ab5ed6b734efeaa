//! What was sent to the client at QoS 1 or 2 and is not done (MQTT 5 section 4.4).

use std::{collections::VecDeque, num::NonZeroU32};

use crate::{delivery::Delivery, wire::Qos};

/// A shared message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) delivery: Delivery,
    /// 1 or 2.
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) identifiers: Vec<NonZeroU32>,
}

/// What a packet identifier stands for.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// A notification of the inbox that the session follows: its payload stays there, and is read if it is sent again.
    Notification { seq: i64 },
    /// One of an inbox that it followed before, or one that was skipped: nothing hangs on it but the packet identifier, until
    /// the client acknowledges it or is gone (MQTT 5 section 2.2.1).
    Forgotten,
    /// A shared message.
    Message(Box<Sending>),
    /// A QoS 2 message that the client has: PUBREL is sent, PUBCOMP awaited.
    Released,
}

impl What {
    /// At which level it goes on; `None`: it was released.
    fn qos(&self) -> Option<Qos> {
        match self {
            Self::Notification { .. } | Self::Forgotten => Some(Qos::AtLeastOnce),
            Self::Message(sending) => Some(sending.qos),
            Self::Released => None,
        }
    }
}

#[derive(Debug)]
struct Packet {
    id: u16,
    /// On this connection.
    sent: bool,
    what: What,
}

/// An acknowledgement from the client (MQTT 5 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// PUBACK: the end of QoS 1.
    Puback,
    /// PUBREC: the client has a QoS 2 message, or does not want it, which is the end.
    Pubrec { refused: bool },
    /// PUBCOMP: the end of QoS 2.
    Pubcomp,
}

/// What comes of an [`Ack`].
#[derive(Debug)]
pub(crate) enum Acked {
    /// The client is done with this.
    Done(What),
    /// PUBREL is due.
    Released,
    /// It was for nothing that is under way: late, repeated, or wrong. The client may not be blamed, whose last connection may
    /// have ended in between.
    Unknown,
}

/// In the order in which it was sent.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    packets: VecDeque<Packet>,
    /// The packet identifier given last.
    last_id: u16,
}

impl InFlight {
    /// A packet identifier that is free; 0 for QoS 0, which has none. Not the lowest: one that was used a moment ago may still
    /// be acknowledged again.
    pub(crate) fn id_for(&mut self, qos: Qos) -> u16 {
        if qos == Qos::AtMostOnce {
            return 0;
        }
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            // Far fewer than there are identifiers are under way.
            if self.packets.iter().all(|p| p.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// `what` was sent under `id`.
    pub(crate) fn push(&mut self, id: u16, what: What) {
        self.packets.push_back(Packet {
            id,
            sent: true,
            what,
        });
    }

    /// All of them.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Packets that the client has been sent on this connection and has not acknowledged.
    pub(crate) fn under_way(&self) -> usize {
        self.packets.iter().filter(|p| p.sent).count()
    }

    /// `ack` has come for `id`. What was sent on an earlier connection may be acknowledged before it is sent again on this one.
    pub(crate) fn acknowledge(&mut self, id: u16, ack: Ack) -> Acked {
        let Some(packet) = self.packets.iter_mut().find(|p| p.id == id) else {
            return Acked::Unknown;
        };
        let qos = packet.what.qos();
        let is_done = match (ack, qos) {
            (Ack::Puback, Some(Qos::AtLeastOnce)) | (Ack::Pubcomp, None) => true,
            // Of a flow that was released before, the client repeats PUBREC: its PUBREL was lost.
            (Ack::Pubrec { refused }, Some(Qos::ExactlyOnce) | None) => refused,
            _ => return Acked::Unknown,
        };
        if is_done {
            return self.done(id).map_or(Acked::Unknown, Acked::Done);
        }
        packet.what = What::Released;
        packet.sent = true;
        Acked::Released
    }

    /// Nothing more is to come of `id`. Returns what it was for.
    pub(crate) fn done(&mut self, id: u16) -> Option<What> {
        let at = self.packets.iter().position(|p| p.id == id)?;
        let done = self.packets.remove(at).map(|p| p.what);
        if self.packets.is_empty() {
            // An idle session holds no buffer.
            self.packets = VecDeque::new();
        }
        done
    }

    /// The connection is gone.
    pub(crate) fn park(&mut self) {
        self.packets.retain(|p| !matches!(p.what, What::Forgotten));
        for packet in &mut self.packets {
            packet.sent = false;
        }
    }

    /// The session follows its inbox from another position, or not any more.
    pub(crate) fn forget_notifications(&mut self) {
        self.forget_notifications_to(i64::MAX);
    }

    /// The client is not to have the notifications up to `up_to`: those that it was sent may still be acknowledged, and none is
    /// sent again.
    pub(crate) fn forget_notifications_to(&mut self, up_to: i64) {
        for packet in &mut self.packets {
            if matches!(packet.what, What::Notification { seq } if seq <= up_to) {
                packet.what = What::Forgotten;
            }
        }
    }

    /// The numbers of the notifications.
    pub(crate) fn notifications(&self) -> impl Iterator<Item = i64> {
        self.packets.iter().filter_map(|p| match p.what {
            What::Notification { seq } => Some(seq),
            _ => None,
        })
    }

    /// What the messages take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let sizes = self.packets.iter().map(|p| match &p.what {
            What::Message(sending) => sending.delivery.message.size(),
            _ => 0,
        });
        sizes.sum()
    }

    /// The first that is to be sent again on this connection.
    pub(crate) fn first_unsent(&self) -> Option<(u16, What)> {
        let packet = self.packets.iter().find(|p| !p.sent)?;
        Some((packet.id, packet.what.clone()))
    }

    /// `id` was sent again.
    pub(crate) fn sent(&mut self, id: u16) {
        if let Some(packet) = self.packets.iter_mut().find(|p| p.id == id) {
            packet.sent = true;
        }
    }

    /// The packet identifiers of those that wait for PUBCOMP.
    pub(crate) fn released(&self) -> Vec<u16> {
        let released = self
            .packets
            .iter()
            .filter(|p| matches!(p.what, What::Released));
        released.map(|p| p.id).collect()
    }

    /// The QoS 1 messages that the client has not acknowledged; a QoS 2 message may not be given to anyone else (MQTT 5
    /// section 4.8.2).
    pub(crate) fn into_unacknowledged(self) -> impl Iterator<Item = Delivery> {
        self.packets.into_iter().filter_map(|p| match p.what {
            What::Message(sending) if sending.qos == Qos::AtLeastOnce => Some(sending.delivery),
            _ => None,
        })
    }
}
