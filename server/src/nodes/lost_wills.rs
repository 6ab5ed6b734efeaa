//! Wills of clients whose server is gone.

use std::{
    collections::{BTreeSet, HashMap},
    net::{Ipv4Addr, SocketAddr},
};

use futures_util::{StreamExt as _, stream};
use herald_broker::{Broker, Credential, Identity};
use herald_store::{ClaimedWill, LostWill, NodeId, ProcessId, Store, StoreError, Timestamp};

use super::Standing;

/// How many are read at once.
const PAGE: u32 = 1000;

/// How many are published at a time.
const AT_ONCE: usize = 64;

/// How many looks it takes until it is looked, if nothing has happened.
const LOOKS: u32 = 30;

/// What is known of them.
#[derive(Default)]
pub(super) struct LostWills {
    /// Which servers stood at the last look: what another one leaves comes with a change of that.
    stood: Option<BTreeSet<NodeId>>,
    /// Since when processes are known to be gone.
    gone: HashMap<ProcessId, Timestamp>,
    /// When the next one is due.
    next: Option<Timestamp>,
    looks: u32,
}

impl LostWills {
    /// Publishes those that are due, if there are any, while these servers stand.
    pub(super) async fn publish(
        &mut self,
        store: &Store,
        broker: &Broker,
        standing: &Standing,
        nodes: BTreeSet<NodeId>,
    ) {
        self.looks = (self.looks + 1) % LOOKS;
        let is_due = self.next.is_some_and(|next| next <= Timestamp::now());
        let is_same = self.stood.as_ref() == Some(&nodes);
        // What their clients may do has to be known.
        if (is_same && !is_due && self.looks != 0) || !standing.is_current() {
            return;
        }
        match self.look(store, broker).await {
            Ok(()) => self.stood = Some(nodes),
            Err(error) => {
                tracing::debug!(%error, "wills of servers that are gone could not be looked for");
            }
        }
    }

    async fn look(&mut self, store: &Store, broker: &Broker) -> Result<(), StoreError> {
        let (mut after, mut seen) = (None, BTreeSet::new());
        self.next = None;
        loop {
            let page = store.lost_wills(after.as_ref(), PAGE).await?;
            after = page.last().map(|last| last.key.clone());
            let is_last = page.len() < PAGE as usize;
            let now = Timestamp::now();
            let mut due = vec![];
            for will in page {
                seen.insert(will.process.clone());
                let gone = self.gone.entry(will.process.clone()).or_insert(now);
                match will.gone_at.unwrap_or(*gone) + will.delay {
                    at if at <= now => due.push(will),
                    at => self.next = Some(self.next.map_or(at, |next| next.min(at))),
                }
            }
            let publishing = due.into_iter().map(|will| publish(store, broker, will));
            let mut publishing = stream::iter(publishing).buffer_unordered(AT_ONCE);
            while let Some(is_decided) = publishing.next().await {
                if !is_decided {
                    self.next = Some(now);
                }
            }
            if is_last {
                self.gone.retain(|process, _| seen.contains(process));
                return Ok(());
            }
        }
    }
}

/// Publishes one, unless another server does, or its client is back. `false` if that is not known.
async fn publish(store: &Store, broker: &Broker, will: LostWill) -> bool {
    let claimed = store.claim_will(&will.key, will.number, Some(&will.process));
    let claimed = match claimed.await {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return true,
        Err(error) => {
            tracing::debug!(%error, "a will of a server that is gone could not be claimed");
            return false;
        }
    };
    let peer = claimed.peer.as_deref().and_then(|peer| peer.parse().ok());
    let peer = peer.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let user_id = will.key.user.as_str();
    let Some(identity) = identity(&claimed, user_id) else {
        return true;
    };
    tracing::debug!(user = %identity.username, client_id = ?will.key.client_id, "a will of a server that is gone is published");
    let client_id = will.key.client_id;
    let published = broker.publish_will(identity, client_id, peer, &claimed.text);
    if let Err(error) = published.await {
        tracing::warn!(user = claimed.username, %error, "a will of a server that is gone is lost");
    }
    true
}

/// `None` if a later version has written what is not understood.
fn identity(claimed: &ClaimedWill, user_id: &str) -> Option<Identity> {
    Some(Identity {
        user_id: user_id.into(),
        username: claimed.username.parse().ok()?,
        role: claimed.role,
        credential: match &claimed.token_id {
            None => Credential::Password,
            Some(id) => Credential::Token {
                id: id.as_str().into(),
                expires_at: None,
            },
        },
    })
}
