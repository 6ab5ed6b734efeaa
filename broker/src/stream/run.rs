//! A connection over a byte stream.

use tokio::io::{AsyncRead, AsyncWrite};

use super::io::Io;
use crate::session::{Connection, Step};

/// Runs a connection to its end.
pub(crate) async fn run<S>(mut connection: Connection, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut io = Box::new(Io::new(stream, connection.write_stall()));
    drive(&mut connection, &mut io).await;
    // Boxed, as a connection spends next to no time there.
    let last = Box::pin(connection.finish()).await;
    if let Some(output) = last {
        Box::pin(io.finish(output, connection.stop())).await;
    }
}

async fn drive<S>(connection: &mut Connection, io: &mut Io<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    loop {
        let wait = match connection.step() {
            Step::Again => {
                connection.give_way().await;
                continue;
            }
            Step::Wait(wait) => {
                // What is waited for may be there already, again and again.
                connection.give_way().await;
                wait
            }
            Step::Over => return,
        };
        let Some((wire, slice, events)) = connection.split() else {
            return;
        };
        let happened = slice.wait(async {
            tokio::select! {
                moved = io.transfer(wire, wait) => moved,
                event = events.next() => Ok(event),
            }
        });
        match happened.await {
            Ok(event) => connection.happened(event),
            Err(end) => connection.end(end),
        }
    }
}
