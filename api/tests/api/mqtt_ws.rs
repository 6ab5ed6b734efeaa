use std::{net::SocketAddr, sync::Arc};

use futures_util::{SinkExt, StreamExt};
use herald_api::MqttStream;
use poem::{
    Server,
    listener::{Acceptor, Listener, TcpListener},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, handshake::client::Response},
};

use crate::client::Herald;

type Connection = (Box<dyn MqttStream>, SocketAddr);

/// The API on a port, handing connections to the test.
struct Port {
    address: SocketAddr,
    connections: mpsc::Receiver<Connection>,
    server: JoinHandle<()>,
    _dir: TempDir,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Port {
    async fn open() -> Self {
        let (sender, connections) = mpsc::channel::<Connection>(1);
        let herald = Herald::start_with(|options| {
            options.tls = false;
            options.allowed_origins = vec!["https://app.example".into()];
            options.mqtt = Arc::new(move |stream, address| {
                let sender = sender.clone();
                Box::pin(async move {
                    let _ = sender.send((stream, address)).await;
                })
            });
        })
        .await;
        let acceptor = TcpListener::bind("127.0.0.1:0")
            .into_acceptor()
            .await
            .unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let (endpoint, dir) = herald.into_endpoint();
        let server = tokio::spawn(async move {
            Server::new_with_acceptor(acceptor)
                .run(endpoint)
                .await
                .unwrap();
        });
        Self {
            address,
            connections,
            server,
            _dir: dir,
        }
    }

    async fn handshake(
        &self,
        protocol: Option<&str>,
        origin: Option<&str>,
    ) -> Result<(WebSocketStream<TcpStream>, Response), Error> {
        let mut request = format!("ws://{}/mqtt", self.address)
            .into_client_request()
            .unwrap();
        let headers = request.headers_mut();
        if let Some(protocol) = protocol {
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert("origin", origin.parse().unwrap());
        }
        let tcp = TcpStream::connect(self.address).await.unwrap();
        client_async(request, tcp).await
    }

    /// Both ends of a connection.
    async fn connect(&mut self) -> (WebSocketStream<TcpStream>, Box<dyn MqttStream>) {
        let (client, _) = self.handshake(Some("mqtt"), None).await.unwrap();
        let (server, _) = self.connections.recv().await.unwrap();
        (client, server)
    }

    async fn expect_refusal(
        &self,
        protocol: Option<&str>,
        origin: Option<&str>,
        status: u16,
        code: &str,
    ) {
        let Err(Error::Http(response)) = self.handshake(protocol, origin).await else {
            panic!("not refused: {protocol:?}, {origin:?}");
        };
        assert_eq!(response.status(), status, "{protocol:?}, {origin:?}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let body = response.into_body().unwrap_or_default();
        if !body.is_empty() {
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem["code"], code);
        }
    }
}

#[tokio::test]
async fn the_handshake_agrees_on_mqtt_and_tells_the_address() {
    let mut port = Port::open().await;
    let (client, response) = port.handshake(Some("other, mqtt"), None).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
    let (_, address) = port.connections.recv().await.unwrap();
    assert_eq!(address, client.get_ref().local_addr().unwrap());
}

/// Written by hand, as the client of other tests looks at its first line alone.
#[tokio::test]
async fn the_lines_of_protocols_are_one_list() {
    let port = Port::open().await;
    for lines in [["other", "mqtt"], ["mqtt", "other"], ["a, b", "c,mqtt"]] {
        let mut tcp = TcpStream::connect(port.address).await.unwrap();
        let protocols = lines.map(|line| format!("Sec-WebSocket-Protocol: {line}\r\n"));
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            port.address,
            protocols.concat(),
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![];
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(tcp.read_buf(&mut answer).await.unwrap(), 0);
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101"), "{lines:?}: {answer}");
        assert!(
            answer.contains("\r\nsec-websocket-protocol: mqtt\r\n"),
            "{answer}"
        );
        // RFC 6455 section 1.3.
        assert!(answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
    }
}

#[tokio::test]
async fn a_handshake_without_mqtt_is_refused() {
    let port = Port::open().await;
    for protocol in [None, Some("mqttv3.1"), Some("MQTT"), Some("soap")] {
        port.expect_refusal(protocol, None, 400, "bad_request")
            .await;
    }
}

#[tokio::test]
async fn only_the_own_pages_and_listed_ones_may_connect() {
    let port = Port::open().await;
    let own = format!("http://{}", port.address);
    for origin in [own.as_str(), "https://app.example"] {
        let connected = port.handshake(Some("mqtt"), Some(origin)).await;
        assert!(connected.is_ok(), "{origin}");
    }
    let other_scheme = format!("https://{}", port.address);
    for origin in ["https://evil.example", "null", &other_scheme] {
        port.expect_refusal(Some("mqtt"), Some(origin), 403, "origin_not_allowed")
            .await;
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_refused() {
    let herald = Herald::start().await;
    let answer = herald.get("/mqtt").send().await;
    answer.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn bytes_pass_however_messages_cut_them() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    for part in ["spl", "it", "", " and joined"] {
        client.send(Message::binary(part)).await.unwrap();
    }
    let mut bytes = [0; 16];
    server.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"split and joined");

    let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
    let writer = {
        let sent = sent.clone();
        tokio::spawn(async move {
            server.write_all(&sent).await.unwrap();
            server.flush().await.unwrap();
            server
        })
    };
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend(client.next().await.unwrap().unwrap().into_data());
    }
    assert!(received == sent);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_while_the_session_waits() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    let reader = tokio::spawn(async move { server.read_u8().await });
    client.send(Message::Ping("?".into())).await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::Pong("?".into())
    );
    reader.abort();
}

#[tokio::test]
async fn a_close_frame_is_the_end_and_is_answered() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    client.send(Message::binary("last")).await.unwrap();
    client.close(None).await.unwrap();
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"last");
    assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn shutting_down_sends_a_close_frame() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    server.write_all(b"bye").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::binary("bye")
    );
    assert!(matches!(client.next().await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn text_ends_the_connection() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    client.send(Message::text("hello")).await.unwrap();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

/// A frame of a terabyte, of which some has come.
#[tokio::test]
async fn a_message_passes_before_its_end_has_come() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    server.write_all(b"let in").await.unwrap();
    server.flush().await.unwrap();
    // Masked with zeros.
    let head = [0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    client.get_mut().write_all(&head).await.unwrap();
    for round in 0..100 {
        let sent = vec![round; 50_000];
        client.get_mut().write_all(&sent).await.unwrap();
        // The last 4 KiB may wait for what comes next.
        let length = if round == 0 { 45_000 } else { 50_000 };
        let mut bytes = vec![0; length];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(bytes.last(), Some(&round));
    }
}

/// CONNECT is smaller, and until it is answered its sender is nobody.
#[tokio::test]
async fn no_more_is_read_before_the_first_answer_than_a_connect_may_be() {
    for message in [
        Message::binary(vec![0; 40_000]),
        Message::Ping(vec![0; 125].into()),
    ] {
        let mut port = Port::open().await;
        let (mut client, mut server) = port.connect().await;
        let flood =
            tokio::spawn(async move { while client.send(message.clone()).await.is_ok() {} });
        let mut read = 0;
        let error = loop {
            match server.read(&mut [0; 8192]).await {
                Ok(bytes) => read += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(read <= 100_000, "{read}");
        drop(server);
        flood.await.unwrap();
    }
}

#[tokio::test]
async fn pings_that_nobody_reads_the_answers_of_do_not_fill_memory() {
    let mut port = Port::open().await;
    let (mut client, mut server) = port.connect().await;
    server.write_all(b"let in").await.unwrap();
    server.flush().await.unwrap();
    let reader = tokio::spawn(async move { server.read_u8().await });
    let payload = vec![0; 125];
    for _ in 0..50_000 {
        client
            .feed(Message::Ping(payload.clone().into()))
            .await
            .unwrap();
    }
    client.send(Message::binary("x")).await.unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), b'x');
}
