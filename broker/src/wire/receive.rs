//! From bytes to packets.

use mqtt_protocol_core::mqtt::{
    Version, common::Cursor, connection::Event, packet::Packet, result_code::MqttError,
};

use super::{
    Qos,
    connection::{Closed, Wire},
    decode,
    incoming::Incoming,
    raw::{
        acks, alias_maximum, connect, connect::Protocol, filters, items::ItemCounter,
        length::variable, start::Start,
    },
};
use crate::limits::CONNECT_BYTES;

impl Wire {
    /// Takes bytes that the client sent, for [`next_packet`](Self::next_packet) to parse.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.received.push(bytes);
    }

    /// Whether there are bytes that are not parsed yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.received.unparsed().is_empty()
    }

    /// Parses the next packet; `None` if it is not whole.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Incoming>, Closed> {
        let received = std::mem::take(&mut self.received);
        let mut input = Cursor::new(received.unparsed());
        let packet = self.receive(&mut input);
        let parsed = input.position() as usize;
        self.received = received.advance(parsed);
        packet
    }

    /// How many bytes have arrived of a packet that is not whole, if no whole one waits.
    pub(crate) fn arrived(&self) -> usize {
        self.packet_received + self.received.unparsed().len()
    }

    /// Reads one packet from `input` and advances it; `None` if it is not whole.
    fn receive(&mut self, input: &mut Cursor<&[u8]>) -> Result<Option<Incoming>, Closed> {
        let bytes = input.remaining_slice();
        if self.in_packet {
            self.count(bytes)?;
            return self.receive_any(input);
        }
        let start = if self.connection.get_protocol_version() == Version::Undetermined {
            Start::of_first(bytes, self.packet_bytes.min(CONNECT_BYTES))
        } else {
            Start::of_next(bytes, self.packet_bytes)
        };
        match start {
            Start::Any => {
                // The core refuses a length of five bytes.
                if variable(&bytes[1..]).is_none() && bytes.len() <= 4 {
                    return Ok(None);
                }
                self.count_from_start(bytes)?;
                self.receive_any(input)
            }
            Start::Incomplete => Ok(None),
            Start::Malformed => Err(self.broken(MqttError::MalformedPacket)),
            Start::SecondConnect => Err(self.broken(MqttError::ProtocolError)),
            Start::Connect(length) => self.receive_connect(input, length),
            Start::Filters(length) => self.receive_filters(input, length),
            Start::Acknowledgement(length) => self.receive_acknowledgement(input, length).map(Some),
        }
    }

    /// Counts the items in the first bytes of a packet.
    fn count_from_start(&mut self, packet: &[u8]) -> Result<(), Closed> {
        let Some((remaining, header)) = variable(&packet[1..]) else {
            return Ok(());
        };
        self.items = ItemCounter::new(packet[0], remaining, self.is_v5());
        self.count(&packet[1 + header..])
    }

    /// Counts the items in the next bytes of the packet.
    fn count(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        match &mut self.items {
            Some(items) => items.count(bytes).map_err(|e| self.broken(e)),
            None => Ok(()),
        }
    }

    fn receive_any(&mut self, input: &mut Cursor<&[u8]>) -> Result<Option<Incoming>, Closed> {
        self.feed(input).map_err(|closed| match closed {
            Closed(Some(e)) => self.broken(e),
            orderly => orderly,
        })
    }

    /// Reads the SUBSCRIBE or UNSUBSCRIBE that is the next `length` bytes.
    fn receive_filters(
        &mut self,
        input: &mut Cursor<&[u8]>,
        length: usize,
    ) -> Result<Option<Incoming>, Closed> {
        let packet = &input.remaining_slice()[..length];
        self.count_from_start(packet)?;
        if !self.is_v5() {
            return self.receive_any(input);
        }
        if !filters::has_minimal_lengths(packet) {
            return Err(self.broken(MqttError::MalformedPacket));
        }
        let Some(changed) = filters::without_malformed_shares(packet) else {
            return self.receive_any(input);
        };
        input.set_position(input.position() + length as u64);
        self.receive_any(&mut Cursor::new(&changed))
    }

    /// Reads the CONNECT that is the next `length` bytes.
    fn receive_connect(
        &mut self,
        input: &mut Cursor<&[u8]>,
        length: usize,
    ) -> Result<Option<Incoming>, Closed> {
        let start = input.position();
        let mut connect = input.remaining_slice()[..length].to_vec();
        match Protocol::of(&connect) {
            Protocol::Supported => {}
            Protocol::Bridge => {
                self.is_bridge = true;
                connect = connect::without_bridge(&connect);
            }
            other => return Err(self.refuse_protocol(other)),
        }
        if !connect::has_valid_flags(&connect) || !connect::has_minimal_lengths(&connect) {
            return Err(self.broken(MqttError::MalformedPacket));
        }
        connect::check_items(&connect).map_err(|e| self.broken(e))?;
        let changed = alias_maximum::without_0(&connect);
        let received = self.feed(&mut Cursor::new(changed.as_deref().unwrap_or(&connect)));
        input.set_position(start + length as u64);
        if changed.is_some() {
            self.topic_alias_maximum = 0;
        }
        received.map_err(|closed| match closed {
            Closed(Some(e)) => self.refuse_malformed(&connect, e),
            orderly => orderly,
        })
    }

    /// Reads the PUBACK, PUBREC or PUBCOMP that is the next `length` bytes.
    fn receive_acknowledgement(
        &mut self,
        input: &mut Cursor<&[u8]>,
        length: usize,
    ) -> Result<Incoming, Closed> {
        let start = input.position();
        let packet = &input.remaining_slice()[..length];
        self.count_from_start(packet)?;
        self.items = None;
        let packet = acks::parse(packet, self.is_v5());
        input.set_position(start + length as u64);
        packet
            .and_then(|packet| decode::decode(packet, length))
            .map_err(|e| self.broken(e))
    }

    /// Hands `input` to the core, up to the end of a packet, and does what the core asks for.
    fn feed(&mut self, input: &mut Cursor<&[u8]>) -> Result<Option<Incoming>, Closed> {
        let start = input.position();
        let mut events = self.connection.recv(input);
        self.packet_received += (input.position() - start) as usize;
        // Every packet, once complete, makes at least one event.
        self.in_packet = events.is_empty();
        let complete = !self.in_packet;
        // The core acknowledges a repeated QoS 2 PUBLISH even if the session has not acknowledged the first one.
        events.retain(|event| !self.acknowledges_early(event));
        let received = self.process(events)?;
        if complete {
            self.packet_received = 0;
            self.items = None;
        }
        if let Some(Incoming::Publish(p)) = &received
            && p.qos == Qos::ExactlyOnce
        {
            self.unacknowledged.extend(p.packet_id);
        }
        Ok(received.or(complete.then_some(Incoming::Repeated)))
    }

    /// Whether `event` is the PUBREC of a PUBLISH that the session has not acknowledged.
    fn acknowledges_early(&self, event: &Event) -> bool {
        let packet_id = match event {
            Event::RequestSendPacket { packet, .. } => match packet {
                Packet::V3_1_1Pubrec(p) => p.packet_id(),
                Packet::V5_0Pubrec(p) => p.packet_id(),
                _ => return false,
            },
            _ => return false,
        };
        self.unacknowledged.contains(&packet_id)
    }
}
