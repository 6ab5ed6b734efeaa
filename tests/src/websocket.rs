//! MQTT in the frames of a WebSocket, cut as a test wants them.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::herald::Herald;

/// A WebSocket to a server that runs without TLS.
pub async fn websocket(herald: &Herald) -> WebSocketStream<TcpStream> {
    let address = herald.http_address();
    let mut request = format!("ws://{address}/mqtt")
        .into_client_request()
        .unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "mqtt".parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.unwrap().0
}

/// Where a TCP client reaches the server over a WebSocket. What the client sends comes in frames of `chunk` bytes; with
/// `None` a frame holds all that there is.
pub async fn bridge(herald: &Herald, chunk: Option<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let socket = websocket(herald).await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut reader, mut writer) = split(stream);
        let (mut sink, mut source) = socket.split();
        let sending = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = reader.read(&mut buffer).await {
                for frame in buffer[..n].chunks(chunk.unwrap_or(n)) {
                    sink.send(Message::binary(frame.to_vec())).await.unwrap();
                }
            }
            let _ = sink.close().await;
        };
        let receiving = async {
            while let Some(Ok(message)) = source.next().await {
                if let Message::Binary(bytes) = message {
                    writer.write_all(&bytes).await.unwrap();
                }
            }
            let _ = writer.shutdown().await;
        };
        tokio::join!(sending, receiving)
    });
    address
}
