//! A session without a connection: it waits for its client, for its will to be due, or for its end.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{Client, Context, Kept, will};
use crate::wire::Reason;

/// Keeps the session until its client comes back or `expires` has come.
pub(super) async fn wait(ctx: Arc<Context>, client: Client, mut kept: Box<Kept>, expires: Instant) {
    let since = Instant::now();
    loop {
        let (stop, claimed) = kept.mailbox.take_orders();
        if let Some(reason) = stop {
            // A user who lost the right to be here has lost that to a last word, too.
            if reason == Reason::NotAuthorized {
                kept.will = None;
            }
            break;
        }
        if claimed && let Some(claim) = kept.mailbox.take_claim() {
            kept.goes_on = true;
            match claim.send(kept) {
                Ok(()) => return,
                Err(back) => kept = back,
            }
            continue;
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
