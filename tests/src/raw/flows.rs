//! Packets that answer each other.

use super::{Connack, Connect, Message, Packet, Property, Publish, Raw, encode};

/// First bytes of the answers to PUBLISH.
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

impl Raw {
    /// Sends CONNECT.
    pub async fn send_connect(&mut self, connect: &Connect) {
        self.send(&self.encoded(connect)).await;
    }

    /// Sends CONNECT and returns the CONNACK.
    pub async fn connack(&mut self, connect: &Connect) -> Connack {
        self.send_connect(connect).await;
        match self.packet().await {
            Some(Packet::Connack(connack)) => connack,
            other => panic!("CONNACK expected: {other:?}"),
        }
    }

    /// Sends CONNECT and returns the code of the CONNACK.
    pub async fn login(&mut self, connect: &Connect) -> u8 {
        self.connack(connect).await.code
    }

    /// The first packet that `pick` takes; PUBLISHes that come before it are kept for [`message`](Self::message).
    async fn answer<T>(&mut self, what: &str, pick: impl Fn(&Packet) -> Option<T>) -> T {
        loop {
            let packet = self.packet().await;
            match (packet.as_ref().and_then(&pick), packet) {
                (Some(answer), _) => return answer,
                (None, Some(Packet::Publish(publish))) => self.early.push_back(publish),
                (None, other) => panic!("{what} expected: {other:?}"),
            }
        }
    }

    /// Subscribes at QoS 1 and returns the code.
    pub async fn subscribe(&mut self, filter: &str) -> u8 {
        self.subscribe_all(&[(filter, 1)], None).await[0]
    }

    /// Subscribes to a filter with these options, and returns the code.
    pub async fn subscribe_at(&mut self, filter: &str, options: u8) -> u8 {
        self.subscribe_all(&[(filter, options)], None).await[0]
    }

    /// Subscribes to filters with their options, optionally behind a notification, and returns the codes.
    pub async fn subscribe_all(&mut self, filters: &[(&str, u8)], after: Option<&str>) -> Vec<u8> {
        let after = after.map(|n| Property::user("after", n));
        self.subscribe_with(filters, after.as_slice()).await
    }

    /// Subscribes to filters with their options and with these properties, and returns the codes.
    pub async fn subscribe_with(&mut self, filters: &[(&str, u8)], with: &[Property]) -> Vec<u8> {
        self.subscribe_told(filters, with).await.0
    }

    /// The same, and the properties of SUBACK.
    pub async fn subscribe_told(
        &mut self,
        filters: &[(&str, u8)],
        with: &[Property],
    ) -> (Vec<u8>, Vec<Property>) {
        let sent = self.next_id();
        self.send(&encode::subscribe(self.version, sent, filters, with))
            .await;
        self.answer("SUBACK", |packet| match packet {
            Packet::Suback {
                id,
                codes,
                properties,
            } if *id == sent => Some((codes.clone(), properties.clone())),
            _ => None,
        })
        .await
    }

    /// Sends a SUBSCRIBE to one filter with these options, and does not wait.
    pub async fn send_subscribe(&mut self, id: u16, filter: &str, options: u8) {
        let filters = [(filter, options)];
        self.send(&encode::subscribe(self.version, id, &filters, &[]))
            .await;
    }

    /// Unsubscribes and returns the code; 0 in 3.1.1, which has none.
    pub async fn unsubscribe(&mut self, filter: &str) -> u8 {
        let sent = self.next_id();
        self.send(&encode::unsubscribe(self.version, sent, filter))
            .await;
        self.answer("UNSUBACK", |packet| match packet {
            Packet::Unsuback { id, codes } if *id == sent => {
                Some(codes.first().copied().unwrap_or(0))
            }
            _ => None,
        })
        .await
    }

    /// Publishes at QoS 1 and returns the code of the PUBACK.
    pub async fn publish(&mut self, topic: &str, payload: &str) -> u8 {
        self.deliver(&Message::new(topic, payload).qos(1)).await
    }

    /// Publishes at QoS 1 and does not wait. Returns the packet identifier.
    pub async fn publish_only(&mut self, topic: &str, payload: &str) -> u16 {
        let id = self.next_id();
        self.send_as(&Message::new(topic, payload).qos(1), id).await;
        id
    }

    /// Publishes at QoS 1 as far as the broker takes it: it may close the connection first.
    pub async fn publish_in_vain(&mut self, topic: &str, payload: &str) {
        let id = self.next_id();
        let message = Message::new(topic, payload).qos(1);
        let bytes = encode::publish(self.version, Some(id), &message);
        self.send_in_vain(&bytes).await;
    }

    /// Publishes at QoS 0, retained or not.
    pub async fn publish_at_most_once(&mut self, topic: &str, payload: &str, retain: bool) {
        let mut message = Message::new(topic, payload);
        message.retain = retain;
        self.deliver(&message).await;
    }

    /// Publishes a message and sees its flow to the end: the code of the PUBACK or PUBREC, 0 for QoS 0.
    pub async fn deliver(&mut self, message: &Message) -> u8 {
        self.deliver_explained(message).await.0
    }

