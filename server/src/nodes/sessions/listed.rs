//! The sessions of all servers, for administrators.

use std::time::Duration;

use herald_acl::Username;
use herald_api::LiveConnection;
use herald_broker::{Broker, OwnSession, SessionEnd};
use herald_store::{EndReason, ListedMqttSession, Store, StoreError};
use tokio::time::{sleep, timeout};

use super::rows;
use crate::nodes::message::TellNodes;

/// How long it is waited until a session that was ended is gone. It is on its way to its end then.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_millis(25);

/// At most `limit` of `username`, if given, behind the one with the id `after`.
pub(super) async fn list(
    store: &Store,
    broker: &Broker,
    username: Option<&Username>,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<LiveConnection>, StoreError> {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let page = store.list_mqtt_sessions(username.map(Username::as_str), after, limit);
    let listed = page.await?.items.into_iter();
    Ok(listed.filter_map(|one| shown(one, store, broker)).collect())
}

/// As the API shows it. Of a session of this server the broker knows more; what it does not know by this id is at its beginning
/// or its end.
fn shown(listed: ListedMqttSession, store: &Store, broker: &Broker) -> Option<LiveConnection> {
    let is_own = listed.process == *store.process();
    let mut shown = rows::connection(listed)?;
    if is_own && let Some(live) = broker.session(&shown.id) {
        shown.peer = live.peer;
        shown.subscriptions = Some(live.subscriptions);
        shown.in_flight = Some(live.in_flight);
    }
    Some(shown)
}

/// Ends the session with this id, wherever it is. Returns what it was.
pub(super) async fn kick(
    store: &Store,
    broker: &Broker,
    id: &str,
    others: &TellNodes,
) -> Result<Option<LiveConnection>, StoreError> {
    let Some(listed) = store.mqtt_session(id).await? else {
        return Ok(None);
    };
    let key = listed.session.key.clone();
    let is_own = listed.process == *store.process();
    let Some(was) = shown(listed, store, broker) else {
        return Ok(None);
    };
    if is_own {
        let session = OwnSession {
            user_id: key.user.as_str().into(),
            username: was.username.clone(),
            client_id: key.client_id,
            number: broker.last_takeover(),
        };
        let ending = broker.end_session(session, SessionEnd::Kicked);
        // It ends by itself.
        let _ = timeout(PATIENCE, ending).await;
        return Ok(Some(was));
    }
    match store.order_session_end(&key, EndReason::Kicked).await? {
        Some(process) => others.session_ends(&[process]),
        None => return Ok(None),
    }
    let ended = async {
        while store.is_session_awaited(&key).await.unwrap_or(true) {
            sleep(LOOK).await;
        }
    };
    if timeout(PATIENCE, ended).await.is_err() {
        tracing::info!(
            connection = id,
            "a session of another server has not ended yet"
        );
    }
    Ok(Some(was))
}
