//! Packets as bytes. Nothing is checked, so that wrong ones can be written too.

/// The protocol level of MQTT 3.1.1.
pub(crate) const V3: u8 = 4;

/// The protocol level of MQTT 5.
pub(crate) const V5: u8 = 5;

/// A packet: its first byte, the length of its parts, and these.
pub(crate) fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [vec![first], var(body.len()), body].concat()
}

/// A Variable Byte Integer (MQTT 5 section 1.5.5).
pub(crate) fn var(mut n: usize) -> Vec<u8> {
    let mut out = vec![];
    loop {
        let low = (n % 128) as u8;
        n /= 128;
        if n == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// Binary data, or a string, with its length before it (MQTT 5 section 1.5.6).
pub(crate) fn data(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let length = u16::try_from(bytes.len()).expect("tests write short strings");
    [&length.to_be_bytes(), bytes].concat()
}

/// Properties with their length before them (MQTT 5 section 2.2.2).
pub(crate) fn props(all: &[Vec<u8>]) -> Vec<u8> {
    let all = all.concat();
    [var(all.len()), all].concat()
}

/// A property whose value is a number, with the bytes it takes.
pub(crate) fn number(id: u8, bytes: &[u8]) -> Vec<u8> {
    [&[id], bytes].concat()
}

/// The properties of a version: none in 3.1.1, which has no place for them.
pub(crate) fn in_version(version: u8, all: &[Vec<u8>]) -> Vec<u8> {
    if version == V5 { props(all) } else { vec![] }
}

/// A will.
#[derive(Clone)]
pub(crate) struct Will {
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: &'static str,
    pub(crate) payload: &'static str,
    pub(crate) properties: Vec<Vec<u8>>,
}

/// CONNECT, by default a clean one of `alice`.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) version: u8,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) properties: Vec<Vec<u8>>,
    pub(crate) client_id: &'static str,
    pub(crate) will: Option<Will>,
    pub(crate) username: &'static str,
}

impl Connect {
    pub(crate) fn new(version: u8) -> Self {
        Self {
            version,
            clean: true,
            keep_alive: 60,
            properties: vec![],
            client_id: "phone",
            will: None,
            username: "alice",
        }
    }

    /// The flags that this CONNECT should have (MQTT 5 section 3.1.2.3).
    pub(crate) fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |w| {
            0b100 | w.qos << 3 | if w.retain { 0b10_0000 } else { 0 }
        });
        0b1100_0000 | will | if self.clean { 0b10 } else { 0 }
    }

    /// The packet, with the flags that it should have.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.with("MQTT", self.flags())
    }

    /// The packet, with another protocol name and flags.
    pub(crate) fn with(&self, protocol: &str, flags: u8) -> Vec<u8> {
        let mut body = data(protocol);
        body.extend([self.version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        body.extend(in_version(self.version, &self.properties));
        body.extend(data(self.client_id));
        if let Some(will) = &self.will {
            body.extend(in_version(self.version, &will.properties));
            body.extend(data(will.topic));
            body.extend(data(will.payload));
        }
        body.extend(data(self.username));
        body.extend(data(crate::common::hosts::PASSWORD));
        packet(0x10, &[&body])
    }
}

/// PUBLISH. `flags`: DUP, QoS and RETAIN; `id` is left out for QoS 0.
pub(crate) fn publish(
    version: u8,
    flags: u8,
    topic: impl AsRef<[u8]>,
    id: u16,
    properties: &[Vec<u8>],
    payload: &str,
) -> Vec<u8> {
    let id = if flags & 0b110 == 0 {
        vec![]
    } else {
        id.to_be_bytes().to_vec()
    };
    let properties = in_version(version, properties);
    let parts: [&[u8]; 4] = [&data(topic), &id, &properties, payload.as_bytes()];
    packet(0x30 | flags, &parts)
}

/// SUBSCRIBE to filters with their options.
pub(crate) fn subscribe(
    version: u8,
    id: u16,
    properties: &[Vec<u8>],
    filters: &[(&str, u8)],
) -> Vec<u8> {
    let filters: Vec<u8> = filters
        .iter()
        .flat_map(|(filter, options)| [data(filter), vec![*options]].concat())
        .collect();
    let parts: [&[u8]; 3] = [
        &id.to_be_bytes(),
        &in_version(version, properties),
        &filters,
    ];
    packet(0x82, &parts)
}

/// UNSUBSCRIBE.
pub(crate) fn unsubscribe(version: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let filters: Vec<u8> = filters.iter().flat_map(data).collect();
    let parts: [&[u8]; 3] = [&id.to_be_bytes(), &in_version(version, &[]), &filters];
    packet(0xA2, &parts)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP without a code, by its first byte.
pub(crate) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes()])
}

/// PINGREQ.
pub(crate) fn pingreq() -> Vec<u8> {
    packet(0xC0, &[])
}
