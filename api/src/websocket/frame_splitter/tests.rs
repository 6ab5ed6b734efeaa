//! Frames as tungstenite reads them from what is made of them.

use std::io::{Cursor, Read, Write};

use proptest::{collection::vec, prelude::*};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket,
    error::ProtocolError,
    protocol::{Role, WebSocketConfig},
};

use super::*;

const PING: u8 = 0x89;
const TEXT: u8 = 0x81;

/// A frame with this first byte, masked with `mask`, its length in the shortest form or in eight bytes.
fn frame(first: u8, mask: [u8; 4], payload: &[u8], is_long: bool) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![first];
    match length {
        _ if is_long => {
            frame.push(0xFF);
            frame.extend((length as u64).to_be_bytes());
        }
        0..126 => frame.push(0x80 | length as u8),
        _ => {
            frame.push(0xFE);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// What comes of `input`, of which `read` bytes come at once, with room for `room` bytes.
fn split(input: &[u8], read: usize, room: usize) -> io::Result<Vec<u8>> {
    let mut splitter = FrameSplitter::default();
    let mut output = vec![];
    for mut part in input.chunks(read) {
        while !part.is_empty() || splitter.has_head() {
            let mut bytes = vec![0; room];
            let mut bytes = ReadBuf::new(&mut bytes);
            part = &part[splitter.split(part, &mut bytes)?..];
            output.extend(bytes.filled());
        }
    }
    Ok(output)
}

/// A client that has sent what it sends, and reads nothing.
struct Sent(Cursor<Vec<u8>>);

impl Read for Sent {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The messages that tungstenite reads if none may be longer than a piece, and why it stopped.
fn messages(bytes: Vec<u8>) -> (Vec<Message>, Error) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(PIECE))
        .max_frame_size(Some(PIECE));
    let mut socket =
        WebSocket::from_raw_socket(Sent(Cursor::new(bytes)), Role::Server, Some(config));
    let mut messages = vec![];
    loop {
        match socket.read() {
            Ok(message) => messages.push(message),
            Err(error) => return (messages, error),
        }
    }
}

/// A frame of a message: its mask, what is in it, whether its length has eight bytes, and a ping that comes before it.
type Part = ([u8; 4], Vec<u8>, bool, Option<Vec<u8>>);

fn part() -> impl Strategy<Value = Part> {
    let length = prop_oneof![Just(0), 1..200_usize, PIECE - 2..PIECE + 3, 1..4 * PIECE];
    let payload = length.prop_flat_map(|length| vec(any::<u8>(), length));
    let ping = proptest::option::of(vec(any::<u8>(), 0..126));
    (any::<[u8; 4]>(), payload, any::<bool>(), ping)
}

proptest! {
    #[test]
    fn every_byte_comes_in_order_in_short_messages_and_pings_stay_where_they_are(
        sent in vec(vec(part(), 1..4), 0..4),
        read in prop_oneof![1..40_usize, Just(1024)],
        room in prop_oneof![1..40_usize, Just(1024)],
    ) {
        let (mut input, mut payload, mut pings): (_, Vec<u8>, _) = (vec![], vec![], vec![]);
        for message in &sent {
            for (n, (mask, part, is_long, ping)) in message.iter().enumerate() {
                if let Some(ping) = ping {
                    input.extend(frame(PING, *mask, ping, false));
                    pings.push((payload.len(), ping.clone()));
                }
                let opcode = if n == 0 { BINARY } else { CONTINUATION };
                let fin = if n + 1 == message.len() { FIN } else { 0 };
                input.extend(frame(fin | opcode, *mask, part, *is_long));
                payload.extend(part);
            }
        }
        let (messages, end) = messages(split(&input, read, room).unwrap());
        prop_assert!(matches!(end, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)), "{end}");
        let (mut came, mut answered) = (vec![], vec![]);
        for message in messages {
            match message {
                Message::Binary(bytes) => {
                    prop_assert!(bytes.len() <= PIECE);
                    came.extend(bytes);
                }
                Message::Ping(bytes) => answered.push((came.len(), bytes.to_vec())),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(came == payload);
        prop_assert_eq!(answered, pings);
    }

    #[test]
    fn no_bytes_make_it_panic_and_what_is_made_does_not_depend_on_how_they_come(
        input in vec(prop_oneof![any::<u8>(), Just(BINARY), Just(FIN | BINARY), Just(0xFF), Just(0)], 0..300),
        read in 1..40_usize,
        room in 1..40_usize,
    ) {
        let whole = split(&input, input.len().max(1), 1024).ok();
        prop_assert_eq!(split(&input, read, room).ok(), whole);
    }
}

#[test]
fn a_message_within_another_is_refused() {
    let first = frame(BINARY, [1; 4], b"one", false);
    for opcode in [BINARY, FIN | BINARY] {
        let input = [first.clone(), frame(opcode, [2; 4], b"two", false)].concat();
        let error = split(&input, 1024, 1024).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

/// tungstenite sees it as it came.
#[test]
fn what_is_no_binary_message_is_left_as_it_is() {
    let mut unmasked = frame(FIN | BINARY, [0; 4], b"bare", false);
    unmasked[1] &= !MASKED;
    for (input, what) in [
        (frame(TEXT, [3; 4], b"text", false), "text"),
        (
            frame(FIN | CONTINUATION, [3; 4], b"", false),
            "nothing to continue",
        ),
        (frame(0xC2, [3; 4], b"compressed", false), "a reserved bit"),
        (frame(0x8B, [3; 4], b"", false), "a reserved opcode"),
        (frame(0x09, [3; 4], b"", false), "a ping in parts"),
        (frame(PING, [3; 4], &[0; 126], false), "a long ping"),
        (
            frame(FIN | BINARY, [3; 4], b"", false),
            "nothing in a message",
        ),
        (unmasked, "no mask"),
    ] {
        assert_eq!(split(&input, 1, 1024).unwrap(), input, "{what}");
    }
    // A length of which the first bit is set is taken for what it says, which is never reached.
    let endless = [0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'x'];
    assert!(split(&endless, 3, 1024).unwrap().ends_with(b"x"));
}
