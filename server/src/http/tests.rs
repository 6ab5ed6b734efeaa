//! Connections over pipes in paused time: how long slow clients are waited for.

use poem::endpoint::make;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    task::JoinHandle,
    time::sleep,
};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: herald\r\n\r\n";
const DEADLINE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// The client's end of a connection that is served, the token that stops the server, and the task that serves it.
struct Served {
    client: DuplexStream,
    stop: CancellationToken,
    /// Of HTTP/2 requests.
    requests: TaskTracker,
    task: JoinHandle<()>,
    since: Instant,
}

/// Every request is answered after `work` with as many bytes.
fn served(work: Duration, bytes: usize) -> Served {
    served_by(work, bytes, SignIn::default())
}

fn served_by(work: Duration, bytes: usize, sign_in: SignIn) -> Served {
    let endpoint = make(move |_| async move {
        sleep(work).await;
        Ok::<_, poem::Error>(Response::builder().body(vec![b'x'; bytes]))
    });
    let stop = CancellationToken::new();
    let local = SocketAddr::from(([127, 0, 0, 1], 8443));
    let requests = TaskTracker::new();
    let http = Arc::new(Http {
        builder: builder(&requests),
        endpoint,
        local,
        scheme: Scheme::HTTP,
        stop: stop.clone(),
        bytes_per_s: 4096,
    });
    let (client, server) = duplex(1024);
    let since = Instant::now();
    Served {
        client,
        stop,
        requests,
        task: tokio::spawn(http.serve(server, local, since + DEADLINE, sign_in)),
        since,
    }
}