    /// The same with the properties of the PUBACK or PUBREC.
    pub async fn deliver_explained(&mut self, message: &Message) -> (u8, Vec<Property>) {
        if message.qos == 0 {
            self.send(&encode::publish(self.version, None, message))
                .await;
            return (0, vec![]);
        }
        let id = self.next_id();
        self.send_as(message, id).await;
        if message.qos == 1 {
            return self.puback(id).await;
        }
        let (code, properties) = self.pubrec(id).await;
        if code < 0x80 {
            self.send_pubrel(id).await;
            assert_eq!(self.pubcomp(id).await, 0, "PUBCOMP");
        }
        (code, properties)
    }

    /// Sends a PUBLISH at QoS 1 or 2 under this packet identifier, and does not wait.
    pub async fn send_as(&mut self, message: &Message, id: u16) {
        self.send(&encode::publish(self.version, Some(id), message))
            .await;
    }

    /// Waits for this PUBACK: its code and properties.
    pub async fn puback(&mut self, sent: u16) -> (u8, Vec<Property>) {
        self.answer("PUBACK", |packet| match packet {
            Packet::Puback {
                id,
                code,
                properties,
            } if *id == sent => Some((*code, properties.clone())),
            _ => None,
        })
        .await
    }

    /// Waits for this PUBREC: its code and properties.
    pub async fn pubrec(&mut self, sent: u16) -> (u8, Vec<Property>) {
        self.answer("PUBREC", |packet| match packet {
            Packet::Pubrec {
                id,
                code,
                properties,
            } if *id == sent => Some((*code, properties.clone())),
            _ => None,
        })
        .await
    }

    /// Waits for this PUBCOMP: its code.
    pub async fn pubcomp(&mut self, sent: u16) -> u8 {
        self.answer("PUBCOMP", |packet| match packet {
            Packet::Pubcomp { id, code } if *id == sent => Some(*code),
            _ => None,
        })
        .await
    }

    /// Waits for this PUBREL.
    pub async fn pubrel(&mut self, sent: u16) {
        self.answer("PUBREL", |packet| match packet {
            Packet::Pubrel { id } if *id == sent => Some(()),
            _ => None,
        })
        .await;
    }

    /// Waits for the next PUBACK, which must be a success.
    pub async fn expect_puback(&mut self) -> u16 {
        match self.packet().await {
            Some(Packet::Puback { id, code: 0, .. }) => id,
            other => panic!("PUBACK expected: {other:?}"),
        }
    }

    /// The next message. It is not acknowledged.
    pub async fn message(&mut self) -> Publish {
        if let Some(publish) = self.early.pop_front() {
            return publish;
        }
        match self.packet().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("PUBLISH expected: {other:?}"),
        }
    }

    /// The next message, acknowledged to the end.
    pub async fn take(&mut self) -> Publish {
        let publish = self.message().await;
        self.finish(&publish).await;
        publish
    }

    /// The next message, acknowledged at QoS 1; `None` if the broker ends the connection instead.
    pub async fn take_unless_ended(&mut self) -> Option<Publish> {
        let publish = match self.packet().await {
            Some(Packet::Publish(publish)) => publish,
            Some(Packet::Disconnect { .. }) | None => return None,
            other => panic!("PUBLISH expected: {other:?}"),
        };
        if let Some(id) = publish.id {
            self.send_in_vain(&encode::puback(id)).await;
        }
        Some(publish)
    }

    /// Acknowledges a message to the end.
    pub async fn finish(&mut self, publish: &Publish) {
        match (publish.qos, publish.id) {
            (1, Some(id)) => self.acknowledge(id).await,
            (2, Some(id)) => {
                self.send_pubrec(id).await;
                self.pubrel(id).await;
                self.send_pubcomp(id).await;
            }
            _ => {}
        }
    }

    /// PUBACK.
    pub async fn acknowledge(&mut self, id: u16) {
        self.send(&encode::puback(id)).await;
    }

    /// PUBREC.
    pub async fn send_pubrec(&mut self, id: u16) {
        self.send(&encode::acknowledgement(PUBREC, id)).await;
    }

    /// PUBREL.
    pub async fn send_pubrel(&mut self, id: u16) {
        self.send(&encode::acknowledgement(PUBREL, id)).await;
    }

    /// PUBCOMP.
    pub async fn send_pubcomp(&mut self, id: u16) {
        self.send(&encode::acknowledgement(PUBCOMP, id)).await;
    }

    /// PINGREQ, and waits for the answer: the connection lives.
    pub async fn ping(&mut self) {
        self.send(&encode::packet(0xC0, &[])).await;
        self.answer("PINGRESP", |packet| {
            matches!(packet, Packet::Pingresp).then_some(())
        })
        .await;
    }

    /// All messages that the broker has for the client right now and may send, not acknowledged.
    pub async fn at_once(&mut self) -> Vec<Publish> {
        // What has come to the session by the first PINGREQ is sent before the second is answered.
        self.ping().await;
        self.ping().await;
        self.early.drain(..).collect()
    }
}
