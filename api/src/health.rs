//! For load balancers and service managers: is the process alive, and can it serve?

use std::{sync::Arc, time::Duration};

use poem::{
    handler,
    web::{Data, Json},
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    error::{ApiError, Code},
    state::State,
};

/// How long the database and the broker may take to answer.
const MAX_WAIT: Duration = Duration::from_secs(2);

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `/healthz`: the process answers.
#[handler]
pub(crate) fn alive() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// `/readyz`: database and broker answer too.
#[handler]
pub(crate) async fn ready(state: Data<&Arc<State>>) -> Result<Json<Health>, ApiError> {
    let answers = async { tokio::join!(state.store.ping(), (state.options.ready)()) };
    let reason = match timeout(MAX_WAIT, answers).await {
        Ok((Ok(()), true)) => return Ok(Json(Health { status: "ready" })),
        Ok((Ok(()), false)) => "The broker does not answer.",
        Ok((Err(error), _)) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            "The database does not answer."
        }
        Err(_) => "The database or the broker takes too long.",
    };
    Err(ApiError::new(Code::NotReady, reason))
}
