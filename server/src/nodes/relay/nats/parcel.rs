//! Messages of NATS: frames in bundles, these in numbered pieces, and the way back.

use std::{collections::HashMap, iter};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use herald_store::NodeId;

use crate::nodes::relay::pieces::FRAME;

/// What it is: others are not read.
const VERSION: u8 = 1;

/// Most bytes of what stands before a piece: the version, the server's name with its length, and three numbers.
pub(super) const HEADER: usize = 2 + 255 + 16;

/// What stands before a frame: its length.
const LENGTH: usize = size_of::<u32>();

/// How many servers are followed at most.
const SERVERS: usize = 256;

/// `frames` one behind the other, in bundles of at most `size` bytes, or of a single frame.
pub(super) fn bundles(frames: &[Bytes], size: usize) -> Vec<Bytes> {
    let (mut bundles, mut open) = (vec![], BytesMut::new());
    for frame in frames {
        if !open.is_empty() && open.len() + LENGTH + frame.len() > size {
            bundles.push(open.split().freeze());
        }
        // None is too long.
        open.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
        open.put_slice(frame);
    }
    if !open.is_empty() {
        bundles.push(open.freeze());
    }
    bundles
}

/// The frames of a bundle, up to what is none.
pub(super) fn frames_of(mut bundle: Bytes) -> impl Iterator<Item = Bytes> {
    iter::from_fn(move || {
        let length = usize::try_from(bundle.try_get_u32().ok()?).ok()?;
        (length <= bundle.len()).then(|| bundle.split_to(length))
    })
}

/// A piece of a bundle, or a beat, which has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parcel {
    pub(super) node: NodeId,
    /// One more than that of the piece before; that of a beat is of the last piece.
    pub(super) number: u64,
    /// Which of how many pieces it is. A beat is none of none.
    at: u32,
    count: u32,
    piece: Bytes,
}

impl Parcel {
    /// Says that `number` was the last.
    pub(super) fn beat(node: &NodeId, number: u64) -> Self {
        Self {
            node: node.clone(),
            number,
            at: 0,
            count: 0,
            piece: Bytes::new(),
        }
    }

    /// `bundle` in pieces of at most `size` bytes, the first of which has the number after `last`, which becomes that of the last.
    pub(super) fn pieces(node: &NodeId, last: &mut u64, bundle: &Bytes, size: usize) -> Vec<Self> {
        let count = bundle.len().div_ceil(size).max(1);
        let mut left = bundle.clone();
        let piece = |at: usize| {
            *last += 1;
            Self {
                node: node.clone(),
                number: *last,
                // They are few.
                at: u32::try_from(at).unwrap_or(u32::MAX),
                count: u32::try_from(count).unwrap_or(u32::MAX),
                piece: left.split_to(size.min(left.len())),
            }
        };
        (0..count).map(piece).collect()
    }

    /// `None` if the server's name is too long, which none of ours is.
    pub(super) fn encode(&self) -> Option<Bytes> {
        let node = self.node.as_str();
        let mut message = BytesMut::with_capacity(HEADER + self.piece.len());
        message.put_u8(VERSION);
        message.put_u8(u8::try_from(node.len()).ok()?);
        message.put_slice(node.as_bytes());
        message.put_u64(self.number);
        message.put_u32(self.at);
        message.put_u32(self.count);
        message.put_slice(&self.piece);
        Some(message.freeze())
    }

    /// `None` if it is none.
    pub(super) fn parse(mut message: Bytes) -> Option<Self> {
        if message.try_get_u8().ok()? != VERSION {
            return None;
        }
        let length = usize::from(message.try_get_u8().ok()?);
        if message.len() < length {
            return None;
        }
        let node = message.split_to(length);
        Some(Self {
            node: NodeId::from_string(str::from_utf8(&node).ok()?),
            number: message.try_get_u64().ok()?,
            at: message.try_get_u32().ok()?,
            count: message.try_get_u32().ok()?,
            piece: message,
        })
    }
}

/// What a parcel comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Something before it may be missing, and how much of it is known to be.
    pub(super) missed: bool,
    pub(super) lost: u64,
    /// It was the last piece of this.
    pub(super) bundle: Option<Bytes>,
}

