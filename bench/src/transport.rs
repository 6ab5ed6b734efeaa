//! The four ways that MQTT comes: TCP, TLS, and WebSocket over either.

use std::{fmt, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use clap::ValueEnum;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// What carries MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Tcp,
    #[value(name = "ws")]
    WebSocket,
    Tls,
    #[value(name = "wss")]
    SecureWebSocket,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "TCP",
            Self::WebSocket => "WS",
            Self::Tls => "TLS",
            Self::SecureWebSocket => "WSS",
        })
    }
}

/// Where a server takes connections, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    /// For TLS.
    pub(crate) trust: Option<TlsConnector>,
}

/// Trusts the authority in the file `ca`. No session is resumed: the clients stand for as many machines.
pub(crate) fn trust(ca: &Path) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A byte stream.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// An open connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<dyn Bytes>),
    WebSocket(Box<WebSocketStream<Box<dyn Bytes>>>),
}

impl Stream {
    /// Opens a connection to `target`, handshakes and all.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(target.address).await?;
        tcp.set_nodelay(true)?;
        if target.transport == Transport::Tcp {
            return Ok(Self::Tcp(tcp));
        }
        let bytes: Box<dyn Bytes> = match &target.trust {
            Some(tls) => {
                let name = ServerName::from(target.address.ip());
                Box::new(tls.connect(name, tcp).await?)
            }
            None => Box::new(tcp),
        };
        match target.transport {
            Transport::WebSocket | Transport::SecureWebSocket => {
                Ok(Self::WebSocket(Box::new(upgrade(target, bytes).await?)))
            }
            _ => Ok(Self::Tls(bytes)),
        }
    }

    /// Sends `bytes`.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await?,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await?;
            }
            Self::WebSocket(socket) => socket.send(Message::Binary(bytes.to_vec().into())).await?,
        }
        Ok(())
    }

    /// Appends what comes next to `received`.
    pub(crate) async fn receive(&mut self, received: &mut BytesMut) -> anyhow::Result<()> {
        let bytes: &mut dyn Bytes = match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream,
            Self::WebSocket(socket) => {
                match socket.next().await.context("the server closed")?? {
                    Message::Binary(bytes) => received.extend(bytes),
                    Message::Ping(_) | Message::Pong(_) => {}
                    other => bail!("a message that was not expected: {other:?}"),
                }
                return Ok(());
            }
        };
        received.reserve(READ);
        if bytes.read_buf(received).await? == 0 {
            bail!("the server closed");
        }
        Ok(())
    }
}

async fn upgrade(
    target: &Target,
    bytes: Box<dyn Bytes>,
) -> anyhow::Result<WebSocketStream<Box<dyn Bytes>>> {
    let scheme = if target.trust.is_some() { "wss" } else { "ws" };
    let mut request = format!("{scheme}://{}/mqtt", target.address).into_client_request()?;
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "mqtt".parse()?);
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0);
    let (socket, _) = client_async_with_config(request, bytes, Some(config)).await?;
    Ok(socket)
}
