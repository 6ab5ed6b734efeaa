//! MQTT in the frames of a WebSocket, cut as a test wants them.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest as _},
};

use crate::herald::Herald;

/// A WebSocket to a server that runs without TLS.
pub async fn websocket(herald: &Herald) -> WebSocketStream<TcpStream> {
    let address = herald.http_address();
    let stream = TcpStream::connect(address).await.unwrap();
    over(&format!("ws://{address}/mqtt"), stream).await.unwrap()
}

/// A WebSocket for MQTT on a connection.
pub(crate) async fn over<S: AsyncRead + AsyncWrite + Unpin>(
    url: &str,
    stream: S,
) -> tungstenite::Result<WebSocketStream<S>> {
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "mqtt".parse().unwrap());
    Ok(client_async(request, stream).await?.0)
}

/// Where a TCP client reaches the server over a WebSocket. What the client sends comes in frames of `chunk` bytes; with
/// `None` a frame holds all that there is.
pub async fn bridge(herald: &Herald, chunk: Option<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let socket = websocket(herald).await;
    tokio::spawn(carry(listener, socket, chunk));
    address
}

/// Carries what the first client of `listener` sends, and what it gets.
pub(crate) async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    listener: TcpListener,
    socket: WebSocketStream<S>,
    chunk: Option<usize>,
) {
    let (stream, _) = listener.accept().await.unwrap();
    let (mut reader, mut writer) = split(stream);
    let (mut sink, mut source) = socket.split();
    let sending = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = reader.read(&mut buffer).await {
            for frame in buffer[..n].chunks(chunk.unwrap_or(n)) {
                // A server that has gone takes no more.
                let _ = sink.send(Message::binary(frame.to_vec())).await;
            }
        }
        let _ = sink.close().await;
    };
    let receiving = async {
        while let Some(Ok(message)) = source.next().await {
            if let Message::Binary(bytes) = message
                && writer.write_all(&bytes).await.is_err()
            {
                break;
            }
        }
        let _ = writer.shutdown().await;
    };
    tokio::join!(sending, receiving);
}