/// How far each server has come.
#[derive(Default)]
pub(super) struct Arrivals(HashMap<NodeId, Arrival>);

#[derive(Default)]
struct Arrival {
    number: u64,
    /// The pieces of a bundle that have come, and how many.
    begun: BytesMut,
    came: u32,
}

impl Arrivals {
    /// Takes what has come. What comes twice or late counts for nothing: it was missed before.
    pub(super) fn take(&mut self, parcel: Parcel) -> Taken {
        let is_new = !self.0.contains_key(&parcel.node);
        if is_new && self.0.len() >= SERVERS {
            return Taken::default();
        }
        let arrival = self.0.entry(parcel.node).or_default();
        let is_beat = parcel.count == 0;
        let next = arrival.number.saturating_add(u64::from(!is_beat));
        if !is_new && parcel.number < next {
            return Taken::default();
        }
        let lost = if is_new { 0 } else { parcel.number - next };
        arrival.number = parcel.number;
        let missed = is_new || lost > 0;
        if missed {
            arrival.forget();
        }
        Taken {
            missed,
            lost,
            bundle: arrival.add(parcel.at, parcel.count, parcel.piece),
        }
    }

    /// Forgets servers that are gone.
    pub(super) fn retain(&mut self, servers: &[NodeId]) {
        self.0.retain(|server, _| servers.contains(server));
    }
}

impl Arrival {
    /// Adds a piece. Returns the bundle that it completes.
    fn add(&mut self, at: u32, count: u32, piece: Bytes) -> Option<Bytes> {
        let fits = self.begun.len() + piece.len() <= LENGTH + FRAME;
        if at != self.came || at >= count || !fits {
            self.forget();
            return None;
        }
        if count == 1 {
            return Some(piece);
        }
        self.begun.extend_from_slice(&piece);
        self.came += 1;
        if self.came < count {
            return None;
        }
        let bundle = self.begun.split().freeze();
        self.forget();
        Some(bundle)
    }

