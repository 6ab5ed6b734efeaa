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

/// Publishes a will that has waited for its delay, or whose connection ended while others may have held the server to be gone. If
/// it is written down for other servers, one of them may have done so, and that is asked before.
pub(super) async fn publish_unless_others_do(
    ctx: &Arc<Context>,
    client: &Client,
    mailbox: &Mailbox,
    will: Option<Box<Will>>,
) {
    let Some(mut will) = will else { return };
    let Some(written) = will.written.take() else {
        return publish_in_time(ctx, client, mailbox, Some(will)).await;
    };
    // From now on, and for as long as the database cannot be asked.
    let claiming = written.claim();
    let (tasks, client) = (ctx.tasks.clone(), client.clone());
    let ctx = ctx.clone();
    tasks.spawn(async move {
        if ctx.stop.run_until_cancelled(claiming).await == Some(true) {
            publish(&ctx, &client, Some(will)).await;
        }
    });
}

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
    let Will {
        publish, written, ..
    } = *will;
    // The ACL may have changed since CONNECT.
    let username = client.identity.username.clone();
    match accept(ctx, client, publish, false).await {
        Handled::Done(response) => published(&username, response),
        Handled::Pending(response) => {
            let stop = ctx.stop.clone();
            ctx.tasks.spawn(async move {
                let _written = written;
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
