//! The will: what is published for a client whose connection ended without a word.

use std::{sync::Arc, time::Duration};

use super::{Client, Context, Refused, answers::Answering, publish::accept};
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

/// Publishes `will`, if the ACL still lets it.
pub(super) async fn publish(ctx: &Arc<Context>, client: &Client, will: Option<Box<Will>>) {
    let Some(will) = will else { return };
    // Asked anew: the ACL may have changed since CONNECT. Nobody is left to tell.
    let answer = match accept(ctx, client, will.publish, false).await {
        Answering::Known(answer) => answer,
        Answering::Pending(answer) => answer.await,
    };
    if let Err(Refused::With(code, text)) = answer.result {
        tracing::info!(user = %client.identity.username, ?code, text, "will dropped");
    }
}
