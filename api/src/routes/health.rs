//! For load balancers and service managers: is the process alive, and can it serve?

use std::{sync::Arc, time::Duration};

use herald_store::{Store, StoreError};
use poem::{
    handler,
    web::{Data, Json},
};
use serde::Serialize;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    background::Background,
    error::{ApiError, Code},
    options::Readiness,
};

/// How long the database may take to respond.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// How long a check of the database holds: it is a write, and anybody may ask for `/readyz`.
const FRESH: Duration = Duration::from_millis(500);

/// What keeps the server from serving; `None` if nothing does.
type Trouble = Option<&'static str>;

/// What `/readyz` asks.
pub(crate) struct Ready {
    store: Store,
    server: Readiness,
    /// The last check of the database, and when it ended. Locked while the next one runs.
    last: Arc<Mutex<Option<(Instant, Trouble)>>>,
    background: Background,
}

impl Ready {
    pub(crate) fn new(store: Store, server: Readiness, background: Background) -> Self {
        Self {
            store,
            server,
            last: Arc::default(),
            background,
        }
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `/healthz`: the process responds.
#[handler]
pub(crate) fn alive() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// `/readyz`: database and broker respond, too, and the database can be written.
#[handler]
pub(crate) async fn ready(asked: Data<&Arc<Ready>>) -> Result<Json<Health>, ApiError> {
    // First: what keeps the server from serving need not be waited for.
    let answers = async {
        match (asked.server)().await {
            Ok(()) => database(&asked).await,
            Err(trouble) => Some(trouble),
        }
    };
    let trouble = match timeout(2 * MAX_WAIT, answers).await {
        Ok(None) => return Ok(Json(Health { status: "ready" })),
        Ok(Some(trouble)) => trouble,
        Err(_) => "The database or the broker takes too long.",
    };
    Err(ApiError::new(Code::NotReady, trouble))
}

/// What is wrong with the database, by a check that all requests share for a moment.
async fn database(asked: &Ready) -> Trouble {
    let mut last = Arc::clone(&asked.last).lock_owned().await;
    if let Some((at, trouble)) = *last
        && at.elapsed() < FRESH
    {
        return trouble;
    }
    let store = asked.store.clone();
    // In a task of its own, so that a request that is given up leaves the result to the others.
    let asking = asked.background.spawn(async move {
        let trouble = ping(&store).await;
        *last = Some((Instant::now(), trouble));
        trouble
    });
    asking
        .await
        .unwrap_or(Some("The database cannot be asked."))
}

async fn ping(store: &Store) -> Trouble {
    match timeout(MAX_WAIT, store.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the database cannot be used");
            Some(match error {
                StoreError::Storage { .. } | StoreError::Unwritable { .. } => {
                    "The database cannot be written. The server's log says why."
                }
                StoreError::Replaced { .. } => {
                    "The database file was deleted or replaced. The server's log says what to do."
                }
                StoreError::Corrupt { .. } => {
                    "The database is damaged. The server's log says what to do."
                }
                _ => "The database does not answer.",
            })
        }
        Err(_) => Some("The database takes too long."),
    }
}
