//! PUBACK, PUBREC, PUBREL and PUBCOMP.

use mqtt_protocol_core::mqtt::{
    packet::{v3_1_1, v5_0},
    result_code::{PubcompReasonCode, PubrelReasonCode},
};

use crate::wire::{
    Qos,
    connection::{Closed, Wire},
    reason::PublishCode,
};

impl Wire {
    /// Acknowledges a PUBLISH that came at `qos`: PUBACK, or PUBREC. In 3.1.1 it carries no code: a refused message is
    /// acknowledged and dropped.
    pub(crate) fn acknowledge(
        &mut self,
        qos: Qos,
        packet_id: u16,
        code: PublishCode,
        text: &str,
    ) -> Result<(), Closed> {
        self.unacknowledged.retain(|id| *id != packet_id);
        match (qos, self.is_v5()) {
            (Qos::ExactlyOnce, true) => self.pubrec_v5(packet_id, code, text),
            (Qos::ExactlyOnce, false) => {
                self.send(v3_1_1::Pubrec::builder().packet_id(packet_id).build())
            }
            (_, true) => self.puback_v5(packet_id, code, text),
            (_, false) => self.send(v3_1_1::Puback::builder().packet_id(packet_id).build()),
        }
    }

    fn puback_v5(&mut self, packet_id: u16, code: PublishCode, text: &str) -> Result<(), Closed> {
        let mut packet = v5_0::Puback::builder().packet_id(packet_id);
        if code != PublishCode::Success {
            let reason = self.reason_string(text);
            packet = packet.reason_code(code.puback()).props(reason);
        }
        self.send(packet.build())
    }

    fn pubrec_v5(&mut self, packet_id: u16, code: PublishCode, text: &str) -> Result<(), Closed> {
        let mut packet = v5_0::Pubrec::builder().packet_id(packet_id);
        if code != PublishCode::Success {
            let reason = self.reason_string(text);
            packet = packet.reason_code(code.pubrec()).props(reason);
        }
        self.send(packet.build())
    }

    /// PUBREL: follows a PUBREC, also one that came over an earlier connection. `known`: there was such a PUBLISH (MQTT 5
    /// section 3.6.2.1).
    pub(crate) fn pubrel(&mut self, packet_id: u16, known: bool) -> Result<(), Closed> {
        let sent = if self.is_v5() {
            let mut packet = v5_0::Pubrel::builder().packet_id(packet_id);
            if !known {
                packet = packet.reason_code(PubrelReasonCode::PacketIdentifierNotFound);
            }
            self.send_past_core(packet.build())
        } else {
            self.send_past_core(v3_1_1::Pubrel::builder().packet_id(packet_id).build())
        };
        sent.map(|_| ())
    }

    /// PUBCOMP: follows a PUBREL. `known`: there was such a PUBLISH.
    pub(crate) fn pubcomp(&mut self, packet_id: u16, known: bool) -> Result<(), Closed> {
        if !self.is_v5() {
            return self.send(v3_1_1::Pubcomp::builder().packet_id(packet_id).build());
        }
        let mut packet = v5_0::Pubcomp::builder().packet_id(packet_id);
        if !known {
            packet = packet.reason_code(PubcompReasonCode::PacketIdentifierNotFound);
        }
        self.send(packet.build())
    }
}
