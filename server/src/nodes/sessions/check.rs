//! Whether what is written down of this server's sessions is so.

use std::{collections::HashMap, time::Duration};

use herald_broker::{Broker, SessionEnd};
use herald_store::{Departure, SessionKey, Store, StoreError, UserId};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use super::wills::Claims;

/// How often it is checked, if nothing has happened: what was lost, as with a database that crashed, is put right by then.
const EVERY: Duration = Duration::from_secs(30);

/// How many are read at once.
const PAGE: u32 = 1000;

/// How many are written at once.
const AT_ONCE: usize = 256;

/// Checks now and then, and when all is `doubtful`.
pub(super) async fn keep_checking(
    store: &Store,
    doubtful: &Notify,
    broker: &Broker,
    claims: &Claims,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = doubtful.notified() => {}
        }
        let checked = async {
            check(store, broker).await?;
            check_wills(store, broker, claims).await
        };
        if let Err(error) = checked.await {
            tracing::debug!(%error, "sessions could not be compared with what is written down");
        }
    }
}

/// Ends what is here and written down as another server's, or not at all; and writes down that what is not here is not.
async fn check(store: &Store, broker: &Broker) -> Result<(), StoreError> {
    // First: what arrives from now on has a greater number, and is written down before it is here.
    let (number, here) = (broker.last_takeover(), broker.own_sessions());
    let mut written = HashMap::new();
    let mut after: Option<SessionKey> = None;
    loop {
        let page = store.own_mqtt_sessions(after.as_ref(), PAGE).await?;
        after = page.last().map(|last| last.key.clone());
        let is_last = page.len() < PAGE as usize;
        written.extend(page.into_iter().map(|one| (one.key, one.first_number)));
        if is_last {
            break;
        }
    }
    for session in here {
        let key = SessionKey {
            user: UserId::from_string(session.user_id.clone()),
            client_id: session.client_id.clone(),
        };
        let first_number = written.remove(&key);
        let is_own = first_number
            .is_some_and(|first| i64::try_from(session.number).is_ok_and(|number| number >= first));
        if !is_own {
            tracing::info!(user = %session.username, client_id = ?session.client_id, "a session is another server's by now");
            broker.end_session(session, SessionEnd::GoesOn).await;
        }
    }
    let lost = written.into_keys().filter(|key| {
        let user_id = key.user.as_str().into();
        !broker.is_or_arrives_here(&user_id, &key.client_id)
    });
    let lost = lost.map(|key| Departure {
        key,
        number: i64::try_from(number).unwrap_or(i64::MAX),
    });
    let lost: Vec<_> = lost.collect();
    for some in lost.chunks(AT_ONCE) {
        store.give_up_sessions(some.to_vec()).await?;
    }
    Ok(())
}

/// Settles wills of sessions that are not here, unless they are about to be published.
async fn check_wills(store: &Store, broker: &Broker, claims: &Claims) -> Result<(), StoreError> {
    // First, as above.
    let number = i64::try_from(broker.last_takeover()).unwrap_or(i64::MAX);
    let mut after: Option<SessionKey> = None;
    loop {
        let page = store.own_wills(after.as_ref(), PAGE).await?;
        after = page.last().map(|last| last.key.clone());
        let is_last = page.len() < PAGE as usize;
        let lost = page.into_iter().filter(|will| {
            let user_id = will.key.user.as_str().into();
            let is_here = broker.is_or_arrives_here(&user_id, &will.key.client_id);
            will.number <= number && !is_here && !claims.has(will)
        });
        let lost: Vec<_> = lost.collect();
        for some in lost.chunks(AT_ONCE) {
            store.settle_wills(some.to_vec()).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}
