//! Publishes wills.

use std::{sync::Arc, time::Duration};

use herald_acl::Username;

use super::{
    answers::{Answer, Answering, Refused},
    client::Client,
    context::Context,
    patience::patience,
    publish::accept,
};
use crate::state::Will;

/// How long a will may take to be written. Nobody repeats it, but whoever waits to write is bounded.
const PATIENCE: Duration = Duration::from_secs(12);

/// The same when the broker stops.
const AT_STOP: Duration = Duration::from_millis(300);

/// Publishes `will`, if the ACL still lets it. It is handed on before this resolves; that it is written is not waited for, as
/// the client may be back.
pub(super) async fn publish(ctx: &Arc<Context>, client: &Client, will: Option<Box<Will>>) {
    let Some(will) = will else { return };
    // Asked anew: the ACL may have changed since CONNECT. Nobody is left to tell.
    let username = client.identity.username.clone();
    match accept(ctx, client, will.publish, false).await {
        Answering::Known(answer) => published(&username, answer),
        Answering::Pending(answer) => {
            let stop = ctx.stop.clone();
            ctx.tasks.spawn(async move {
                tokio::select! {
                    answer = answer => published(&username, answer),
                    () = patience(&stop, PATIENCE, AT_STOP) => {
                        tracing::warn!(user = %username, "a will could not be written in time");
                    }
                }
            });
        }
    }
}

fn published(username: &Username, answer: Answer) {
    if let Err(Refused::With(code, text)) = answer.result {
        tracing::info!(user = %username, ?code, text, "will dropped");
    }
}
