//! Bodies of requests that get a response before they are read.
//!
//! A client of HTTP/1 that is still sending when its connection closes cannot read the response (RFC 9112 section 9.6). So the rest
//! of its body is read and dropped first, up to a limit of bytes and of time. Nothing is read from foreign pages, nor from
//! clients that send too many requests.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use poem::{
    Body, Endpoint, Request, Result,
    http::{Version, header::EXPECT},
};
use tokio::{
    io::{AsyncReadExt as _, copy, sink},
    time::timeout,
};

/// How much is read and dropped, in bytes, and for how long.
const MOST: u64 = 1024 * 1024;
const TIME: Duration = Duration::from_secs(1);

/// The body of a request, for the first that takes it.
#[derive(Clone)]
pub(crate) struct Unread(Arc<Mutex<Option<Body>>>);

impl Unread {
    /// Takes the body of `request`; an empty one if it was taken.
    pub(crate) fn take(request: &Request) -> Body {
        let unread = request.data::<Self>();
        let body = unread.and_then(|unread| unread.0.lock().take());
        body.unwrap_or_default()
    }
}

/// Calls `endpoint`, and drops the body that it has not taken.
pub(crate) async fn dropped<E: Endpoint>(
    endpoint: Arc<E>,
    mut request: Request,
) -> Result<E::Output> {
    // A stream of HTTP/2 ends without the connection, and a client that waits for `100 Continue` is not sending.
    let sends = request.version() < Version::HTTP_2 && !request.headers().contains_key(EXPECT);
    let unread = Unread(Arc::new(Mutex::new(Some(request.take_body()))));
    request.set_data(unread.clone());
    let answer = endpoint.call(request).await;
    let left = unread.0.lock().take();
    if let Some(body) = left.filter(|_| sends) {
        let mut rest = body.into_async_read().take(MOST);
        // The response is sent whether or not this succeeds.
        let _ = timeout(TIME, copy(&mut rest, &mut sink())).await;
    }
    answer
}
