//! Ways within TLS for clients that know none.

use std::{fs, io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::websocket;

/// How a connection comes to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// MQTT over TLS.
    Tls,
    /// MQTT over WebSocket over TLS.
    Wss,
}

/// Where one TCP client reaches `address` of loopback by this way, which trusts the authority in the file `ca`.
///
/// # Errors
///
/// If nobody is there, or whoever is ends the connection.
pub async fn secured(way: Way, address: &str, ca: &Path) -> io::Result<String> {
    let stream = connect(address, ca).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let local = listener.local_addr()?.to_string();
    match way {
        Way::Tls => {
            tokio::spawn(carry(listener, stream));
        }
        Way::Wss => {
            let url = format!("wss://{address}/mqtt");
            let socket = websocket::over(&url, stream).await;
            let socket = socket.map_err(io::Error::other)?;
            tokio::spawn(websocket::carry(listener, socket, None));
        }
    }
    Ok(local)
}

async fn carry(listener: TcpListener, mut stream: TlsStream<TcpStream>) {
    let (mut client, _) = listener.accept().await.unwrap();
    // Whoever ends it, both learn of it.
    let _ = copy_bidirectional(&mut client, &mut stream).await;
}

async fn connect(address: &str, ca: &Path) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(&fs::read(ca)?).map_err(io::Error::other)?;
    roots.add(ca).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}
