//! A client without a stream: what it sends is known beforehand, and it takes all that comes.

use futures_util::FutureExt as _;
use herald_broker::{Connection, Step};
use tokio::{task::yield_now, time::sleep_until};

/// Bytes that a connection gets at once.
const CHUNK: usize = 8 * 1024;

/// Drives `connection` to its end: the client sends `bytes` in parts that end at `ends`, and closes the stream. Returns what it
/// has received.
pub(crate) async fn drive(
    mut connection: Connection,
    bytes: &[u8],
    mut ends: Vec<usize>,
) -> Vec<u8> {
    ends.push(bytes.len());
    ends.sort_unstable();
    ends.dedup();
    let mut ends = ends.into_iter().peekable();
    let (mut received, mut sent) = (vec![], 0);
    // Before each part the session does what else it has to do.
    let mut pauses = false;
    loop {
        let wait = match connection.step() {
            Step::Again => {
                connection.give_way().await;
                continue;
            }
            Step::Wait(wait) => wait,
            Step::Over => break,
        };
        if wait.writes {
            let output = connection.take_output(usize::MAX);
            if !output.is_empty() {
                received.extend(output);
                continue;
            }
        }
        if wait.reads {
            pauses = !pauses;
            if pauses {
                yield_now().await;
                connection.event().now_or_never();
            } else if let Some(end) = ends.peek() {
                let next = (sent + CHUNK).min(*end);
                connection.receive(&bytes[sent..next]);
                sent = next;
                ends.next_if_eq(&sent);
            } else {
                connection.closed();
            }
            continue;
        }
        let passes = async {
            match wait.until {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let passed = tokio::select! {
            () = connection.event() => false,
            () = passes => true,
        };
        if passed {
            connection.passed();
        }
    }
    received.extend(connection.finish().await.unwrap_or_default());
    received
}
