//! A server that is several, behind a load balancer.

use std::sync::Arc;

use super::{Herald, front::Front};
use crate::{
    raw::{Connect, Raw},
    version::Version,
    wait::until,
};

impl Herald {
    /// Starts as many more servers as are to be, if they do not run yet; all have the certificate of this one.
    pub(super) async fn begin_others(&mut self) {
        if self.nodes < 2 {
            return;
        }
        let is_first = self.front.is_none();
        while self.others.len() + 1 < self.nodes {
            let mut other = self.other();
            Box::pin(other.begin()).await;
            self.others.push(other);
        }
        if is_first {
            let addresses: Vec<_> = self.all().map(|server| server.tcp_address()).collect();
            acquaint(&addresses).await;
            self.front = Some(Arc::new(Front::start().await));
        }
        self.spread();
    }

    /// Another server on the same database.
    fn other(&self) -> Self {
        let mut other = Self::stopped_with(self.database.clone(), &[]);
        other.settings.clone_from(&self.settings);
        let tls = self.data_dir().join("tls");
        if tls.exists() {
            let file = |name| tls.join(name).to_str().unwrap().to_owned();
            other.settings.extend([
                ("HERALD_TLS__MODE".into(), "files".into()),
                ("HERALD_TLS__CERT".into(), file("server.pem")),
                ("HERALD_TLS__KEY".into(), file("server.key")),
            ]);
        }
        other
    }

    /// All that run.
    fn all(&self) -> impl Iterator<Item = &Self> {
        self.others.iter().chain([self])
    }

    /// Has connections go to all servers, where they listen now.
    fn spread(&self) {
        let Some(front) = &self.front else { return };
        let runs: Vec<_> = self.all().map(Self::run).collect();
        let of = |address: fn(&super::Run) -> &Option<String>| {
            let addresses = runs.iter().filter_map(|run| address(run).clone());
            addresses.collect()
        };
        front.http.spread_over(of(|run| &run.http));
        front.tls.spread_over(of(|run| &run.mqtt_tls));
        front.tcp.spread_over(of(|run| &run.mqtt_tcp));
    }
}

/// Waits until each of the servers with these addresses of plain MQTT hears each other. The administrator has the first password.
pub async fn acquaint(addresses: &[&str]) {
    let connected = async |address: &str, id: &str| {
        let connect = Connect::of("admin").client_id(id);
        let mut raw = Raw::over(address, Version::V5).await;
        assert_eq!(raw.login(&connect).await, 0);
        raw
    };
    for (at, address) in addresses.iter().enumerate() {
        let topic = format!("broadcast/acquaint/{at}");
        let mut listeners = vec![];
        for other in addresses {
            let mut raw = connected(other, &format!("acquaint {at} {other}")).await;
            raw.subscribe(&topic).await;
            listeners.push((raw, false));
        }
        let mut admin = connected(address, &format!("acquaint {at}")).await;
        until("all to hear it", async || {
            admin.publish(&topic, "do you hear me").await;
            for (raw, heard) in &mut listeners {
                // Who takes nothing is disconnected in the end.
                for publish in raw.at_once().await {
                    raw.finish(&publish).await;
                    *heard = true;
                }
            }
            listeners.iter().all(|(_, heard)| *heard).then_some(())
        })
        .await;
    }
}
