//! DISCONNECT, which servers send in MQTT 5 only.

use mqtt_protocol_core::mqtt::{
    packet::v5_0,
    result_code::{DisconnectReasonCode, MqttError},
};

use crate::wire::{
    connection::{Closed, Wire},
    reason::Reason,
};

impl Wire {
    /// Ends the connection for `reason`.
    pub(crate) fn disconnect(&mut self, reason: Reason) {
        self.send_disconnect(reason.disconnect(), reason.text());
    }

    /// Ends the connection of a client that broke the protocol. The core refuses the DISCONNECT before CONNACK, and if it has sent
    /// one itself.
    pub(in crate::wire) fn broken(&mut self, error: MqttError) -> Closed {
        self.send_disconnect(error.into(), "");
        Closed(Some(error))
    }

    fn send_disconnect(&mut self, code: DisconnectReasonCode, text: &str) {
        if self.is_v5() {
            let mut packet = v5_0::Disconnect::builder().reason_code(code);
            let reason = self.reason_string(text);
            if !reason.is_empty() {
                packet = packet.props(reason);
            }
            let _ = self.send(packet.build());
        }
    }
}
