//! How many properties and filters a packet has. The core parses a packet in one go, at a cost that grows with their number: a
//! packet that has too many is refused before.

use mqtt_protocol_core::mqtt::result_code::MqttError;

/// Most properties of a packet, those of a will among those of CONNECT: a message may have far fewer user properties.
const PROPERTIES: usize = 1024;

/// Most filters of a SUBSCRIBE or UNSUBSCRIBE. A session may have far fewer.
const FILTERS: usize = 16 * 1024;

/// No packet with fewer bytes has too many: a property has two at least, a filter has two.
const SMALL: usize = 2 * PROPERTIES;

/// What comes next in a packet.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// So many bytes that hold nothing to count.
    Skip(usize),
    /// Text or binary data, after two bytes of length.
    Text,
    /// The length of properties, which follow.
    Properties,
    /// Properties, up to this place.
    PropertiesTo(usize),
    /// A variable byte integer.
    Integer,
    /// Filters, each with so many bytes of options, to the end.
    Filters(usize),
}

/// Counts what is in the packet that is being received.
#[derive(Debug)]
pub(in crate::wire) struct ItemCounter {
    /// What is to come, the next one last.
    steps: Vec<Expected>,
    /// Bytes of the packet that are left.
    left: usize,
    /// Bytes that have been seen, behind the fixed header.
    seen: usize,
    /// Bytes of an integer that is not whole, and its value so far.
    part: usize,
    value: usize,
    properties: usize,
    filters: usize,
}

impl ItemCounter {
    /// For a packet that begins with the byte `first` and has `remaining` bytes behind its fixed header; `None` if there is
    /// nothing to count.
    pub(in crate::wire) fn new(first: u8, remaining: usize, v5: bool) -> Option<Box<Self>> {
        use Expected::{Filters, Properties, Skip, Text};
        if remaining < SMALL {
            return None;
        }
        let (qos, subscribe) = (first & 0b0110, first >> 4 == 8);
        let mut steps = match (first >> 4, v5) {
            (3, true) => vec![Text, Skip(if qos == 0 { 0 } else { 2 }), Properties],
            (8 | 10, true) => vec![Skip(2), Properties, Filters(subscribe.into())],
            (8 | 10, false) => vec![Skip(2), Filters(subscribe.into())],
            (4..=7, true) => vec![Skip(3), Properties],
            (14 | 15, true) => vec![Skip(1), Properties],
            _ => return None,
        };
        steps.reverse();
        Some(Box::new(Self::with(steps, remaining)))
    }

    /// Refuses a whole CONNECT of MQTT 5, given from behind its fixed header, if it has too many.
    pub(super) fn check_connect(body: &[u8], flags: u8) -> Result<(), MqttError> {
        use Expected::{Properties, Skip, Text};
        let mut steps = vec![Text, Skip(4), Properties, Text];
        if flags & 0b100 != 0 {
            steps.push(Properties);
        }
        steps.reverse();
        Self::with(steps, body.len()).count(body)
    }

    fn with(steps: Vec<Expected>, left: usize) -> Self {
        Self {
            steps,
            left,
            seen: 0,
            part: 0,
            value: 0,
            properties: 0,
            filters: 0,
        }
    }

    /// Takes the next bytes of the packet, and ignores those of another one behind it. What is malformed is left to the core.
    pub(in crate::wire) fn count(&mut self, bytes: &[u8]) -> Result<(), MqttError> {
        let mut bytes = &bytes[..bytes.len().min(self.left)];
        self.left -= bytes.len();
        while let Some(step) = self.steps.pop() {
            match step {
                Expected::Skip(0) => {}
                Expected::PropertiesTo(end) if self.seen >= end => {}
                // All others need a byte.
                _ if bytes.is_empty() => {
                    self.steps.push(step);
                    break;
                }
                Expected::Skip(n) => {
                    let taken = n.min(bytes.len());
                    self.seen += taken;
                    bytes = &bytes[taken..];
                    self.steps.push(Expected::Skip(n - taken));
                }
                Expected::Text => match self.length(&mut bytes) {
                    Some(length) => self.steps.push(Expected::Skip(length)),
                    None => self.steps.push(step),
                },
                Expected::Properties | Expected::Integer => match self.integer(&mut bytes) {
                    Some(length) if matches!(step, Expected::Properties) => {
                        self.steps.push(Expected::PropertiesTo(self.seen + length));
                    }
                    Some(_) => {}
                    None => self.steps.push(step),
                },
                Expected::PropertiesTo(_) => {
                    self.properties += 1;
                    if self.properties > PROPERTIES {
                        return Err(MqttError::QuotaExceeded);
                    }
                    self.steps.push(step);
                    match value_of(self.byte(&mut bytes)) {
                        Some(value) => self.steps.extend_from_slice(value),
                        None => self.steps.clear(),
                    }
                }
                Expected::Filters(options) => {
                    self.filters += 1;
                    if self.filters > FILTERS {
                        return Err(MqttError::QuotaExceeded);
                    }
                    self.steps
                        .extend([step, Expected::Skip(options), Expected::Text]);
                }
            }
        }
        Ok(())
    }

    fn byte(&mut self, bytes: &mut &[u8]) -> u8 {
        let Some((&byte, rest)) = bytes.split_first() else {
            return 0;
        };
        *bytes = rest;
        self.seen += 1;
        byte
    }

    /// Two bytes of length (MQTT 5 section 1.5.4), once both are there.
    fn length(&mut self, bytes: &mut &[u8]) -> Option<usize> {
        self.value = self.value << 8 | usize::from(self.byte(bytes));
        self.part += 1;
        (self.part == 2).then(|| self.whole())
    }

