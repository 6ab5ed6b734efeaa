//! Serves HTTP/1.1 and HTTP/2 on connections that shook hands.
//!
//! hyper speaks the protocols; [`Watch`] says when a connection has had its time. hyper's own limit on reading a head is
//! for HTTP/1 alone, so it is not used: a head that drips in is a connection on which no request is under way.

mod body;
#[cfg(test)]
mod tests;
mod watch;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use herald_api::{AnswerRoom, OnSignIn};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{rt::TokioIo, server::conn::auto};
use poem::{
    Addr, Endpoint, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::{Accept, Connection},
    connections::SignIn,
};

use body::ResponseBody;
use watch::{Verdict, Watch};

/// How long requests under way may take to end when the server stops, and how long a client has to notice that its
/// connection is closed for idleness.
const GRACE: Duration = Duration::from_secs(5);

/// How old a connection may be by which nobody has signed in, however much it is used.
const ANONYMOUS: Duration = Duration::from_secs(5 * 60);

/// What a connection reads ahead, of a head or a body, and what it leaves unsent, in bytes. A larger head is answered
/// with 431.
const BUFFER: usize = 32 * 1024;

/// Requests of one HTTP/2 connection that are answered at once.
const STREAMS: u32 = 100;

/// What an HTTP/2 connection may receive that its requests have not read, in bytes; and one request.
const CONNECTION_WINDOW: u32 = 256 * 1024;
const STREAM_WINDOW: u32 = 64 * 1024;

/// The headers of an HTTP/2 request, in bytes, unpacked.
const HEADERS: u32 = 16 * 1024;

type Builder = auto::Builder<Tracked>;

/// Starts the tasks of HTTP/2 requests where they are counted.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        self.0.spawn(request);
    }
}

/// What all connections of a listener share.
struct Http<E> {
    builder: Builder,
    endpoint: E,
    local: SocketAddr,
    scheme: Scheme,
    stop: CancellationToken,
    /// What a client has to take of its responses a second, in bytes.
    bytes_per_s: u32,
}

/// Serves `endpoint` on what `accept` accepts, until it is stopped, to clients that take `bytes_per_s` of their responses. The
/// connections are tasks of `accept`'s: they end by themselves within [`GRACE`].
pub(crate) async fn serve<E>(accept: Accept, endpoint: E, bytes_per_s: u32) -> io::Result<()>
where
    E: Endpoint<Output = Response> + 'static,
{
    let http = Arc::new(Http {
        builder: builder(&accept.tasks),
        endpoint,
        local: accept.listener.local_addr()?,
        scheme: match accept.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        },
        stop: accept.stop.clone(),
        bytes_per_s,
    });
    let serve = move |connection: Connection, peer, deadline| {
        let (http, sign_in) = (http.clone(), connection.sign_in());
        // Boxed, as the task lives on after it shook hands.
        Box::pin(async move { http.serve(connection, peer, deadline, sign_in).await })
    };
    accept.run(serve).await;
    Ok(())
}

fn builder(tasks: &TaskTracker) -> Builder {
    let mut builder = Builder::new(Tracked(tasks.clone()));
    // At most 100 headers, and no limit on time without a timer.
    builder.http1().max_buf_size(BUFFER);
    // h2 itself ends a connection with many streams that are reset (20 that wait to be accepted, 1,024 by errors).
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_send_buf_size(BUFFER);
    builder
}

impl<E: Endpoint<Output = Response> + 'static> Http<E> {
    /// Serves `connection` to its end. Its first request has to be there by `deadline`.
    async fn serve<S>(
        self: Arc<Self>,
        connection: S,
        peer: SocketAddr,
        deadline: Instant,
        sign_in: SignIn,
    ) where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let watch = Arc::new(Watch::new(deadline, self.bytes_per_s));
        let on_sign_in = {
            let sign_in = sign_in.clone();
            OnSignIn::new(move || sign_in.done())
        };
        let service = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(on_sign_in.clone());
            let (http, guard) = (self.clone(), watch.begin());
            async move {
                let (local, remote) = (LocalAddr(http.local.into()), RemoteAddr(Addr::from(peer)));
                let request = (request, local, remote, http.scheme.clone());
                let response = http.endpoint.get_response(request.into()).await;
                let room = response.data::<AnswerRoom>().and_then(AnswerRoom::take);
                let response = hyper::Response::from(response);
                Ok::<_, Infallible>(response.map(|body| ResponseBody::new(body, room, guard)))
            }
        });
        let io = TokioIo::new(connection);
        let serving = self.builder.serve_connection_with_upgrades(io, service);
        let mut serving = std::pin::pin!(serving);
        let mut end = None;
        let too_old = Instant::now() + ANONYMOUS;
        loop {
            let look = end.unwrap_or_else(|| watch.next_look(Instant::now()));
            let look = match Instant::now() < too_old {
                true => look.min(too_old),
                false => look,
            };
            tokio::select! {
                served = serving.as_mut() => {
                    if let Err(error) = served {
                        tracing::debug!(%peer, %error, "an HTTP connection broke");
                    }
                    return;
                }
                () = self.stop.cancelled(), if end.is_none() => {}
                () = sleep_until(look) => match watch.verdict(Instant::now()) {
                    _ if end.is_some() => return,
                    Verdict::Stalled => {
                        tracing::debug!(%peer, "an HTTP client does not read its response");
                        return;
                    }
                    Verdict::Live if Instant::now() < too_old || sign_in.is_done() => continue,
                    Verdict::Live => {}
                    Verdict::Idle => {}
                },
            }
            serving.as_mut().graceful_shutdown();
            end = Some(Instant::now() + GRACE);
        }
    }
}
