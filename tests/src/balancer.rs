//! What spreads connections over several servers, as a load balancer of TCP does.

use std::{
    sync::{Arc, Mutex},
    thread,
};

use rand::seq::SliceRandom as _;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    runtime,
    sync::oneshot,
    task::JoinSet,
};

/// Each connection goes to a random server of those that take it. Dropping it ends all connections.
pub struct Balancer {
    address: String,
    servers: Servers,
    _stop: oneshot::Sender<()>,
}

type Servers = Arc<Mutex<Vec<String>>>;

impl Balancer {
    /// One that knows no server yet. It outlives the runtime of the test that starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let listener = listener.into_std().unwrap();
        let servers = Servers::default();
        let (stop, stopped) = oneshot::channel();
        let targets = servers.clone();
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, targets) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            servers,
            _stop: stop,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// New connections go to these addresses.
    pub fn spread_over(&self, servers: Vec<String>) {
        *self.servers.lock().unwrap() = servers;
    }
}

async fn accept(listener: TcpListener, servers: Servers) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let mut servers = servers.lock().unwrap().clone();
        servers.shuffle(&mut rand::rng());
        connections.spawn(pass_on(client, servers));
        while connections.try_join_next().is_some() {}
    }
}

async fn pass_on(mut client: TcpStream, servers: Vec<String>) {
    for server in servers {
        if let Ok(mut server) = TcpStream::connect(server).await {
            let _ = client.set_nodelay(true);
            let _ = server.set_nodelay(true);
            // Whoever ends it, both learn of it.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
