//! One client's end of the protocol, the same for MQTT 3.1.1 and 5.
//!
//! [`Wire`] turns received bytes into [`Incoming`] packets and answers into bytes to send. All differences between the
//! two versions end here. Parsing, keep-alive and what is received at QoS 2 are `mqtt-protocol-core`'s; what is sent at QoS 1
//! and 2, and its packet identifiers, are the session's.

mod acks;
mod check;
mod connect;
mod decode;
mod encode;
mod filters;
mod items;
mod reason;
mod strict;
mod unread;

use std::{sync::Arc, time::Duration};

use mqtt_protocol_core::mqtt::{
    Connection, Version,
    common::Cursor,
    connection::{ConnectionOptions, Event, TimerKind},
    packet::Packet,
    result_code::MqttError,
    role,
};

use crate::limits::{CONNECT_BYTES, OUTBOUND_HIGH_WATER, TOPIC_ALIASES};

use check::Start;
use connect::Speaks;
pub(crate) use decode::{
    Connect, Incoming, Publish, PublishProperties, RetainHandling, Subscribe, Subscription, Will,
};
pub(crate) use encode::{ConnackProperties, Outgoing, Sent};
use items::Items;
pub(crate) use reason::{PublishCode, Reason, SubackCode, UnsubackCode};
use unread::Unread;

/// Quality of service.
pub(crate) use mqtt_protocol_core::mqtt::packet::Qos;

/// The connection is over: nothing more is read. What [`Wire::output`] holds may still be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed(
    /// What the client did wrong, for the log; `None` when the end was orderly.
    pub(crate) Option<MqttError>,
);

/// One connection's protocol state.
pub(crate) struct Wire {
    connection: Connection<role::Server>,
    out: Vec<u8>,
    unread: Unread,
    keep_alive: Option<Duration>,
    /// MQTT 5: the client wants reason strings (section 3.1.2.11.7).
    problem_information: bool,
    /// MQTT 5: the largest packet that the client takes (section 3.1.2.11.4).
    peer_packet_bytes: u32,
    /// The largest packet that is taken.
    packet_bytes: u32,
    /// The next byte is not the first of a packet.
    in_packet: bool,
    /// How many bytes of it there were.
    received: usize,
    /// What it has of what costs most, if it may have too much of it.
    items: Option<Box<Items>>,
    /// The client is a mosquitto that bridges.
    is_bridge: bool,
    /// QoS 2 PUBLISHes received and not answered yet.
    unanswered: Vec<u16>,
    /// MQTT 5: topics that have an alias on this connection, that of the first being 1.
    aliases: Vec<Box<str>>,
    /// MQTT 5: how many aliases are given.
    topic_alias_maximum: u16,
}

impl Wire {
    /// A connection that waits for CONNECT and takes packets of up to `packet_bytes`.
    pub(crate) fn new(packet_bytes: u32) -> Self {
        let options = ConnectionOptions::new().maximum_packet_size_recv(packet_bytes);
        let mut connection = Connection::with_options(Version::Undetermined, options);
        connection.set_auto_ping_response(true);
        Self {
            connection,
            out: Vec::new(),
            unread: Unread::default(),
            keep_alive: None,
            problem_information: true,
            peer_packet_bytes: u32::MAX,
            packet_bytes,
            in_packet: false,
            received: 0,
            items: None,
            is_bridge: false,
            unanswered: Vec::new(),
            aliases: Vec::new(),
            topic_alias_maximum: 0,
        }
    }

