//! The body of a response, handed over in pieces.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use herald_api::Room;
use hyper::body::{Body, Frame, SizeHint};

use super::watch::RequestGuard;

/// The largest piece, in bytes. hyper asks for the next one when the client has taken most of what came before, so that
/// is how progress shows; and what it asked for is in its buffers, whether the client reads or not.
const PIECE: usize = 16 * 1024;

/// A body whose request is under way until the last piece of it has left hyper.
pub(super) struct ResponseBody<B> {
    body: B,
    /// What the body gave and nobody asked for yet.
    rest: Rest,
    room: Option<Room>,
    guard: Arc<RequestGuard>,
}

/// Bytes that are not handed over yet.
enum Rest {
    /// Which are there once for all who ask, as the app's files, or are few.
    Shared(Bytes),
    /// Of one user's response, in pieces of their own, the last first: each is freed when it is taken, and not only the last.
    Own(Vec<Box<[u8]>>),
}

/// What hyper holds of a response.
struct Piece<T: AsRef<[u8]>> {
    bytes: T,
    /// Given back when hyper has done with it.
    _room: Option<Room>,
    guard: Arc<RequestGuard>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Piece<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<T: AsRef<[u8]>> Drop for Piece<T> {
    fn drop(&mut self) {
        self.guard.taken(self.bytes.as_ref().len());
    }
}

impl Rest {
    fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Own(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
        }
    }

    fn in_pieces(bytes: &[u8]) -> Self {
        Self::Own(bytes.chunks(PIECE).rev().map(Box::from).collect())
    }
}

impl<B> ResponseBody<B> {
    /// `room` is what the response has of the budget for those that are not taken yet; `None` if nobody's is used.
    pub(super) fn new(body: B, room: Option<Room>, guard: RequestGuard) -> Self {
        guard.responded();
        Self {
            body,
            rest: Rest::Shared(Bytes::new()),
            room,
            guard: Arc::new(guard),
        }
    }

    fn piece(&mut self) -> Option<Bytes> {
        let guard = Arc::clone(&self.guard);
        match &mut self.rest {
            Rest::Shared(bytes) if bytes.is_empty() => None,
            Rest::Shared(bytes) => Some(Bytes::from_owner(Piece {
                bytes: bytes.split_to(bytes.len().min(PIECE)),
                _room: None,
                guard,
            })),
            Rest::Own(pieces) => {
                let bytes = pieces.pop()?;
                let room = self.room.as_mut().map(|room| room.part(bytes.len()));
                Some(Bytes::from_owner(Piece {
                    bytes,
                    _room: room,
                    guard,
                }))
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        loop {
            if let Some(piece) = self.piece() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            let next = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let Some(Ok(frame)) = next else {
                return Poll::Ready(next);
            };
            self.rest = match frame.into_data() {
                Ok(data) if self.room.is_some() => Rest::in_pieces(&data),
                Ok(data) => Rest::Shared(data),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.len() == 0 && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        // The upper bound first: it must not be below the other.
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole.set_lower(hint.lower() + rest);
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;
    use crate::http::watch::{Verdict, Watch};

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_in_pieces_and_says_how_long_it_is() {
        let watch = Arc::new(Watch::new(Instant::now(), 0));
        let body: hyper::Response<_> = poem::Response::builder()
            .body(vec![7; 3 * PIECE + 1])
            .into();
        let mut body = ResponseBody::new(body.into_body(), None, watch.begin());
        let mut lengths = vec![];
        let mut left = (3 * PIECE + 1) as u64;
        assert_eq!(body.size_hint().exact(), Some(left));
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let data = frame.unwrap().into_data().unwrap();
            left -= data.len() as u64;
            assert_eq!(body.size_hint().exact(), Some(left));
            assert_eq!(body.is_end_stream(), left == 0);
            lengths.push(data.len());
        }
        assert_eq!(lengths, [PIECE, PIECE, PIECE, 1]);
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        drop(body);
        assert_eq!(
            watch.verdict(Instant::now() + crate::http::watch::IDLE),
            Verdict::Idle
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_under_way_until_the_last_piece_has_left() {
        let watch = Arc::new(Watch::new(Instant::now(), 0));
        let body: hyper::Response<_> = poem::Response::builder().body("short").into();
        let mut body = ResponseBody::new(body.into_body(), None, watch.begin());
        let piece = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        drop(body);
        let later = Instant::now() + crate::http::watch::STALL;
        assert_eq!(watch.verdict(later), Verdict::Stalled);
        drop(piece);
        assert_eq!(watch.verdict(later), Verdict::Live);
    }
}
