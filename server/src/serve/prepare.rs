//! What is put right before anything is served.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use herald_acl::Policy;
use herald_api::Accounts;
use herald_store::{Node, Store, Timestamp};
use tokio::time::sleep;

use crate::{
    config::{Config, TlsMode},
    inbox_mark::InboxMark,
    nodes::{self, OwnNode},
    rights_watch::RightsWatch,
};

use super::sockets::Sockets;

/// How often it is looked whether another server is there.
const LOOK: Duration = Duration::from_millis(250);

/// What there has to be before anything is served.
pub(super) struct Prepared {
    pub(super) inbox_mark: InboxMark,
    pub(super) accounts: Arc<Accounts>,
    pub(super) default_password: bool,
    pub(super) sockets: Sockets,
    pub(super) policy: Policy,
    pub(super) rights: RightsWatch,
    /// Of a database that other servers may have, too.
    pub(super) node: Option<OwnNode>,
    /// The last change of what is retained, before it is loaded.
    pub(super) retained: i64,
}

/// Puts what is in `store` right for a new run, and takes the sockets.
pub(super) async fn prepare(config: &Config, store: &Store) -> anyhow::Result<Prepared> {
    let inbox_mark = InboxMark::settle(&config.data_dir, store).await?;
    let accounts = Arc::new(Accounts::new(store.clone()));
    if accounts.seed().await? {
        tracing::info!("created the administrator admin");
    }
    let default_password = accounts.default_password_stands().await?;
    if default_password && let Some(beyond) = config.beyond_loopback() {
        bail!(
            "will not listen on {beyond} while the administrator's password is 'admin'; \
             run: herald admin reset-password admin"
        );
    }
    if default_password {
        tracing::warn!(
            "the administrator's password is 'admin', which everyone knows; \
             run: herald admin reset-password admin"
        );
    }
    // Elsewhere another server may be at work on them; what nobody is at work on comes back when that server's lease ends.
    let released = if store.is_exclusive() {
        store.release_all().await?
    } else {
        0
    };
    if released > 0 {
        tracing::info!(
            messages = released,
            "messages that were being processed will be processed again"
        );
    }
    if let Some(ahead) = store.ahead_of_clock(Timestamp::now()).await? {
        tracing::warn!(
            messages = ahead.messages,
            until = %ahead.last_due,
            "messages wait that were accepted while the system's clock was ahead; if the clock is right now, set the delay \
             with apply_to_queued (PUT /admin/delay, or a user's own), which lets them wait from now on"
        );
    }
    let sockets = Sockets::bind(config).await?;
    let (mut policy, mut rights) = RightsWatch::load(store).await?;
    if config.tls.mode == TlsMode::Auto {
        refuse_beside_others(store).await?;
    }
    // Last: from here on others rely on it.
    let node = OwnNode::join(store, rights.in_force()).await?;
    if node.is_some() {
        // Until then nobody has waited for it.
        policy = rights.load_again().await?;
    }
    Ok(Prepared {
        inbox_mark,
        accounts,
        default_password,
        sockets,
        policy,
        rights,
        node,
        retained: store.last_retained_change().await?,
    })
}

/// A certificate that a server makes itself is of an authority of its own, and clients of several machines come to any of them.
/// One that says nothing any more was killed, and may be what this one was before.
async fn refuse_beside_others(store: &Store) -> anyhow::Result<()> {
    let own = nodes::machine();
    let elsewhere = async || {
        let all = store.nodes().await?.into_iter();
        let all: Vec<_> = all.filter(|node| node.stands && node.name != own).collect();
        Ok::<_, anyhow::Error>(all)
    };
    let before = elsewhere().await?;
    let mut now = before.clone();
    while !now.is_empty() {
        let goes_on = |node: &&Node| {
            let was = before.iter().find(|was| was.id == node.id);
            was.is_none_or(|was| was.lease_until < node.lease_until)
        };
        if let Some(other) = now.iter().find(goes_on) {
            bail!(
                "tls.mode is \"auto\", and {:?} serves this database, too: clients that trust this server's own authority would \
                 not trust the other's. Give all servers one certificate: tls.mode = \"files\" with tls.cert and tls.key, or \
                 \"off\" behind a proxy",
                other.name
            );
        }
        sleep(LOOK).await;
        now = elsewhere().await?;
    }
    Ok(())
}