    /// Takes bytes that the client sent, to be parsed when [`next_packet`](Self::next_packet) asks.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.unread.push(bytes);
    }

    /// Whether there are bytes that are not parsed yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.bytes().is_empty()
    }

    /// Parses the next packet; `None` if it is not whole.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Incoming>, Closed> {
        let unread = std::mem::take(&mut self.unread);
        let mut cursor = Cursor::new(unread.bytes());
        let packet = self.receive(&mut cursor);
        let parsed = cursor.position() as usize;
        self.unread = unread.behind(parsed);
        packet
    }

    /// How many bytes there are of a packet that is not whole, as nothing that is could be handled.
    pub(crate) fn arrived(&self) -> usize {
        self.received + self.unread.bytes().len()
    }

    /// Reads one packet from `input`, moving it on. `None`: the packet is not complete. What was not taken is to be given
    /// again, with what follows.
    pub(crate) fn receive(
        &mut self,
        input: &mut Cursor<&[u8]>,
    ) -> Result<Option<Incoming>, Closed> {
        if !self.in_packet {
            let bytes = input.remaining_slice();
            let start = if self.connection.get_protocol_version() == Version::Undetermined {
                check::first(bytes, self.packet_bytes.min(CONNECT_BYTES))
            } else {
                check::start(bytes, self.packet_bytes)
            };
            match start {
                Start::Good => match connect::variable(&bytes[1..]) {
                    Some((remaining, header)) => {
                        self.items = Items::of(bytes[0], remaining, self.is_v5());
                        self.count(&bytes[1 + header..])?;
                    }
                    None if bytes.len() <= 4 => return Ok(None),
                    // The core's to refuse.
                    None => {}
                },
                Start::Short => return Ok(None),
                Start::Bad => return Err(self.broken(MqttError::MalformedPacket)),
                Start::Again => return Err(self.broken(MqttError::ProtocolError)),
                Start::Connect(length) => return self.receive_connect(input, length),
                Start::Filters(length) => return self.receive_filters(input, length),
                Start::Acknowledgement(length) => {
                    return self.receive_acknowledgement(input, length).map(Some);
                }
            }
        } else {
            self.count(input.remaining_slice())?;
        }
        self.receive_any(input)
    }

    /// Counts what there is in the bytes of the packet that the core is to see next.
    fn count(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        let counted = self.items.as_mut().map_or(Ok(()), |items| items.see(bytes));
        counted.map_err(|e| self.broken(e))
    }

    /// The same of all of a packet.
    fn count_whole(&mut self, packet: &[u8]) -> Result<(), Closed> {
        let Some((remaining, header)) = connect::variable(&packet[1..]) else {
            return Ok(());
        };
        self.items = Items::of(packet[0], remaining, self.is_v5());
        self.count(&packet[1 + header..])?;
        self.items = None;
        Ok(())
    }

    fn receive_any(&mut self, input: &mut Cursor<&[u8]>) -> Result<Option<Incoming>, Closed> {
        let received = self.feed(input);
        received.map_err(|closed| match closed {
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
        self.count_whole(packet)?;
        if !self.is_v5() {
            return self.receive_any(input);
        }
        if !filters::has_short_lengths(packet) {
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
        match connect::speaks(&connect) {
            Speaks::Known => {}
            Speaks::KnownBridge => {
                self.is_bridge = true;
                connect = connect::without_bridge(&connect);
            }
            speaks => return Err(self.refuse_version(speaks)),
        }
        if !connect::has_valid_flags(&connect) || !connect::has_short_lengths(&connect) {
            return Err(self.broken(MqttError::MalformedPacket));
        }
        connect::count(&connect).map_err(|e| self.broken(e))?;
        let changed = connect::without_alias_maximum_0(&connect);
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
        self.count_whole(&input.remaining_slice()[..length])?;
        let packet = acks::parse(&input.remaining_slice()[..length], self.is_v5());
        input.set_position(start + length as u64);
        packet
            .and_then(|packet| decode::incoming(packet, length))
            .map_err(|e| self.broken(e))
    }

    /// Hands `input` to the core, and does what it says.
    fn feed(&mut self, input: &mut Cursor<&[u8]>) -> Result<Option<Incoming>, Closed> {
        let start = input.position();
        let mut events = self.connection.recv(input);
        self.received += (input.position() - start) as usize;
        // Every packet, once complete, makes at least one event.
        self.in_packet = events.is_empty();
        let complete = !self.in_packet;
        // The core answers a repeated QoS 2 PUBLISH by itself, even if the first has not been answered yet: too early.
        events.retain(|e| !self.answers_early(e));
        let received = self.process(events)?;
        if complete {
            self.received = 0;
            self.items = None;
        }
        if let Some(Incoming::Publish(p)) = &received
            && p.qos == Qos::ExactlyOnce
        {
            self.unanswered.extend(p.packet_id);
        }
        Ok(received.or(complete.then_some(Incoming::Repeated)))
    }

    /// Whether `event` is the PUBREC of a PUBLISH that is being answered.
    fn answers_early(&self, event: &Event) -> bool {
        let packet_id = match event {
            Event::RequestSendPacket { packet, .. } => match packet {
                Packet::V3_1_1Pubrec(p) => p.packet_id(),
                Packet::V5_0Pubrec(p) => p.packet_id(),
                _ => return false,
            },
            _ => return false,
        };
        self.unanswered.contains(&packet_id)
    }

    /// The keep-alive time has passed without a packet (MQTT 5 section 3.1.2.10).
    pub(crate) fn keep_alive_expired(&mut self) {
        let events = self.connection.notify_timer_fired(TimerKind::PingreqRecv);
        // The connection ends either way; what matters is the DISCONNECT now in `out`.
        let _ = self.process(events);
    }

    /// How long the client may stay silent: one and a half times its keep-alive. `None`: for ever.
    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// Bytes that wait for the socket.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How many bytes wait for the socket.
    pub(crate) fn output_len(&self) -> usize {
        self.out.len()
    }

    /// So much output waits that no more should be made.
    pub(crate) fn output_full(&self) -> bool {
        self.out.len() >= OUTBOUND_HIGH_WATER
    }

    /// Whether the client speaks MQTT 5.
    pub(crate) fn is_v5(&self) -> bool {
        self.connection.get_protocol_version() == Version::V5_0
    }

    fn process(&mut self, events: Vec<Event>) -> Result<Option<Incoming>, Closed> {
        let mut incoming = None;
        let mut closed = None;
        let before = self.out.len();
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => {
                    match decode::incoming(packet, self.received) {
                        Ok(packet) => incoming = Some(packet),
                        Err(e) => {
                            // The core may have answered it.
                            self.out.truncate(before);
                            closed = Some(Closed(Some(e)));
                        }
                    }
                }
                Event::RequestSendPacket { packet, .. } => encode::append(&packet, &mut self.out),
                Event::RequestTimerReset { duration_ms, .. } => {
                    self.keep_alive = Some(Duration::from_millis(duration_ms));
                }
                Event::RequestTimerCancel(_) => self.keep_alive = None,
                Event::NotifyError(e) => closed = Some(Closed(Some(e))),
                Event::RequestClose => {
                    closed.get_or_insert(Closed(None));
                }
                Event::NotifyPacketIdReleased(_) => {}
            }
        }
        if self.is_bridge && !self.is_v5() {
            decode::as_bridge(&mut incoming);
        }
        if let Some(Incoming::Connect(connect)) = &incoming {
            self.problem_information = connect.problem_information;
            self.peer_packet_bytes = connect.maximum_packet_size;
            self.topic_alias_maximum = connect.topic_alias_maximum.min(TOPIC_ALIASES);
        }
        match closed {
            Some(closed) => Err(closed),
            None => Ok(incoming),
        }
    }
}

/// User properties (MQTT 5 section 3.3.2.3.7), in order.
pub(crate) type UserProperties = Vec<(Arc<str>, Arc<str>)>;
