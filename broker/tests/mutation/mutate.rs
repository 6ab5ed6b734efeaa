//! Damage to streams of packets, made by chance from a seed.

use rand::{Rng as _, seq::IndexedRandom as _};

use crate::{common::encode::var, corpus::Packets};

/// Random numbers that a seed determines.
pub(crate) type Chance = rand::rngs::StdRng;

/// Values that stand at the edge of something: lengths, flags, packet types, UTF-8.
const EDGES: [u8; 20] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x0B, 0x10, 0x23, 0x26, 0x2B, 0x2F, 0x7F, 0x80, 0x82, 0xC0,
    0xED, 0xF8, 0xFE, 0xFF,
];

/// Names of topics and filters that some rule treats apart, and that are no text at all.
const NAMES: [&[u8]; 12] = [
    b"",
    b"#",
    b"+",
    b"/",
    b"$SYS/x",
    b"$share/g/#",
    b"$share//x",
    b"users/bob/#",
    b"users/alice/messages",
    b"a/#/b",
    b"nul\0",
    b"\xED\xA0\x80",
];

/// Damages a stream, but not its first `intact` packets. `other` is what may be spliced in.
pub(crate) fn mutate(packets: &mut Packets, intact: usize, other: &Packets, chance: &mut Chance) {
    // A few changes leave the rest good enough to get far.
    for _ in 0..chance.random_range(1..=3) {
        if packets.len() <= intact || chance.random_ratio(1, 4) {
            rearrange(packets, intact, other, chance);
        } else {
            // CONNECT decides whether anything follows, so it gets its share.
            let at = if intact == 0 && chance.random() {
                0
            } else {
                chance.random_range(intact..packets.len())
            };
            damage(&mut packets[at], chance);
        }
    }
}

/// Changes which packets there are, and their order.
fn rearrange(packets: &mut Packets, intact: usize, other: &Packets, chance: &mut Chance) {
    let length = packets.len();
    let any = |chance: &mut Chance| chance.random_range(intact..length);
    match chance.random_range(0..6) {
        0 if length > intact => {
            let (a, b) = (any(chance), any(chance));
            packets.swap(a, b);
        }
        1 if length > intact => {
            let (from, to) = (any(chance), any(chance));
            packets.insert(to, packets[from].clone());
        }
        2 if length > intact => {
            packets.remove(any(chance));
        }
        3 => {
            // The head of this stream and the tail of another, CONNECT included.
            packets.truncate(chance.random_range(intact..=length));
            packets.extend_from_slice(&other[chance.random_range(0..other.len())..]);
        }
        4 => {
            let to = chance.random_range(intact..=length);
            packets.insert(to, other[chance.random_range(0..other.len())].clone());
        }
        _ => {
            let to = chance.random_range(intact..=length);
            let length = chance.random_range(1..40);
            packets.insert(to, (0..length).map(|_| chance.random()).collect());
        }
    }
}

/// Changes the bytes of one packet. Half of those that change its length are told by the packet's own length field.
fn damage(packet: &mut Vec<u8>, chance: &mut Chance) {
    if packet.is_empty() {
        packet.push(chance.random());
        return;
    }
    let header = header(packet);
    let at = chance.random_range(0..packet.len());
    match chance.random_range(0..10) {
        0 | 1 => packet[at] ^= 1 << chance.random_range(0..8),
        2 => packet[at] = *EDGES.choose(chance).expect("there are edges"),
        3 => packet[at] = chance.random(),
        4 => packet.insert(at, *EDGES.choose(chance).expect("there are edges")),
        5 => {
            let end = packet.len().min(at + chance.random_range(1..5));
            packet.drain(at..end);
        }
        6 => {
            let end = packet.len().min(at + chance.random_range(1..9));
            let again = packet[at..end].to_vec();
            packet.splice(at..at, again);
        }
        7 => packet.truncate(at),
        8 => return lengths(packet, chance),
        _ => {
            // A string in place of another, its length before it.
            let name = *NAMES.choose(chance).expect("there are names");
            let start = at.min(packet.len().saturating_sub(2));
            let end = packet.len().min(start + 2 + chance.random_range(0..16));
            let name = [&[0, name.len() as u8], name].concat();
            packet.splice(start..end, name);
        }
    }
    if chance.random() {
        refit(packet, header);
    }
}

/// Damages the packet's length, or what may be the length of something in it.
fn lengths(packet: &mut Vec<u8>, chance: &mut Chance) {
    let header = header(packet);
    if chance.random() {
        let length = match chance.random_range(0..5) {
            0 => vec![0xFF; chance.random_range(1..6)],
            1 => vec![0x80; chance.random_range(1..6)],
            2 => var(chance.random_range(0..5000)),
            3 => vec![0xFF, 0xFF, 0xFF, 0x7F],
            _ => vec![packet.len() as u8 & 0x7F],
        };
        packet.splice(1.min(packet.len())..header.min(packet.len()), length);
    } else {
        let at = chance.random_range(0..packet.len());
        let room = packet.len() - at;
        packet[at] = chance.random_range(0..=room.min(255)) as u8;
    }
}

/// How many bytes the packet's type and length take.
fn header(packet: &[u8]) -> usize {
    let more = packet.iter().skip(1).take_while(|b| **b & 0x80 != 0);
    2 + more.count()
}

/// Makes the packet's length right again.
fn refit(packet: &mut Vec<u8>, header: usize) {
    if let Some(body) = packet.len().checked_sub(header) {
        packet.splice(1..header, var(body));
    }
}

/// Places where a stream of `length` bytes is cut into reads, `packets` being where its packets end.
pub(crate) fn cuts(packets: Vec<usize>, length: usize, chance: &mut Chance) -> Vec<usize> {
    let mut cuts = match chance.random_range(0..4) {
        // All at once, or a packet a read.
        0 => vec![],
        _ => packets,
    };
    for _ in 0..chance.random_range(0..4) {
        cuts.push(chance.random_range(0..=length));
    }
    cuts
}