    /// A variable byte integer (MQTT 5 section 1.5.5), once it is whole. One of five bytes is malformed.
    fn integer(&mut self, bytes: &mut &[u8]) -> Option<usize> {
        let byte = self.byte(bytes);
        self.value |= usize::from(byte & 0x7F) << (7 * self.part);
        self.part += 1;
        (byte < 0x80 || self.part == 4).then(|| self.whole())
    }

    fn whole(&mut self) -> usize {
        self.part = 0;
        std::mem::take(&mut self.value)
    }
}

/// What follows the identifier of a property (MQTT 5 section 2.2.2.2), the first last; `None` if there is no such property.
fn value_of(identifier: u8) -> Option<&'static [Expected]> {
    Some(match identifier {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => &[Expected::Skip(1)],
        0x13 | 0x21 | 0x22 | 0x23 => &[Expected::Skip(2)],
        0x02 | 0x11 | 0x18 | 0x27 => &[Expected::Skip(4)],
        0x0B => &[Expected::Integer],
        0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => &[Expected::Text],
        0x26 => &[Expected::Text, Expected::Text],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOO_MANY: Result<(), MqttError> = Err(MqttError::QuotaExceeded);

    /// What follows a text of so many bytes.
    fn text(length: usize) -> Vec<u8> {
        let mut bytes = (length as u16).to_be_bytes().to_vec();
        bytes.resize(2 + length, b'x');
        bytes
    }

    fn integer(mut value: usize) -> Vec<u8> {
        let mut bytes = vec![];
        while value > 0x7F {
            bytes.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    /// Properties of every kind, so many of them.
    fn properties(count: usize) -> Vec<u8> {
        let user = [vec![0x26], text(3), text(0)].concat();
        let kinds = [
            vec![0x01, 0x26],
            vec![0x23, 0x26, 0x26],
            vec![0x02, 0x26, 0x26, 0x26, 0x26],
            vec![0x0B, 0xA6, 0xA6, 0x26],
            [vec![0x08], text(300)].concat(),
            user,
        ];
        let all: Vec<u8> = kinds.into_iter().cycle().take(count).flatten().collect();
        [integer(all.len()), all].concat()
    }

    /// What is said of a packet, whatever parts it comes in.
    fn seen(first: u8, body: &[u8], v5: bool) -> Result<(), MqttError> {
        let in_parts = |part: usize| {
            let mut items = ItemCounter::new(first, body.len(), v5).expect("it is not small");
            body.chunks(part).try_for_each(|bytes| items.count(bytes))
        };
        let whole = in_parts(body.len());
        for part in [1, 2, 3, 7, 1000] {
            assert_eq!(in_parts(part), whole, "{part}");
        }
        // What follows it is not counted.
        let mut items = ItemCounter::new(first, body.len(), v5).expect("it is not small");
        let followed = [body, &[0x26; 9000]].concat();
        assert_eq!(items.count(&followed), whole);
        whole
    }

    #[test]
    fn so_many_properties_are_taken_and_no_more() {
        let filter = [text(1), vec![0]].concat();
        let packets: [(u8, Vec<u8>, &[u8]); 8] = [
            (0x30, text(5), &[0x26; 9000]),
            (0x32, [text(5), vec![0, 1]].concat(), &[0x26; 9000]),
            (0x82, vec![0, 1], &filter),
            (0xA2, vec![0, 1], &filter[..3]),
            (0x40, vec![0, 1, 0], &[]),
            (0x62, vec![0, 1, 0], &[]),
            (0xE0, vec![0], &[]),
            (0xF0, vec![0x18], &[]),
        ];
        for (first, before, after) in packets {
            for (count, expected) in [(PROPERTIES, Ok(())), (PROPERTIES + 1, TOO_MANY)] {
                let body = [&before, &properties(count)[..], after].concat();
                assert_eq!(seen(first, &body, true), expected, "{first:x}");
            }
        }
    }

    #[test]
    fn so_many_filters_are_taken_and_no_more() {
        for (first, filter) in [(0x82, vec![0, 1, b'a', 0]), (0xA2, vec![0, 1, b'a'])] {
            for (count, expected) in [(FILTERS, Ok(())), (FILTERS + 1, TOO_MANY)] {
                let filters = filter.repeat(count);
                let v3 = [&[0, 1], &filters[..]].concat();
                assert_eq!(seen(first, &v3, false), expected, "{first:x}");
                let v5 = [&[0, 1], &properties(9)[..], &filters].concat();
                assert_eq!(seen(first, &v5, true), expected, "{first:x}");
            }
        }
    }

    #[test]
    fn properties_of_a_will_count_with_those_of_connect() {
        let connect = |flags: u8, will: usize| {
            let head = [&[0, 4], &b"MQTT"[..], &[5, flags, 0, 60]].concat();
            let all = [head, properties(PROPERTIES), text(3), properties(will)].concat();
            ItemCounter::check_connect(&all, flags)
        };
        assert_eq!(connect(0b110, 0), Ok(()));
        assert_eq!(connect(0b110, 1), TOO_MANY);
        assert_eq!(connect(0b010, 1), Ok(()));
    }

    #[test]
    fn what_is_malformed_is_left_to_the_core() {
        let no_such_property = [&[0], &[0xFF, 0xFF, 0x7F, 0xFF][..], &[0x26; 9000]].concat();
        assert_eq!(seen(0xE0, &no_such_property, true), Ok(()));
        let endless = [&[0, 1, 0xFF, 0xFF, 0xFF, 0xFF][..], &[0; 9000]].concat();
        assert_eq!(seen(0xA2, &endless, true), Ok(()));
    }
}
