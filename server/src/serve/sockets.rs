//! Where clients connect.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use herald_broker::{Broker, Origin, Transport};
use tokio::{net::TcpListener, time::timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::{Accept, Connection},
    config::Config,
    connections::Connections,
    run_file::Addresses,
    tasks::{Stage, Tasks},
};

/// The sockets, bound before anything else is promised.
pub(super) struct Sockets {
    http: TcpListener,
    mqtt_tls: Option<TcpListener>,
    mqtt_tcp: Option<TcpListener>,
}

impl Sockets {
    pub(super) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let optional = async |key, address| match address {
            Some(address) => listen(key, address).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            http: listen("http.listen", config.http.listen).await?,
            mqtt_tls: optional("mqtt.listen_tls", config.listen_tls()).await?,
            mqtt_tcp: optional("mqtt.listen_tcp", config.mqtt.listen_tcp).await?,
        })
    }

    /// The real addresses.
    pub(super) fn addresses(&self) -> anyhow::Result<Addresses> {
        let of = |listener: &Option<TcpListener>| {
            listener.as_ref().map(TcpListener::local_addr).transpose()
        };
        Ok(Addresses {
            http: self.http.local_addr()?,
            mqtt_tls: of(&self.mqtt_tls)?,
            mqtt_tcp: of(&self.mqtt_tcp)?,
            metrics: None,
        })
    }

    /// Serves MQTT on the sockets that are for it, each in one of `tasks`, and its connections in `serving`.
    pub(super) fn listen_mqtt(
        &mut self,
        tls: Option<&rustls::ServerConfig>,
        connections: &Arc<Connections>,
        broker: &Broker,
        serving: &TaskTracker,
        tasks: &mut Tasks,
    ) {
        let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::new(tls.clone())));
        for (name, listener, tls, transport) in [
            (
                "MQTT listener with TLS",
                self.mqtt_tls.take(),
                acceptor,
                Transport::Tls,
            ),
            ("MQTT listener", self.mqtt_tcp.take(), None, Transport::Tcp),
        ] {
            let Some(listener) = listener else { continue };
            let broker = broker.clone();
            let serve = move |connection: Connection, peer, deadline| {
                let (origin, sign_in) = (Origin { peer, transport }, connection.sign_in());
                let mut session = Box::pin(broker.serve(connection, origin, deadline));
                async move {
                    // What lasts longer has signed in.
                    if timeout_at(deadline, session.as_mut()).await.is_err() {
                        sign_in.done();
                        session.await;
                    }
                }
            };
            tasks.spawn(Stage::Work, name, |stop| {
                let accept = Accept {
                    listener,
                    tls,
                    connections: connections.clone(),
                    stop,
                    tasks: serving.clone(),
                };
                accept.run(serve)
            });
        }
    }

    /// What HTTP accepts.
    pub(super) fn http(
        self,
        tls: Option<rustls::ServerConfig>,
        connections: &Arc<Connections>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Accept {
        let tls = tls.map(|mut tls| {
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(tls))
        });
        Accept {
            listener: self.http,
            tls,
            connections: connections.clone(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        }
    }
}

async fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is it taken? choose another with {key}")
    })
}
