//! Publishes wills. Whether one is due is decided in `finish`, and in `offline` if it has a delay.

use std::sync::Arc;

use herald_acl::Username;

use super::{
    client::Client,
    context::Context,
    patience::{last_work, last_work_of},
    publish::accept,
    responses::{Handled, Refused, Response},
};
use crate::{mailbox::Mailbox, state::Will};

/// The same as [`publish`], unless it takes too long to hand the will on: its session may be taken over meanwhile.
pub(super) async fn publish_in_time(
    ctx: &Arc<Context>,
    client: &Client,
    mailbox: &Mailbox,
    will: Option<Box<Will>>,
) {
    if will.is_none() {
        return;
    }
    tokio::select! {
        () = publish(ctx, client, will) => {}
        taken_over = last_work_of(mailbox, &ctx.stop) => {
            tracing::warn!(user = %client.identity.username, taken_over, "a will could not be handed on in time");
        }
    }
}

/// Publishes `will`, if the ACL still lets it. It is handed on before this resolves; that it is written is not waited for, as
/// the client may be back.
pub(super) async fn publish(ctx: &Arc<Context>, client: &Client, will: Option<Box<Will>>) {
    let Some(will) = will else { return };
    // The ACL may have changed since CONNECT.
    let username = client.identity.username.clone();
    match accept(ctx, client, will.publish, false).await {
        Handled::Done(response) => published(&username, response),
        Handled::Pending(response) => {
            let stop = ctx.stop.clone();
            ctx.tasks.spawn(async move {
                tokio::select! {
                    response = response => published(&username, response),
                    () = last_work(&stop) => {
                        tracing::warn!(user = %username, "a will could not be written in time");
                    }
                }
            });
        }
    }
}

fn published(username: &Username, response: Response) {
    if let Err(Refused::With(code, text)) = response.result {
        tracing::info!(user = %username, ?code, text, "will dropped");
    }
}
