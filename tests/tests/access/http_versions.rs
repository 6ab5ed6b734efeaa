//! HTTP/1.1 and HTTP/2, and what a client of HTTP/2 may ask for at once.

use std::collections::HashSet;

use futures_util::future::join_all;
use h2::{Reason, client};
use herald_tests::{Herald, within};
use http::Request;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
};

use crate::wire::{expect_unharmed, plain};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const REFUSED_STREAM: u32 = 7;

/// Streams that the server serves at once.
const STREAMS: usize = 100;

/// What curl got: the version it spoke, the status, and headers and body but for the time.
async fn curl(herald: &Herald, version: &str, args: &[&str], path: &str) -> (String, String) {
    let url = format!("https://localhost:{}{path}", port(herald));
    let curl = Command::new("curl")
        .args(["--silent", "--show-error", "--include", version])
        .args(["--cacert", herald.ca().to_str().unwrap()])
        .args(args)
        .arg(url)
        .output();
    let output = within("curl", curl).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    let (version, status) = line.split_once(' ').unwrap();
    let (head, body) = rest.split_once("\r\n\r\n").unwrap();
    let differs = |line: &str| line.starts_with("date") || line.starts_with("x-request-id");
    let mut headers: Vec<&str> = head.lines().filter(|line| !differs(line)).collect();
    headers.sort_unstable();
    let status = &status[..3];
    (version.into(), format!("{status}\n{headers:?}\n{body}"))
}

fn port(herald: &Herald) -> &str {
    herald.http_address().rsplit_once(':').unwrap().1
}

#[tokio::test]
async fn both_versions_get_the_same_answers() {
    let herald = Herald::start().await;
    let json: &[&str] = &["--header", "Content-Type: application/json", "--data"];
    let login = [
        json,
        &["{\"username\": \"admin\", \"password\": \"wrong\"}"],
    ]
    .concat();
    let broken = [json, &["{"]].concat();
    let cases: [(&[&str], &str); 8] = [
        (&[], "/"),
        (&[], "/docs/swagger-ui.js"),
        (&[], "/api/openapi.json"),
        (&[], "/api/v1/messages"),
        (&["--request", "TRACE"], "/api/v1/messages"),
        (&login, "/api/v1/auth/login"),
        (&broken, "/api/v1/auth/login"),
        (
            &[
                "--header",
                "Origin: https://evil.example",
                "--request",
                "POST",
            ],
            "/api/v1/messages",
        ),
    ];
    for (args, path) in cases {
        let (one, old) = curl(&herald, "--http1.1", args, path).await;
        let (two, new) = curl(&herald, "--http2", args, path).await;
        assert_eq!((one.as_str(), two.as_str()), ("HTTP/1.1", "HTTP/2"));
        assert!(old == new, "{path}:\n{old:.2000}\n{new:.2000}");
    }
}

#[tokio::test]
async fn a_thousand_requests_of_one_connection_are_answered() {
    let herald = plain().await;
    let stream = TcpStream::connect(herald.http_address()).await.unwrap();
    let mut client = client::Builder::new();
    client.initial_max_send_streams(10);
    let (requests, connection) = client.handshake::<_, bytes::Bytes>(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let get = async |n: u32| {
        let uri = format!("http://localhost/api/v1/messages/{n}");
        let request = Request::get(uri).body(()).unwrap();
        let mut requests = requests.clone().ready().await.unwrap();
        let (answer, _) = requests.send_request(request, true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(requests.current_max_send_streams(), STREAMS);
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
        status
    };
    let answers = within("a thousand answers", join_all((0..1000).map(get))).await;
    assert!(answers.iter().all(|&status| status == 401), "{answers:?}");
    drop(requests);
    within("the end", connection).await.unwrap().unwrap();
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn a_client_that_opens_more_streams_than_it_may_is_refused_those() {
    let herald = plain().await;
    let mut stream = TcpStream::connect(herald.http_address()).await.unwrap();
    let requests: Vec<u8> = (0..1000).flat_map(|n| post(2 * n + 1)).collect();
    stream.write_all(PREFACE).await.unwrap();
    // In the middle of a flood the server may have had enough.
    let _ = stream.write_all(&requests).await;
    let mut refused = HashSet::new();
    within("the refusals", async {
        while let Some(frame) = frame(&mut stream).await {
            match frame.kind {
                RST_STREAM if frame.code() == REFUSED_STREAM => drop(refused.insert(frame.stream)),
                GOAWAY => break,
                _ => {}
            }
            if refused.len() == 1000 - STREAMS {
                break;
            }
        }
    })
    .await;
    assert!(!refused.is_empty());
    assert!(
        refused.iter().all(|&stream| stream > 2 * STREAMS as u32),
        "{refused:?}"
    );
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn a_flood_of_requests_that_are_taken_back_hurts_nobody_else() {
    let herald = plain().await;
    let stream = TcpStream::connect(herald.http_address()).await.unwrap();
    let (requests, connection) = client::handshake(stream).await.unwrap();
    let other = tokio::spawn(connection);
    let get = async || {
        let request = Request::get("http://localhost/readyz").body(()).unwrap();
        let mut requests = requests.clone().ready().await.unwrap();
        let (answer, _) = requests.send_request(request, true).unwrap();
        answer.await.unwrap().status().as_u16()
    };
    assert_eq!(get().await, 200);
    // CVE-2023-44487.
    let mut stream = TcpStream::connect(herald.http_address()).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let flood: Vec<u8> = (0..2000)
        .flat_map(|n| {
            let id: u32 = 2 * n + 1;
            let mut both = post(id);
            both.extend_from_slice(b"\0\0\x04\x03\0");
            both.extend_from_slice(&id.to_be_bytes());
            both.extend_from_slice(&u32::from(Reason::CANCEL).to_be_bytes());
            both
        })
        .collect();
    let flooding = async {
        let _ = stream.write_all(&flood).await;
        // The server ends it; had it not, its next frame would be an answer to this.
        let _ = stream.write_all(b"\0\0\x08\x06\0\0\0\0\0pingpong").await;
        while let Some(frame) = frame(&mut stream).await {
            if frame.kind == GOAWAY || frame.kind == 6 {
                return frame.kind;
            }
        }
        GOAWAY
    };
    let (kind, answers) = within("the end of the flood", async {
        tokio::join!(flooding, async { [get().await, get().await, get().await] })
    })
    .await;
    assert_eq!(kind, GOAWAY);
    assert_eq!(answers, [200; 3]);
    expect_unharmed(&herald).await;
    drop(requests);
    within("the end", other).await.unwrap().unwrap();
}

/// HEADERS of a request on stream `id` whose body does not come (RFC 9113, RFC 7541).
fn post(id: u32) -> Vec<u8> {
    let path = "/api/v1/auth/login";
    let mut block = vec![0x83, 0x86];
    block.extend_from_slice(&[0x44, path.len() as u8]);
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(b"\x41\x06herald");
    let mut frame = vec![0, 0, block.len() as u8, 1, 4];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(&block);
    frame
}

struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// The next frame; `None` at the end.
async fn frame(stream: &mut TcpStream) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind: head[3],
        stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
        payload,
    })
}