impl Served {
    /// Sends `bytes` and reads the head of the answer.
    async fn ask(&mut self, bytes: &[u8]) -> String {
        // The server may answer before it has read all.
        let _ = self.client.write_all(bytes).await;
        let mut answer = vec![];
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(self.client.read_u8().await.unwrap());
        }
        String::from_utf8(answer).unwrap()
    }

    /// Sends `unit` once a second until the connection ends.
    async fn drip(mut self, unit: &[u8]) -> Duration {
        let (mut reader, mut writer) = tokio::io::split(self.client);
        let dripping = async {
            while writer.write_all(unit).await.is_ok() {
                sleep(SECOND).await;
            }
        };
        let reading = async {
            let _ = reader.read_to_end(&mut vec![]).await;
        };
        tokio::join!(dripping, reading);
        (&mut self.task).await.unwrap();
        self.since.elapsed()
    }

    /// Leaves the connection as it is until it ends.
    async fn ended(&mut self) -> Duration {
        (&mut self.task).await.unwrap();
        self.since.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_ends_at_the_deadline_of_the_handshake() {
    let mut silent = served(Duration::ZERO, 0);
    assert_eq!(silent.ended().await, DEADLINE);
    let mut http2 = served(Duration::ZERO, 0);
    http2.client.write_all(PREFACE).await.unwrap();
    assert!(http2.ended().await <= DEADLINE + GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_in_is_not_waited_for() {
    let mut first = served(Duration::ZERO, 0);
    first
        .client
        .write_all(b"GET / HTTP/1.1\r\nA: ")
        .await
        .unwrap();
    assert!(first.drip(b"a").await <= DEADLINE + GRACE + SECOND);

    let mut later = served(Duration::ZERO, 0);
    assert!(later.ask(GET).await.starts_with("HTTP/1.1 200 "));
    later
        .client
        .write_all(b"GET / HTTP/1.1\r\nA: ")
        .await
        .unwrap();
    let ended = later.drip(b"a").await;
    assert!(ended <= watch::IDLE + GRACE + SECOND, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn http2_headers_that_drip_in_are_not_waited_for() {
    let mut headers = served(Duration::ZERO, 0);
    headers.client.write_all(PREFACE).await.unwrap();
    // HEADERS of stream 1 without END_HEADERS, and CONTINUATIONs with nothing in them.
    let first = b"\0\0\x01\x01\0\0\0\0\x01\x82";
    headers.client.write_all(first).await.unwrap();
    let ended = headers.drip(b"\0\0\0\x09\0\0\0\0\x01").await;
    assert!(ended <= DEADLINE + GRACE + SECOND, "{ended:?}");
    // A frame a byte at a time.
    let mut frame = served(Duration::ZERO, 0);
    frame.client.write_all(PREFACE).await.unwrap();
    frame
        .client
        .write_all(b"\0\x10\0\x01\x04\0\0\0\x01")
        .await
        .unwrap();
    let ended = frame.drip(b"\x82").await;
    assert!(ended <= DEADLINE + GRACE + SECOND, "{ended:?}");
    // Pings are no requests.
    let mut pings = served(Duration::ZERO, 0);
    pings.client.write_all(PREFACE).await.unwrap();
    let ended = pings.drip(b"\0\0\x08\x06\0\0\0\0\0pingpong").await;
    assert!(ended <= DEADLINE + GRACE + SECOND, "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept_for_a_minute_between_requests() {
    let mut served = served(Duration::ZERO, 0);
    for _ in 0..5 {
        sleep(watch::IDLE.mul_f64(0.15)).await;
        assert!(served.ask(GET).await.starts_with("HTTP/1.1 200 "));
    }
    let last = Instant::now();
    served.ended().await;
    assert_eq!(last.elapsed(), watch::IDLE);
}

#[tokio::test(start_paused = true)]
async fn a_connection_by_which_nobody_signs_in_does_not_last_however_much_it_is_used() {
    async fn used(sign_in: SignIn) -> Option<Duration> {
        let mut served = served_by(Duration::ZERO, 0, sign_in);
        while served.since.elapsed() < ANONYMOUS * 3 {
            if served.client.write_all(GET).await.is_err() {
                return Some(served.ended().await);
            }
            let mut answer = [0; 1024];
            match served.client.read(&mut answer).await {
                Ok(read) if read > 0 => {}
                _ => return Some(served.ended().await),
            }
            sleep(SECOND * 25).await;
        }
        None
    }
    let ended = used(SignIn::default()).await.unwrap();
    assert!(ended <= ANONYMOUS + SECOND * 30, "{ended:?}");
    let connections = Arc::new(crate::connections::Connections::new(10, 10));
    let counted = Arc::new(connections.enter([127, 0, 0, 1].into()).unwrap());
    let sign_in = SignIn::of(&counted);
    sign_in.done();
    assert_eq!(used(sign_in).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_request_may_take_the_server_longer_than_a_connection_may_be_idle() {
    let mut served = served(watch::IDLE * 2, 3);
    assert!(served.ask(GET).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_ends_the_connection() {
    let mut served = served(Duration::ZERO, 1024 * 1024);
    served.client.write_all(GET).await.unwrap();
    // It is looked at more than once, and each time hyper may find room for one more piece.
    assert!(served.ended().await <= watch::STALL * 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slowly_arrives() {
    let bytes = 512 * 1024;
    let mut served = served(Duration::ZERO, bytes);
    let head = served.ask(GET).await;
    assert!(
        head.contains(&format!("content-length: {bytes}\r\n")),
        "{head}"
    );
    for _ in 0..bytes / 4096 {
        served.client.read_exact(&mut [0; 4096]).await.unwrap();
        sleep(SECOND).await;
    }
    assert!(served.since.elapsed() > watch::STALL * 4);
    assert!(served.ask(GET).await.starts_with("HTTP/1.1 200 "));
}

/// 34 KB every 18 s was progress once.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slower_than_any_line_is_ends_the_connection() {
    let mut served = served(Duration::ZERO, 8 * 1024 * 1024);
    served.client.write_all(GET).await.unwrap();
    let (mut reader, _writer) = tokio::io::split(served.client);
    let reading = async {
        while reader.read_exact(&mut vec![0; 34_000]).await.is_ok() {
            sleep(SECOND * 18).await;
        }
    };
    tokio::join!(reading, async { (&mut served.task).await.unwrap() });
    assert!(served.since.elapsed() < watch::STALL * 5);
}

#[tokio::test(start_paused = true)]
async fn an_http2_answer_without_room_in_its_window_ends_the_connection() {
    let Served {
        client,
        task,
        since,
        ..
    } = served(Duration::ZERO, 1024 * 1024);
    let mut settings = h2::client::Builder::new();
    // The connection itself is read.
    settings.initial_window_size(100);
    let (mut requests, connection) = settings.handshake::<_, bytes::Bytes>(client).await.unwrap();
    let reading = tokio::spawn(connection);
    let request = http::Request::get("http://herald/").body(()).unwrap();
    let (answer, _) = requests.send_request(request, true).unwrap();
    let answer = answer.await.unwrap();
    // Other requests on the connection do not help.
    let others = async {
        loop {
            sleep(SECOND).await;
            let request = http::Request::head("http://herald/").body(()).unwrap();
            let Ok((answer, _)) = requests
                .clone()
                .ready()
                .await
                .and_then(|mut r| r.send_request(request, true))
            else {
                return;
            };
            if answer.await.is_err() {
                return;
            }
        }
    };
    others.await;
    task.await.unwrap();
    assert!(since.elapsed() <= watch::STALL + SECOND);
    drop((answer, reading));
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_answered_when_the_server_stops() {
    let mut busy = served(SECOND, 3);
    busy.client.write_all(GET).await.unwrap();
    sleep(SECOND / 2).await;
    busy.stop.cancel();
    let mut answer = String::new();
    busy.client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\nxxx"), "{answer}");
    assert_eq!(busy.ended().await, SECOND);

    let mut idle = served(Duration::ZERO, 3);
    idle.ask(GET).await;
    idle.client.read_exact(&mut [0; 3]).await.unwrap();
    idle.stop.cancel();
    assert_eq!(idle.ended().await, Duration::ZERO);

    let mut stuck = served(watch::IDLE, 3);
    stuck.client.write_all(GET).await.unwrap();
    sleep(SECOND).await;
    stuck.stop.cancel();
    assert_eq!(stuck.ended().await, SECOND + GRACE);
}

#[tokio::test(start_paused = true)]
async fn http2_requests_that_do_not_end_are_given_up_when_the_server_stops() {
    let mut stuck = served(watch::IDLE, 3);
    stuck.client.write_all(PREFACE).await.unwrap();
    // HEADERS of a GET, complete.
    let get = b"\0\0\x0b\x01\x05\0\0\0\x01\x82\x86\x84\x41\x06herald";
    stuck.client.write_all(get).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(stuck.requests.len(), 1);
    stuck.stop.cancel();
    assert_eq!(stuck.ended().await, SECOND + GRACE);
    stuck.requests.close();
    stuck.requests.wait().await;
    assert_eq!(stuck.since.elapsed(), SECOND + GRACE);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_large_is_refused() {
    for head in [
        [&b"GET / HTTP/1.1\r\nA: "[..], &[b'a'; BUFFER]].concat(),
        [
            &b"GET / HTTP/1.1\r\n"[..],
            &b"A: b\r\n".repeat(101),
            b"\r\n",
        ]
        .concat(),
    ] {
        let mut served = served(Duration::ZERO, 0);
        let answer = served.ask(&head).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        served.ended().await;
    }
}
