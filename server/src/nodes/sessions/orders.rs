//! Sessions that this server is ordered to end.

use std::{collections::HashSet, mem, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use herald_broker::{Broker, OwnSession};
use herald_store::{EndReason, SessionEnd, SessionKey, Store};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use crate::acks::Acks;

/// How often it is looked for orders: other servers wait for a second.
const LOOK: Duration = Duration::from_millis(250);

/// How many orders are followed at a time.
const AT_ONCE: u32 = 512;

/// Sessions on their way to their ends.
type Ending = FuturesUnordered<BoxFuture<'static, SessionEnd>>;

/// Follows orders. Notified by `ordered` that there are some, it does not wait for its next look.
pub(super) async fn follow(store: &Store, broker: &Broker, acks: &Arc<Acks>, ordered: &Notify) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = Ending::new();
    let mut begun = HashSet::new();
    // Writing may take long; that holds up no other end. One write at a time.
    let (mut ended, mut saying) = (vec![], FuturesUnordered::new());
    loop {
        if saying.is_empty() && !ended.is_empty() {
            saying.push(say_ended(store, acks, mem::take(&mut ended)));
        }
        tokio::select! {
            Some(end) = ending.next() => {
                ended.push(end);
                continue;
            }
            Some(said) = saying.next() => {
                for end in said {
                    begun.remove(&(end.key, end.number));
                }
            }
            _ = ticks.tick() => {}
            () = ordered.notified() => {}
        }
        match store.session_ends(AT_ONCE).await {
            Ok(ends) => begin(ends, broker, &mut begun, &mut ending),
            Err(error) => tracing::debug!(%error, "orders to end sessions could not be read"),
        }
    }
}

/// Begins to end what is not on its way yet.
fn begin(
    ends: Vec<SessionEnd>,
    broker: &Broker,
    begun: &mut HashSet<(SessionKey, i64)>,
    ending: &mut Ending,
) {
    for end in ends {
        if begun.insert((end.key.clone(), end.number)) {
            let broker = broker.clone();
            ending.push(Box::pin(async move {
                if let Some(session) = session(&end) {
                    broker.end_session(session, reason(end.reason)).await;
                }
                end
            }));
        }
    }
}

/// Writes down that these have ended, and before what their clients have acknowledged, so that other servers go on behind it. If
/// that fails, it is ordered again, and there is nothing left to end.
async fn say_ended(store: &Store, acks: &Acks, ended: Vec<SessionEnd>) -> Vec<SessionEnd> {
    let said = async {
        acks.flush(store).await?;
        store.sessions_ended(&ended).await
    };
    if let Err(error) = said.await {
        tracing::debug!(%error, "that sessions have ended could not be written down");
    }
    ended
}

/// `None` if its user is gone, and so the session.
fn session(end: &SessionEnd) -> Option<OwnSession> {
    Some(OwnSession {
        user_id: end.key.user.as_str().into(),
        username: end.username.as_deref()?.parse().ok()?,
        client_id: end.key.client_id.clone(),
        number: u64::try_from(end.number).ok()?,
    })
}

fn reason(reason: EndReason) -> herald_broker::SessionEnd {
    match reason {
        EndReason::TakenOver => herald_broker::SessionEnd::GoesOn,
        EndReason::BeganAnew => herald_broker::SessionEnd::BeginsAnew,
        EndReason::MadeRoom => herald_broker::SessionEnd::MakesRoom,
        EndReason::Kicked => herald_broker::SessionEnd::Kicked,
    }
}
