//! Whatever a client sends, the wire does not panic, and what it makes of it does not depend on how the bytes arrive.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "the wire is private to the broker, so its files are compiled in here, and not all of it is used"
)]

#[path = "../../src/limits.rs"]
mod limits;
#[path = "../../src/wire/mod.rs"]
mod wire;

use libfuzzer_sys::fuzz_target;
use wire::{Closed, ConnackProperties, Incoming, PublishCode, SubackCode, UnsubackCode, Wire};

/// What came of some bytes.
#[derive(Debug, PartialEq)]
struct Outcome {
    packets: Vec<String>,
    output: Vec<u8>,
    end: Result<(), Closed>,
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(outcome(bytes, bytes.len()), outcome(bytes, 1));
});

/// What comes of `bytes` if they arrive in parts of `part` bytes.
fn outcome(bytes: &[u8], part: usize) -> Outcome {
    let mut wire = Wire::new(128 * 1024);
    let mut packets = vec![];
    let mut parts = bytes.chunks(part.max(1));
    let end = parts.try_for_each(|bytes| {
        wire.push(bytes);
        while wire.has_unread() {
            let Some(packet) = wire.next_packet()? else {
                break;
            };
            packets.push(format!("{packet:?}"));
            respond(&mut wire, packet)?;
        }
        Ok(())
    });
    let output = std::mem::take(wire.output());
    Outcome {
        packets,
        output,
        end,
    }
}

/// Responds as a session would that allows everything.
fn respond(wire: &mut Wire, packet: Incoming) -> Result<(), Closed> {
    match packet {
        Incoming::Connect(_) => wire.accept(ConnackProperties {
            receive_maximum: 32,
            ..ConnackProperties::default()
        }),
        Incoming::Publish(publish) => match publish.packet_id {
            Some(id) => wire.acknowledge(publish.qos, id, PublishCode::Success, ""),
            None => Ok(()),
        },
        Incoming::Pubrec { packet_id, .. } => wire.pubrel(packet_id, true),
        Incoming::Pubrel { packet_id } => wire.pubcomp(packet_id, true),
        Incoming::Subscribe(subscribe) => {
            let codes = vec![SubackCode::Granted1; subscribe.subscriptions.len()];
            wire.suback(subscribe.packet_id, &codes, None)
        }
        Incoming::Unsubscribe { packet_id, filters } => {
            wire.unsuback(packet_id, &vec![UnsubackCode::Success; filters.len()])
        }
        _ => Ok(()),
    }
}
