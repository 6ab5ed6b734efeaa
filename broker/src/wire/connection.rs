//! The state of one connection's protocol, and the bytes that wait for its socket.

use std::time::Duration;

use mqtt_protocol_core::mqtt::{
    Connection, Version,
    connection::{ConnectionOptions, Event, TimerKind},
    packet::{GenericPacketTrait as _, Packet},
    result_code::MqttError,
    role,
};

use super::{
    decode::{self, with_bridge_options},
    incoming::Incoming,
    raw::items::ItemCounter,
    receive_buffer::ReceiveBuffer,
};
use crate::limits::{OUTBOUND_HIGH_WATER, TOPIC_ALIASES};

/// The connection is over: nothing more is read. What [`Wire::output`] holds may still be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed(
    /// What the client did wrong, for the log; `None` if the end was orderly.
    pub(crate) Option<MqttError>,
);

impl From<MqttError> for Closed {
    fn from(error: MqttError) -> Self {
        Self(Some(error))
    }
}

/// What became of a packet to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It waits for the socket.
    Sent,
    /// The client does not take packets so large.
    TooLarge,
}

/// One connection's protocol state.
pub(crate) struct Wire {
    pub(super) connection: Connection<role::Server>,
    pub(super) out: Vec<u8>,
    pub(super) received: ReceiveBuffer,
    keep_alive: Option<Duration>,
    /// MQTT 5: the client wants reason strings (section 3.1.2.11.7).
    pub(super) problem_information: bool,
    /// MQTT 5: the largest packet that the client takes (section 3.1.2.11.4).
    pub(super) peer_packet_bytes: u32,
    /// The largest packet that is taken.
    pub(super) packet_bytes: u32,
    /// The core has the beginning of a packet.
    pub(super) in_packet: bool,
    /// How many bytes of the packet the core has.
    pub(super) packet_received: usize,
    /// Counts what is in the packet, if it is large enough to have too much.
    pub(super) items: Option<Box<ItemCounter>>,
    /// The client is a mosquitto that bridges.
    pub(super) is_bridge: bool,
    /// QoS 2 PUBLISHes that are received and not acknowledged.
    pub(super) unacknowledged: Vec<u16>,
    /// MQTT 5: topics that have an alias on this connection, that of the first being 1.
    pub(super) aliases: Vec<Box<str>>,
    /// MQTT 5: the most aliases that are given.
    pub(super) topic_alias_maximum: u16,
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
            received: ReceiveBuffer::default(),
            keep_alive: None,
            problem_information: true,
            peer_packet_bytes: u32::MAX,
            packet_bytes,
            in_packet: false,
            packet_received: 0,
            items: None,
            is_bridge: false,
            unacknowledged: Vec::new(),
            aliases: Vec::new(),
            topic_alias_maximum: 0,
        }
    }

    /// Whether the client speaks MQTT 5.
    pub(crate) fn is_v5(&self) -> bool {
        self.connection.get_protocol_version() == Version::V5_0
    }

    /// How long the client may stay silent: one and a half times its keep-alive. `None`: for ever.
    pub(crate) fn keep_alive(&self) -> Option<Duration> {
        self.keep_alive
    }

    /// Ends the connection, as the keep-alive time has passed without a packet (MQTT 5 section 3.1.2.10).
    pub(crate) fn keep_alive_expired(&mut self) {
        let events = self.connection.notify_timer_fired(TimerKind::PingreqRecv);
        // The connection ends either way; what matters is the DISCONNECT now in `out`.
        let _ = self.process(events);
    }

    /// Bytes that wait for the socket.
    pub(crate) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// How many bytes wait for the socket.
    pub(crate) fn output_len(&self) -> usize {
        self.out.len()
    }

    /// Whether so much output waits that no more should be made.
    pub(crate) fn output_full(&self) -> bool {
        self.out.len() >= OUTBOUND_HIGH_WATER
    }

    /// Queues a packet. The core refuses what the connection's state does not allow; then nothing is queued.
    pub(super) fn send(
        &mut self,
        built: Result<impl Into<Packet>, MqttError>,
    ) -> Result<(), Closed> {
        let events = self.connection.send(built?.into());
        self.process(events).map(|_| ())
    }

    /// Queues a packet whose flow is the session's, not the core's. A packet larger than the client takes is left out, as MQTT 5
    /// section 3.1.2.11.4 asks.
    pub(super) fn send_past_core(
        &mut self,
        built: Result<impl Into<Packet>, MqttError>,
    ) -> Result<Sent, Closed> {
        let packet = built?.into();
        if packet.size() > self.peer_packet_bytes as usize {
            return Ok(Sent::TooLarge);
        }
        self.append(&packet);
        Ok(Sent::Sent)
    }

    pub(super) fn append(&mut self, packet: &Packet) {
        self.out.extend_from_slice(&packet.to_continuous_buffer());
    }

    /// Does what the core asks for, and returns the packet that it has received.
    pub(super) fn process(&mut self, events: Vec<Event>) -> Result<Option<Incoming>, Closed> {
        let mut incoming = None;
        let mut closed = None;
        let before = self.out.len();
        for event in events {
            match event {
                Event::NotifyPacketReceived(packet) => {
                    match decode::decode(packet, self.packet_received) {
                        Ok(packet) => incoming = Some(packet),
                        Err(e) => {
                            // The core may have acknowledged it.
                            self.out.truncate(before);
                            closed = Some(Closed(Some(e)));
                        }
                    }
                }
                Event::RequestSendPacket { packet, .. } => self.append(&packet),
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
        match &mut incoming {
            Some(Incoming::Subscribe(subscribe)) if self.is_bridge && !self.is_v5() => {
                with_bridge_options(subscribe);
            }
            Some(Incoming::Connect(connect)) => {
                self.problem_information = connect.problem_information;
                self.peer_packet_bytes = connect.maximum_packet_size;
                self.topic_alias_maximum = connect.topic_alias_maximum.min(TOPIC_ALIASES);
            }
            _ => {}
        }
        match closed {
            Some(closed) => Err(closed),
            None => Ok(incoming),
        }
    }
}
