//! The will: what is published for a client whose connection ended without a word.

use std::{sync::Arc, time::Duration};

use herald_acl::Username;

use super::{
    Client, Context, Refused,
    answers::Answering,
    patience,
    publish::{Answer, accept},
};
use crate::wire::{self, Publish};

/// A will that CONNECT gave.
pub(crate) struct Will {
    /// After the connection ended; a client that is back by then has not gone (MQTT 5 section 3.1.3.2.2).
    pub(super) delay: Duration,
    publish: Publish,
}

impl From<&wire::Will> for Will {
    fn from(will: &wire::Will) -> Self {
        Self {
            delay: Duration::from_secs(will.delay.into()),
            publish: Publish {
                packet_id: None,
                topic: will.topic.clone(),
                payload: will.payload.clone(),
                qos: will.qos,
                retain: will.retain,
                properties: will.properties.clone(),
            },
        }
    }
}

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