    /// Forgets what is half there.
    fn forget(&mut self) {
        self.begun = BytesMut::new();
        self.came = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent for these frames, as it comes.
    fn sent(node: &NodeId, last: &mut u64, frames: &[&'static [u8]], size: usize) -> Vec<Parcel> {
        let frames: Vec<_> = frames.iter().copied().map(Bytes::from_static).collect();
        let bundles = bundles(&frames, size);
        let pieces = bundles
            .iter()
            .flat_map(|bundle| Parcel::pieces(node, last, bundle, size));
        let pass = |parcel: Parcel| {
            let passed = Parcel::parse(parcel.encode().unwrap()).unwrap();
            assert!(passed.piece.len() <= size);
            assert_eq!(passed, parcel);
            passed
        };
        pieces.map(pass).collect()
    }

    /// A server of which something has come before.
    fn known() -> (Arrivals, NodeId) {
        let (mut arrivals, node) = (Arrivals::default(), NodeId::new());
        assert!(arrivals.take(Parcel::beat(&node, 0)).missed);
        (arrivals, node)
    }

    #[test]
    fn frames_come_again_in_order_whatever_their_sizes() {
        let frames = [&b""[..], b"a", b"", b"abc", b"abcdefghijklmnop", b"b", b"c"];
        for size in 1..100 {
            let (mut arrivals, node) = known();
            let mut last = 0;
            let mut came = vec![];
            for parcel in sent(&node, &mut last, &frames, size) {
                let taken = arrivals.take(parcel);
                assert_eq!((taken.missed, taken.lost), (false, 0));
                came.extend(taken.bundle.into_iter().flat_map(frames_of));
            }
            assert_eq!(came, frames, "{size}");
            assert_eq!(arrivals.take(Parcel::beat(&node, last)), Taken::default());
        }
        assert_eq!(sent(&NodeId::new(), &mut 0, &frames, 99).len(), 1);
    }

    #[test]
    fn the_largest_frame_comes_and_a_larger_one_does_not() {
        for (over, comes) in [(0, true), (1, false)] {
            let (mut arrivals, node) = known();
            let frame = Bytes::from(vec![1; FRAME + over]);
            let [bundle] = bundles(std::slice::from_ref(&frame), 1000)
                .try_into()
                .unwrap();
            let parcels = Parcel::pieces(&node, &mut 0, &bundle, 1000);
            let came = parcels.into_iter().filter_map(|p| arrivals.take(p).bundle);
            let came: Vec<_> = came.flat_map(frames_of).collect();
            assert!(came == if comes { vec![frame] } else { vec![] });
        }
    }

    #[test]
    fn a_gap_is_told_and_drops_what_is_half_there() {
        for missing in 0..4 {
            let (mut arrivals, node) = known();
            let mut last = 0;
            let mut parcels = sent(&node, &mut last, &[b"abcdefg"], 3);
            assert_eq!(parcels.len(), 4);
            parcels.remove(missing);
            parcels.extend(sent(&node, &mut last, &[b"next"], 99));
            let (mut lost, mut came) = (0, vec![]);
            for parcel in parcels {
                let taken = arrivals.take(parcel);
                assert_eq!(taken.missed, taken.lost > 0);
                lost += taken.lost;
                came.extend(taken.bundle.into_iter().flat_map(frames_of));
            }
            assert_eq!((lost, &*came), (1, &[Bytes::from("next")][..]));
        }
        let (mut arrivals, node) = known();
        let taken = arrivals.take(Parcel::beat(&node, 7));
        assert_eq!((taken.missed, taken.lost), (true, 7));
    }

    #[test]
    fn what_comes_twice_or_late_is_dropped() {
        let (mut arrivals, node) = known();
        for parcel in sent(&node, &mut 0, &[b"one", b"two"], 7) {
            assert!(arrivals.take(parcel.clone()).bundle.is_some());
            assert_eq!(arrivals.take(parcel), Taken::default());
        }
        assert_eq!(arrivals.take(Parcel::beat(&node, 1)), Taken::default());
        arrivals.retain(&[]);
        assert!(arrivals.0.is_empty());
    }

    #[test]
    fn what_is_no_parcel_is_none() {
        let whole = Parcel::beat(&NodeId::new(), 1).encode().unwrap();
        for length in 0..whole.len() {
            assert_eq!(Parcel::parse(whole.slice(..length)), None);
        }
        for (at, byte) in [(0, 0), (0, 2), (0, 255), (1, 255), (2, 255)] {
            let mut other = whole.to_vec();
            other[at] = byte;
            assert_eq!(Parcel::parse(other.into()), None, "{at} {byte}");
        }
    }

    #[test]
    fn what_is_no_bundle_has_no_frames() {
        for bytes in [&b""[..], &[0, 0, 0], &[0, 0, 0, 1], &[255; 9]] {
            assert_eq!(frames_of(Bytes::from_static(bytes)).next(), None);
        }
        let good_before = Bytes::from_static(&[0, 0, 0, 1, b'a', 255, 255, 255, 255, 1]);
        assert_eq!(frames_of(good_before).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn whatever_comes_takes_no_more_room_than_there_is() {
        let node = NodeId::new();
        let numbers = [0, 1, 2, 3, 0x7fff_ffff, u32::MAX];
        let mut arrivals = Arrivals::default();
        for number in [0, 1, 2, u64::MAX - 1, u64::MAX] {
            for at in numbers {
                for count in numbers {
                    let parcel = Parcel {
                        node: node.clone(),
                        number,
                        at,
                        count,
                        piece: Bytes::from_static(&[255; 1000]),
                    };
                    arrivals.take(parcel);
                }
            }
        }
        // One without end.
        let node = NodeId::new();
        for at in 0..6000 {
            let parcel = Parcel {
                node: node.clone(),
                number: u64::from(at),
                at,
                count: u32::MAX,
                piece: Bytes::from_static(&[0; 1000]),
            };
            arrivals.take(parcel);
            let begun: usize = arrivals.0.values().map(|a| a.begun.len()).sum();
            assert!(begun <= FRAME + LENGTH + 2000);
        }
        for _ in 0..2 * SERVERS {
            arrivals.take(Parcel::beat(&NodeId::new(), 1));
        }
        assert_eq!(arrivals.0.len(), SERVERS);
    }
}
