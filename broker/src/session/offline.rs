//! A session without a connection: it waits for its client, for its will to be due, or for its end.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{Client, Context, Kept, rights, will};
use crate::wire::Reason;

/// Keeps the session until its client comes back or `expires` has come.
pub(super) async fn wait(ctx: Arc<Context>, client: Client, mut kept: Box<Kept>, expires: Instant) {
    let since = Instant::now();
    loop {
        let orders = kept.mailbox.take_orders();
        if let Some(claim) = orders.claim {
            kept.goes_on = true;
            match claim.send(kept) {
                Ok(()) => return,
                // That connection has given up.
                Err(back) => kept = back,
            }
            kept.mailbox.go_offline();
            continue;
        }
        if let Some(reason) = orders.stop {
            // A user who lost the right to be here has lost that to a last word, too.
            if reason == Reason::NotAuthorized {
                kept.will = None;
            }
            break;
        }
        if orders.recheck && !rights::recheck(&ctx, &client, &mut kept) {
            break;
        }
        let will_due = kept.will.as_ref().map(|w| (since + w.delay).min(expires));
        tokio::select! {
            () = kept.mailbox.ready() => {}
            () = sleep_until(will_due.unwrap_or(expires)), if will_due.is_some() => {
                will::publish(&ctx, &client, kept.will.take()).await;
            }
            () = sleep_until(expires) => break,
            () = ctx.stop.cancelled() => return,
        }
    }
    // The session ends, and with it the time to wait (MQTT 5 section 3.1.3.2.2).
    will::publish(&ctx, &client, kept.will.take()).await;
    kept.clear();
    kept.end();
}
