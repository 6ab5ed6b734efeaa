//! The body of an answer, handed over in pieces.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::watch::Place;

/// The largest piece, in bytes. hyper asks for the next one when the client has taken most of what came before, so that
/// is how progress shows; and what it asked for is in its buffers, whether the client reads or not.
const PIECE: usize = 16 * 1024;

/// A body whose request is under way until all of it has been handed over.
pub(super) struct Answer<B> {
    body: B,
    /// What the body gave and nobody asked for yet.
    rest: Bytes,
    place: Place,
}

impl<B> Answer<B> {
    pub(super) fn new(body: B, place: Place) -> Self {
        place.progress();
        Self {
            body,
            rest: Bytes::new(),
            place,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.place.progress();
        if self.rest.is_empty() {
            let next = ready!(Pin::new(&mut self.body).poll_frame(cx));
            let Some(Ok(frame)) = next else {
                return Poll::Ready(next);
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
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
    use std::{future::poll_fn, sync::Arc};

    use tokio::time::Instant;

    use super::*;
    use crate::http::watch::{Verdict, Watch};

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_in_pieces_and_says_how_long_it_is() {
        let watch = Arc::new(Watch::new(Instant::now()));
        let body: hyper::Response<_> = poem::Response::builder()
            .body(vec![7; 3 * PIECE + 1])
            .into();
        let mut answer = Answer::new(body.into_body(), watch.begin());
        let mut lengths = vec![];
        let mut left = (3 * PIECE + 1) as u64;
        assert_eq!(answer.size_hint().exact(), Some(left));
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut answer).poll_frame(cx)).await {
            let data = frame.unwrap().into_data().unwrap();
            left -= data.len() as u64;
            assert_eq!(answer.size_hint().exact(), Some(left));
            assert_eq!(answer.is_end_stream(), left == 0);
            lengths.push(data.len());
        }
        assert_eq!(lengths, [PIECE, PIECE, PIECE, 1]);
        assert_eq!(watch.verdict(Instant::now()), Verdict::Live);
        drop(answer);
        assert_eq!(
            watch.verdict(Instant::now() + crate::http::watch::IDLE),
            Verdict::Idle
        );
    }
}
