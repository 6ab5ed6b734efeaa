//! SUBACK and UNSUBACK.

use mqtt_protocol_core::mqtt::packet::{UserProperty, v3_1_1, v5_0};

use super::properties::property;
use crate::wire::{
    connection::{Closed, Wire},
    reason::{SubackCode, UnsubackCode},
};

impl Wire {
    /// SUBACK, one code a filter. `epoch`, for a client that asked for its inbox from a number on: the inbox's epoch, and why
    /// the inbox starts elsewhere, if it does.
    pub(crate) fn suback(
        &mut self,
        packet_id: u16,
        codes: &[SubackCode],
        epoch: Option<(&str, &str)>,
    ) -> Result<(), Closed> {
        if self.is_v5() {
            let (epoch, reason) = epoch.unzip();
            let epoch = epoch.filter(|_| self.problem_information);
            let mut props = self.reason_string(reason.unwrap_or_default());
            props.extend(epoch.and_then(|epoch| property(UserProperty::new("epoch", epoch))));
            let packet = v5_0::Suback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.iter().map(|c| c.v5()).collect())
                .props(props);
            self.send(packet.build())
        } else {
            let packet = v3_1_1::Suback::builder()
                .packet_id(packet_id)
                .return_codes(codes.iter().map(|c| c.v3()).collect());
            self.send(packet.build())
        }
    }

    /// UNSUBACK, one code a filter.
    pub(crate) fn unsuback(
        &mut self,
        packet_id: u16,
        codes: &[UnsubackCode],
    ) -> Result<(), Closed> {
        if self.is_v5() {
            let packet = v5_0::Unsuback::builder()
                .packet_id(packet_id)
                .reason_codes(codes.iter().map(|c| c.v5()).collect());
            self.send(packet.build())
        } else {
            self.send(v3_1_1::Unsuback::builder().packet_id(packet_id).build())
        }
    }
}
